import gzip

import numpy as np
import pandas as pd
import pytest

from mtm.analyses.genes.connectivity import (
    measure_connectivity,
    read_gene_identifiers,
    read_interactions,
)
from mtm.errors import InputError

# Gene id, symbol, Entrez id, UniProt accessions, UniProt entry name.
GENES = [
    ("ENSG00000000001.3", "YWHAB", "7529", "P31946", "1433B"),
    ("ENSG00000000002.3", "TP53", "7157", "P04637", "P53"),
    ("ENSG00000000003.3", "CDKN2A", "1029", "P42771|Q8N726", "CDN2A"),
    ("ENSG00000000004.3", "BRCA1", "672", "P38398", "BRCA1"),
    ("ENSG00000000005.3", "LONELY", "999", "P99999", "LONE"),
    ("ENSG00000000006.3", "EGFR", "1956", "P00533", "EGFR"),
]
SYMBOLS = pd.Series({gene_id: symbol for gene_id, symbol, *_ in GENES})
# In no cohort: known to HGNC (ACTB), and to nobody.
OUTSIDE = ("ENSG00000000099", "ACTB", "60", "P60709", "ACTB")
EDGES = [
    ("1433B", "7529", "P53", "7157", 0.9),
    ("P53", "7157", "1433B", "7529", 0.9),
    ("CDN2A", "1029", "P53", "7157", 0.8),
    ("ARF", "1029", "P53", "7157", 0.5),
    ("BRCA1", "672", "BRCA1", "672", 0.7),
    ("ACTB", "60", "1433B", "7529", 0.2),
    ("ACTB", "60", "ACTB", "60", 0.2),
    ("XYZ", "123456", "1433B", "7529", 0.4),
    ("EGFR", "1956", "BRCA1", "672", 0.1),
]
DEGREES = {"YWHAB": 3, "TP53": 2, "CDKN2A": 1, "BRCA1": 1, "LONELY": None, "EGFR": 1}


def write(folder, name, text):
    path = folder / name
    if name.endswith(".gz"):
        with gzip.open(path, "wt") as file:
            file.write(text)
    else:
        path.write_text(text)
    return path


def identifiers(folder):
    rows = ["hgnc_id\tsymbol\tentrez_id\tensembl_gene_id\tuniprot_ids"]
    for gene_id, symbol, entrez, uniprot, _ in [*GENES, OUTSIDE]:
        rows.append(f"HGNC:1\t{symbol}\t{entrez}\t{gene_id.split('.')[0]}\t{uniprot}")
    rows.append("HGNC:2\tWITHDRAWN\t5\t\t")
    return read_gene_identifiers(write(folder, "hgnc.txt", "\n".join(rows) + "\n"))


def hippie(folder, suffix="_HUMAN"):
    lines = [
        f"{a}{suffix}\t{ea}\t{b}{suffix}\t{eb}\t{score}\texperiments:two hybrid;sources:x"
        for a, ea, b, eb, score in EDGES
    ]
    return write(folder, "hippie_current.txt", "\n".join(lines) + "\n")


def mitab(folder, header=True, swapped=False):
    names = [f"column {i}" for i in range(15)] + ["Presence In Other Species"]
    names = ["ID Interactor A", "ID Interactor B", *names[2:]]
    names += ["Gene Name Interactor A", "Gene Name Interactor B"]
    lines = ["\t".join(names)] if header else []
    for a, ea, b, eb, score in EDGES:
        ids = [f"entrez gene:{ea}", f"entrez gene:{eb}"]
        ids += [f"uniprotkb:{a}_HUMAN", f"uniprotkb:{b}_HUMAN"]
        ids = [*ids[2:], *ids[:2]] if swapped else ids
        lines.append("\t".join([*ids, *["-"] * 10, str(score), "-", "-", "-"]))
    return write(folder, "HIPPIE-current.mitab.txt", "\n".join(lines) + "\n")


