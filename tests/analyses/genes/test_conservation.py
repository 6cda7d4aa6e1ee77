from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pytest

from mtm.analyses.genes.conservation import (
    CHR1_LENGTH,
    NO_CONTIG,
    NO_EXON,
    NO_SCORE,
    measure_bigwig,
    measure_conservation,
    merge_exons,
    read_conservation_table,
    read_exons,
)
from mtm.errors import InputError

SIZES = {"chr1": 40_000, "chr2": 30_000, "chrX": 20_000}
HEADER = "##description: evidence-based annotation of the human genome ({}), version 26\n"


def gtf_line(chrom, feature, start, end, strand, gene_id):
    attributes = f'gene_id "{gene_id}"; transcript_id "T1"; gene_type "protein_coding";'
    return f"{chrom}\tHAVANA\t{feature}\t{start}\t{end}\t.\t{strand}\t.\t{attributes}\n"


def random_genes(rng, n):
    """Genes with overlapping exons on both strands: chromosome and exons (1-based, inclusive)."""
    genes = {}
    for index in range(n):
        chrom = str(rng.choice([*SIZES, "KI270711.1"], p=[0.4, 0.3, 0.2, 0.1]))
        size = SIZES.get(chrom, 10_000)
        starts = rng.integers(1, size - 400, rng.integers(1, 8))
        exons = [(int(start), int(start + rng.integers(0, 300))) for start in starts]
        genes[f"ENSG{index:011d}.{index % 9}"] = (chrom, "+-"[index % 2], exons)
    return genes


def write_gtf(path, genes, build="GRCh38"):
    with open(path, "w") as file:
        file.write(HEADER.format(build))
        for gene_id, (chrom, strand, exons) in genes.items():
            first, last = min(a for a, _ in exons), max(b for _, b in exons)
            file.write(gtf_line(chrom, "gene", first, last, strand, gene_id))
            file.write(gtf_line(chrom, "transcript", first, last, strand, gene_id))
            for start, end in exons:
                file.write(gtf_line(chrom, "exon", start, end, strand, gene_id))
    return path