def plain(folder, column):
    lines = ["g1\tg2"]
    place = {"symbol": 1, "entrez": 2, "ensembl": 0, "uniprot": 3}[column]
    of_entrez = {row[2]: row[place] for row in [*GENES, OUTSIDE]}
    for _, ea, _, eb, _ in EDGES:
        lines.append("\t".join(of_entrez.get(e, "nobody").split("|")[0] for e in (ea, eb)))
    return write(folder, "edges.tsv.gz", "\n".join(lines) + "\n")


def degrees(genes):
    return dict(zip(SYMBOLS[genes["gene_id"]], genes["value"], strict=True))


def assert_degrees(genes):
    found = degrees(genes)
    assert {name: None if np.isnan(n) else n for name, n in found.items()} == DEGREES


@pytest.mark.parametrize(
    "file",
    [
        hippie,
        mitab,
        lambda folder: mitab(folder, header=False),
        lambda folder: mitab(folder, swapped=True),
        *[
            lambda folder, c=c: plain(folder, c)
            for c in ("symbol", "entrez", "ensembl", "uniprot")
        ],
    ],
)
def test_degrees_by_every_format_and_id(tmp_path, file):
    interactions = read_interactions(file(tmp_path))
    genes, counts = measure_connectivity(interactions, SYMBOLS, identifiers(tmp_path))
    assert_degrees(genes)
    counts = {step: n for step, n, _ in counts}
    assert counts["interactions read"] == 9
    assert counts["interactions of a gene with itself"] == 2
    # The reversed one, and the second protein of CDKN2A.
    assert counts["interactions repeated or reversed"] == 2
    assert counts["interactions counted"] == 5
    assert counts["partners of no known gene"] == 1
    lonely = genes.set_index("gene_id").loc["ENSG00000000005.3"]
    assert lonely[["status", "reason"]].tolist() == ["unmatched", "not in the network"]


def test_entrez_goes_before_the_entry_name(tmp_path):
    # The entry name is the symbol of another gene.
    line = "TP53_HUMAN\t7529\tEGFR_HUMAN\t1956\t0.9\t\n"
    interactions = read_interactions(write(tmp_path, "h.txt", line))
    genes, counts = measure_connectivity(interactions, SYMBOLS, identifiers(tmp_path))
    assert degrees(genes)["YWHAB"] == 1
    assert np.isnan(degrees(genes)["TP53"])
    assert {step: n for step, n, _ in counts}["partners placed by Entrez id"] == 2


def test_without_identifiers_entry_names_are_read_as_symbols(tmp_path):
    genes, counts = measure_connectivity(read_interactions(hippie(tmp_path)), SYMBOLS)
    found = degrees(genes)
    assert (found["BRCA1"], found["EGFR"]) == (1, 1)
    assert np.isnan(found["TP53"])
    counts = {step: n for step, n, _ in counts}
    # Entrez ids still tell that ARF and CDN2A are one gene.
    assert counts["interactions repeated or reversed"] == 2
    assert counts["partners placed by symbol, or UniProt entry name read as one"] == 2
    assert counts["partners of no known gene"] == counts["partners"] - 2


def test_score_threshold(tmp_path):
    interactions = read_interactions(hippie(tmp_path))
    genes, counts = measure_connectivity(
        interactions, SYMBOLS, identifiers(tmp_path), min_score=0.5
    )
    found = degrees(genes)
    assert (found["YWHAB"], found["TP53"], found["CDKN2A"]) == (1, 2, 1)
    # BRCA1 is left with itself; EGFR is no longer in the network.
    assert found["BRCA1"] == 0
    assert np.isnan(found["EGFR"])
    assert {step: n for step, n, _ in counts}["interactions left out by score"] == 4


def test_an_id_of_several_genes_places_nothing(tmp_path):
    table = identifiers(tmp_path)
    table.loc[table["symbol"] == "EGFR", "uniprot_ids"] = "P38398"
    interactions = read_interactions(write(tmp_path, "e.tsv", "a\tb\nP38398\tP31946\n"))
    genes, _ = measure_connectivity(interactions, SYMBOLS, table)
    found = degrees(genes)
    assert found["YWHAB"] == 1
    assert np.isnan([found["BRCA1"], found["EGFR"]]).all()


def test_degrees_of_a_random_network():
    rng = np.random.default_rng(0)
    names = [f"S{i}" for i in range(80)]
    symbols = pd.Series({f"ENSG{i:011d}.1": name for i, name in enumerate(names[:60])})
    drawn = rng.integers(0, 80, (600, 2))
    partners = {name: set() for name in names}
    for a, b in drawn:
        partners[names[a]].add(names[b])
        partners[names[b]].add(names[a])
    columns = {(side, "name"): [names[i] for i in drawn[:, side]] for side in (0, 1)}
    for side in (0, 1):
        columns |= {(side, kind): [np.nan] * 600 for kind in ("entrez", "symbol")}
    table = pd.DataFrame(columns, dtype=object)
    table["score"] = np.nan
    genes, _ = measure_connectivity(table, symbols)
    expected = [len(partners[name] - {name}) for name in names[:60]]
    np.testing.assert_array_equal(genes["value"], expected)


CASES = {
    "no file": (lambda f: read_interactions(f / "none.txt"), ["none.txt", "no such file"]),
    "prose": (
        lambda f: read_interactions(write(f, "page.txt", "<html>404 Not Found</html>\n")),
        ["page.txt, line 1", "404", "MITAB"],
    ),
    "STRING's format": (
        lambda f: read_interactions(write(f, "s.txt", "protein1 protein2 score\nA B 5\n")),
        ["s.txt, line 1", "HIPPIE's tab format"],
    ),
    "another table of five columns": (
        lambda f: read_interactions(write(f, "t.txt", "a\tb\tc\td\te\nA\tB\tC\tD\tE\n")),
        ["t.txt, line 1, column 2", "'b'", "an Entrez id"],
    ),
    "a score that is no number": (
        lambda f: read_interactions(write(f, "h.txt", "A_HUMAN\t1\tB_HUMAN\t2\thigh\t\n")),
        ["h.txt", "score of interaction 1", "'high'"],
    ),
    "MITAB without ids": (
        lambda f: read_interactions(write(f, "m.txt", "\t".join(["x:1"] * 15) + "\n")),
        ["m.txt", "entrez gene:7529"],
    ),
    "edges without a header": (
        lambda f: read_interactions(write(f, "e.txt", "7529\t7157\n1029\t672\n")),
        ["e.txt, line 1", "two named columns"],
    ),
    "a header alone": (
        lambda f: read_interactions(write(f, "e.txt", "g1\tg2\n")),
        ["e.txt", "no interaction"],
    ),
    "identifiers without a column": (
        lambda f: read_gene_identifiers(write(f, "hgnc.txt", "symbol\tentrez_id\nA\t1\n")),
        ["hgnc.txt", "ensembl_gene_id"],
    ),
    "partners of another species": (
        lambda f: measure_connectivity(
            read_interactions(write(f, "e.tsv", "g1\tg2\nTrp53\tEgfrm\n")), SYMBOLS, where="e.tsv"
        ),
        ["e.tsv", "none of them one of the 6 genes", "inputs.gene_identifiers"],
    ),
    "a threshold without scores": (
        lambda f: measure_connectivity(
            read_interactions(write(f, "e.tsv", "g1\tg2\nTP53\tEGFR\n")), SYMBOLS, min_score=0.5
        ),
        ["interactions without scores", "interaction_score is 0.5"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_unusable_input(tmp_path, name):
    use, words = CASES[name]
    with pytest.raises(InputError) as caught:
        use(tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