def write_bigwig(path, rng, sizes=SIZES, gaps=0.3):
    """Scores in runs of bases, some without; scores by chromosome, NaN where there is none."""
    scores = {}
    with pyBigWig.open(str(path), "w") as bigwig:
        bigwig.addHeader(list(sizes.items()))
        for chrom, size in sizes.items():
            if size <= 50_000:
                values = np.full(size, np.nan)
                run = np.repeat(np.arange(size // 10 + 1), 10)[:size]
                values = rng.random(size // 10 + 1).round(3)[run]
                values[(rng.random(size // 10 + 1) < gaps)[run]] = np.nan
                known = np.flatnonzero(np.isfinite(values))
                bigwig.addEntries(chrom, known.tolist(), values=values[known].tolist(), span=1)
            else:
                bigwig.addEntries([chrom], [0], ends=[100], values=[0.5])
                continue
            scores[chrom] = values
    return scores


def by_brute_force(genes, scores):
    """Mean and covered share of every gene from a set of its bases."""
    result = {}
    for gene_id, (chrom, _, exons) in genes.items():
        bases = sorted({base for a, b in exons for base in range(a - 1, b)})
        values = scores[chrom][bases] if chrom in scores else np.full(len(bases), np.nan)
        known = values[np.isfinite(values)]
        mean = known.mean() if len(known) else np.nan
        result[gene_id] = (mean, len(bases), len(known) / len(bases))
    return pd.DataFrame(result, index=["value", "n_bases", "covered_share"]).T


@pytest.mark.parametrize("processes", [1, 2])
def test_means_of_random_genes(tmp_path, processes):
    rng = np.random.default_rng(0)
    genes = random_genes(rng, 200)
    model = write_gtf(tmp_path / "genes.gtf", genes)
    scores = write_bigwig(tmp_path / "scores.bw", rng)
    # Genes come in any order and version; two of them are in the file under another name.
    ids = [gene_id.split(".")[0] + ".77" for gene_id in rng.permutation(list(genes))]
    ids += ["ENSG99999999999.1", f"{ids[0]}_PAR_Y"]
    table = measure_bigwig(tmp_path / "scores.bw", model, ids, processes)
    assert table["gene_id"].tolist() == ids
    expected = by_brute_force(genes, scores)
    expected.index = [name.split(".")[0] + ".77" for name in expected.index]
    expected = expected.reindex(ids)
    np.testing.assert_allclose(table["value"], expected["value"], rtol=1e-6)
    assert expected["value"].notna().sum() > 150
    measured = table[:-2]
    assert measured["n_bases"].tolist() == expected["n_bases"][:-2].astype(int).tolist()
    np.testing.assert_allclose(measured["covered_share"], expected["covered_share"][:-2])
    status = table.set_index("gene_id")[["status", "reason"]]
    assert status.loc["ENSG99999999999.1"].tolist() == ["unmatched", NO_EXON]
    assert status["status"].iloc[-1] == "duplicated"
    elsewhere = {name for name, (chrom, *_) in genes.items() if chrom not in SIZES}
    assert elsewhere
    missing = status.index[status["reason"] == NO_CONTIG].str.split(".").str[0]
    assert set(missing) == {name.split(".")[0] for name in elsewhere}


def test_a_gene_without_any_score_is_reported(tmp_path):
    genes = {
        "ENSG00000000001.1": ("chr1", "+", [(101, 110)]),
        "ENSG00000000002.1": ("chr1", "-", [(1, 10), (6, 20), (16, 25)]),
    }
    model = write_gtf(tmp_path / "genes.gtf", genes)
    with pyBigWig.open(str(tmp_path / "s.bw"), "w") as bigwig:
        bigwig.addHeader([("chr1", 1000)])
        bigwig.addEntries(["chr1", "chr1"], [0, 20], ends=[10, 25], values=[0.25, 1.0])
    table = measure_bigwig(tmp_path / "s.bw", model, list(genes)).set_index("gene_id")
    assert table.loc["ENSG00000000001.1", ["status", "reason"]].tolist() == ["unmatched", NO_SCORE]
    row = table.loc["ENSG00000000002.1"]
    assert row["value"] == pytest.approx((10 * 0.25 + 5) / 15)
    assert (row["n_bases"], row["covered_share"]) == (25, 0.6)


def test_the_copy_on_y_is_a_gene_of_its_own_only_without_the_other(tmp_path):
    genes = {
        "ENSG00000000001.1": ("chr1", "+", [(1, 10)]),
        "ENSG00000000001.1_PAR_Y": ("chr2", "+", [(1, 10)]),
    }
    model = write_gtf(tmp_path / "genes.gtf", genes)
    scores = write_bigwig(tmp_path / "s.bw", np.random.default_rng(1), gaps=0)
    alone = measure_bigwig(tmp_path / "s.bw", model, list(genes)[1:])
    assert alone["value"][0] == pytest.approx(scores["chr2"][:10].mean(), rel=1e-6)
    both = measure_bigwig(tmp_path / "s.bw", model, list(genes))
    assert both["status"].tolist() == ["matched", "duplicated"]
    assert both["value"][0] == pytest.approx(scores["chr1"][:10].mean(), rel=1e-6)


def test_merged_exons_touch_nowhere():
    exons = pd.DataFrame(
        [("g", "c", 5, 9), ("g", "c", 0, 20), ("g", "c", 20, 22), ("g", "c", 30, 31),
         ("g", "d", 3, 4), ("f", "c", 8, 12), ("f", "c", 1, 3)],
        columns=["gene_id", "chrom", "start", "end"],
    )  # fmt: skip
    merged = merge_exons(exons).to_numpy().tolist()
    assert merged == [
        ["f", "c", 1, 3], ["f", "c", 8, 12], ["g", "c", 0, 22], ["g", "c", 30, 31],
        ["g", "d", 3, 4],
    ]  # fmt: skip


def test_a_table_takes_the_place_of_the_bigwig(tmp_path):
    ids = ["ENSG00000000001.5", "ENSG00000000002.1", "ENSG00000000003.1", "ENSG00000000004.1"]
    path = tmp_path / "means.tsv.gz"
    pd.DataFrame(
        {
            "ensembl_gene_id": ["ENSG00000000002", "ENSG00000000001.9", "ENSG00000000003"],
            "symbol": ["B", "A", "NA"],
            "exons": [0.2, 0.1, np.nan],
            "promoter": [0.3, 0.4, 0.5],
        }
    ).to_csv(path, sep="\t", index=False)
    table = measure_conservation(path, [*ids, "ENSG00000000001.5_PAR_Y"], column="exons")
    np.testing.assert_array_equal(table["value"], [0.1, 0.2, np.nan, np.nan, np.nan])
    assert table["status"].tolist() == ["matched"] * 2 + ["unmatched"] * 2 + ["duplicated"]
    assert table["reason"][2] == "without a value in the file"
    assert table["reason"][3] == "not in the file"
    one = tmp_path / "one.tsv"
    one.write_text("gene_id\tscore\nENSG00000000001\t0.5\n")
    assert read_conservation_table(one, ids)["value"][0] == 0.5


GENES = {
    "ENSG00000000001.1": ("chr1", "+", [(100, 200)]),
    "ENSG00000000002.1": ("chr2", "-", [(29_000, 29_900)]),
}


def bad_bigwig(folder, sizes=SIZES, build="GRCh38", genes=None, source=None, ids=None):
    model = write_gtf(folder / "genes.gtf", genes or GENES, build)
    write_bigwig(folder / "s.bw", np.random.default_rng(0), sizes)
    measure_conservation(source or folder / "s.bw", ids or list(GENES), model)


def write_text(path, text):
    path.write_text(text)
    return path


def no_exons(folder):
    bad_bigwig(folder)
    lines = (folder / "genes.gtf").read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if "\texon\t" not in line)
    read_exons(write_text(folder / "bare.gtf", text), list(GENES))


def bad_exon(folder):
    text = gtf_line("chr1", "exon", 200, 100, "+", "ENSG00000000001.1")
    read_exons(write_text(folder / "bad.gtf", text), list(GENES))


def bad_table(folder, text, column=None):
    read_conservation_table(write_text(folder / "means.tsv", text), list(GENES), column)


CASES = {
    "text named as a bigWig": (
        lambda f: bad_bigwig(f, source=write_text(f / "text.bw", "chr1\t0\t5\t0.5\n" * 50)),
        ["text.bw", "no bigWig"],
    ),
    "no file": (lambda f: bad_bigwig(f, source=f / "none.bw"), ["none.bw", "no such file"]),
    "another genome build, by the ends of chromosomes": (
        lambda f: bad_bigwig(f, sizes=SIZES | {"chr2": 29_500}),
        ["s.bw", "chr2 of 29500 bases", "ENSG00000000002.1 ends at 29900", "1 exons lie beyond"],
    ),
    "another genome build, by the length of chromosome 1": (
        lambda f: bad_bigwig(f, sizes={"chr1": CHR1_LENGTH["GRCh37"], "chr2": 30_000}),
        ["249250621 bases, that of GRCh37", "expected GRCh38"],
    ),
    "chromosomes named 1 and chr1": (
        lambda f: bad_bigwig(f, sizes={"1": 40_000, "2": 30_000}),
        ["s.bw", "chromosomes 1, 2", "chr1, chr2", "differ by the prefix 'chr'"],
    ),
    "no common chromosome": (
        lambda f: bad_bigwig(f, sizes={"scaffold_9": 40_000}),
        ["scaffold_9", "chr1", "one genome build"],
    ),
    "GTF without exons": (no_exons, ["bare.gtf", "no exon row"]),
    "malformed exon": (bad_exon, ["bad.gtf, line 1", "nine fields"]),
    "genes of another cohort": (
        lambda f: bad_bigwig(f, ids=["ENSMUSG00000000001.1"]),
        ["genes.gtf", "none of them one of the 1 of the cohort", "ENSMUSG00000000001.1"],
    ),
    "bigWig without a gene model": (
        lambda f: measure_conservation(f / "s.bw", list(GENES)),
        ["inputs.gene_model"],
    ),
    "table without ids": (
        lambda f: bad_table(f, "symbol\tvalue\nA\t1\n"),
        ["means.tsv", "ensembl_gene_id"],
    ),
    "table without the column": (
        lambda f: bad_table(f, "gene_id\tvalue\nENSG00000000001\t1\n", "phastcons"),
        ["means.tsv", "phastcons", "conservation_column"],
    ),
    "table with text for values": (
        lambda f: bad_table(f, "gene_id\tvalue\nENSG00000000001\thigh\n", "value"),
        ["means.tsv", "a numeric column value"],
    ),
    "table with several columns": (
        lambda f: bad_table(f, "gene_id\ta\tb\nENSG00000000001\t1\t2\n"),
        ["numeric columns ['a', 'b']", "conservation_column"],
    ),
    "table with a gene twice": (
        lambda f: bad_table(f, "gene_id\ta\nENSG00000000001.1\t1\nENSG00000000001.2\t2\n"),
        ["ENSG00000000001 twice"],
    ),
    "table of other genes": (
        lambda f: bad_table(f, "gene_id\ta\nENSG00000000009\t1\n"),
        ["none of them one of the 2 of the cohort", "ENSG00000000009"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_unusable_input(tmp_path: Path, name):
    use, words = CASES[name]
    with pytest.raises(InputError) as caught:
        use(tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_an_address_needs_a_pybigwig_with_curl(tmp_path, monkeypatch):
    monkeypatch.setattr(pyBigWig, "remote", 0)
    with pytest.raises(InputError, match="built with curl"):
        measure_bigwig("https://example.org/s.bw", tmp_path / "genes.gtf", list(GENES))


@pytest.mark.parametrize(("merged", "words"), [(True, "count for none"), (False, "for each")])
def test_the_log_says_how_the_model_counts_shared_bases(tmp_path, caplog, merged, words):
    path = write_gtf(tmp_path / "genes.gtf", GENES)
    if merged:
        first = next(iter(GENES))
        path.write_text(path.read_text().replace('transcript_id "T1"', f'transcript_id "{first}"'))
    with caplog.at_level("INFO"):
        read_exons(path, list(GENES))
    assert words in caplog.text
