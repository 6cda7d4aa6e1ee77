"""Series of GEO: their samples, and the genes that rows of matrices are."""

import gzip

import numpy as np
import pandas as pd
import pytest
from geo_server import matrix_text, zipped
from real_data import ANNOTATION, SHARED, needs_annotation

from mtm.cohort.gene_names import ENTREZ, NAMES, gene_names, place_rows
from mtm.cohort.geo.series import read_series_matrix
from mtm.cohort.text_matrices import is_short, iter_text_blocks, read_text_header
from mtm.errors import InputError


def write(folder, text, name="GSE184050_series_matrix.txt.gz"):
    path = folder / name
    path.write_bytes(zipped(text) if path.suffix == ".gz" else text.encode())
    return path


def test_keys_of_characteristics_stand_in_any_order_and_are_missing_in_some(tmp_path):
    cells = [
        ("disease state: T2D", "Sex: male", "age: 40"),
        ("sex: female", "disease state: control", "timepoint: baseline"),
        ("", "age (years): NA", "just text"),
        ("ratio: 1:2", "Disease State: n/a", "sex: "),
    ]
    path = write(tmp_path, matrix_text(characteristics=cells, gsm=("GSM1", "GSM2", "GSM3")))
    series = read_series_matrix(path)
    assert (series.accession, series.kinds[0][:10]) == ("GSE184050", "Expression")
    samples = series.samples
    assert list(samples.index) == ["GSM1", "GSM2", "GSM3"]
    assert list(samples["disease_state"]) == ["T2D", "control", None]
    assert list(samples["sex"]) == ["female", "male", None]
    assert list(samples["age"]) == [None, None, "40"]
    assert samples.loc["GSM1", "ratio"] == "1:2"
    assert list(samples["characteristics_ch1"]) == [None, None, "just text"]
    assert "age_years" not in samples
    series.demand_human_rna("GSE184050")


def test_a_characteristic_called_like_a_line_of_geos_is_a_field_of_its_own(tmp_path):
    line = '!Sample_status\t"Public on Jan 01 2020"\t"Public on Jan 01 2020"\n!Sample_organism'
    text = matrix_text(characteristics=[("status: healthy", "sex: female")])
    samples = read_series_matrix(write(tmp_path, text.replace("!Sample_organism", line))).samples
    assert list(samples["status"]) == ["healthy", None]
    assert list(samples["sample_status"]) == ["Public on Jan 01 2020"] * 2
    # Without such a characteristic the line has its name.
    text = matrix_text().replace("!Sample_organism", line)
    assert list(read_series_matrix(write(tmp_path, text)).samples["status"]) == [
        "Public on Jan 01 2020"
    ] * 2  # fmt: skip


def test_a_characteristic_called_sample_is_not_the_samples_ids(tmp_path):
    text = matrix_text(characteristics=[("Sample: p1", "sample: p2")])
    samples = read_series_matrix(write(tmp_path, text)).samples
    assert "sample" not in samples
    assert list(samples["sample_ch1"]) == ["p1", "p2"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (matrix_text("GSE1"), ("the series 'GSE1'", "of GSE184050")),
        (matrix_text(kind="Expression profiling by array"), ("by array", "Arrays give no TPM")),
        (matrix_text(organism="Mus musculus"), ("samples of Mus musculus", "people")),
        (
            matrix_text(relation="SuperSeries of: GSE11, GSE12"),
            ("a superseries (of GSE11, GSE12)", "Name one of its parts"),
        ),
        (matrix_text(characteristics=[("sex: male",)]), ("1 cells", "2, one a sample", "line 7")),
        (matrix_text(gsm=("GSM1", "GSM1")), ("'GSM1' twice",)),
        ("GeneID\tGSM1\n1\t2\n", ("no !Series_geo_accession",)),
        ("", ("nothing in it",)),
    ],
)
def test_what_is_no_series_of_people_says_what_it_is(tmp_path, text, words):
    path = write(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_series_matrix(path).demand_human_rna("GSE184050")
    assert all(word in str(caught.value) for word in (*words, path.name)), caught.value


def test_a_head_without_end_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr("mtm.cohort.geo.series.MOST_LINES", 100)
    path = write(tmp_path, matrix_text().split("!series_matrix")[0] + "!Sample_x\n" * 200)
    with pytest.raises(InputError, match="more than 100 lines"):
        read_series_matrix(path)


def test_a_captcha_or_a_cut_file_says_so(tmp_path):
    path = tmp_path / "GSE1_series_matrix.txt.gz"
    path.write_bytes(b"\n<!DOCTYPE html><html>")
    with pytest.raises(InputError, match="a web page"):
        read_series_matrix(path)
    path.write_bytes(b"PK\3\4")
    with pytest.raises(InputError, match="not gzipped"):
        read_series_matrix(path)
    noise = bytes(np.random.default_rng(0).integers(0, 256, 100_000, np.uint8)).hex()
    path.write_bytes(gzip.compress((matrix_text() + noise).encode())[:-50_000])
    with pytest.raises(InputError, match=r"unreadable file.*Download or copy it again"):
        read_series_matrix(path)


GENES = pd.DataFrame(
    {"symbol": ["NOP53", "MARCHF1", "KDM5D", "TWIN", "TWIN2", "CD99", "OLD"]},
    index=[*(f"ENSG0000000000{i}.{i}" for i in range(1, 6)), "ENSG00000000006.1_PAR_Y",
           "ENSG00000000007.1"],
)  # fmt: skip
HGNC = (
    "symbol\tensembl_gene_id\tentrez_id\tprev_symbol\n"
    "NOP53\tENSG00000000001\t11\tGLTSCR2\n"
    "MARCHF1\tENSG00000000002\t12\tMARCH1|\"RNF171\"\n"
    "KDM5D\tENSG00000000003\t13\t\n"
    "TWIN\tENSG00000000004\t14\tBOTH\n"
    "TWIN2\tENSG00000000005\t15\tBOTH\n"
    "NEW\tENSG00000000099\t16\tOLD\n"
    "ELSE\t\t17\t\n"
)  # fmt: skip


@pytest.fixture
def hgnc(tmp_path):
    path = tmp_path / "hgnc.tsv"
    path.write_text(HGNC)
    return path


def counted(placed):
    return dict(zip(placed.report["step"], placed.report["n"], strict=True))


def test_old_symbols_are_found_and_ambiguous_ones_are_not(hgnc):
    rows = ["GLTSCR2", "NOP53", "RNF171", "BOTH", "1-Mar", "NOWHERE", "ELSE", "Sep-02"]
    placed = place_rows(rows, GENES, gene_names(hgnc))
    assert dict(zip(placed.row, placed.gene, strict=True)) == {0: 0, 1: 0, 2: 1}
    n = counted(placed)
    assert n["rows found by previous symbol"] == 2
    assert n["genes of several rows, which are summed in TPM"] == 1
    assert n["rows lost: a spreadsheet's date in place of a symbol"] == 2
    assert n["genes reached"] == 2
    out = np.zeros((8, 1))
    placed.sums(np.array([[1.0], [2], [4], [8]]), 0, out)
    placed.sums(np.array([[16.0], [32], [64]]), 4, out)
    assert list(out[:3, 0]) == [3, 4, 0]


def test_entrez_ids_go_by_ncbi_first_and_by_symbols_where_the_gene_model_is_older(hgnc, tmp_path):
    ncbi = tmp_path / "Human.GRCh38.p13.annot.tsv.gz"
    ncbi.write_bytes(
        zipped("GeneID\tSymbol\tEnsemblGeneID\n11\tNOP53\tENSG00000000003|ENSG00000000001\n"
               "99\tX\t\n")
    )  # fmt: skip
    rows = ["11", "12", "16", "17", "99", "1000"]
    by_hgnc = place_rows(rows, GENES, gene_names(hgnc))
    assert dict(zip(by_hgnc.row, by_hgnc.gene, strict=True)) == {0: 0, 1: 1, 2: 6}
    both = gene_names(hgnc, ncbi)
    assert both.loc[both["kind"] == ENTREZ, "source"].value_counts().to_dict() == {
        "HGNC": 5, "NCBI": 2,
    }  # fmt: skip
    placed = place_rows(rows, GENES, both)
    assert sorted(zip(placed.row, placed.gene, strict=True)) == [(0, 0), (0, 2), (1, 1), (2, 6)]
    n = counted(placed)
    assert n["rows of several genes, each of which takes the whole value"] == 1
    assert n["rows lost: Entrez id without a known Ensembl id"] == 3


def test_a_symbol_of_today_goes_before_earlier_ones(tmp_path):
    path = tmp_path / "hgnc.tsv"
    path.write_text(
        "symbol\tensembl_gene_id\tentrez_id\tprev_symbol\nNEW\tENSG00000000099\t16\tOLD|OLDER\n"
    )
    genes = [f"ENSG{i:011d}.1" for i in range(3)]
    genes = pd.DataFrame({"symbol": ["OLDER", "NEW", "OLD"]}, index=genes)
    assert list(place_rows(["16"], genes, gene_names(path)).gene) == [1]


def test_ensembl_ids_need_no_table_and_other_names_do():
    placed = place_rows(["ENSG00000000003", "ENSG00000000006.9_PAR_Y", "ENSG00000000044"], GENES)
    assert list(placed.gene) == [2, 5]
    with pytest.raises(InputError, match=r"Entrez ids such as 1, 2.*inputs\.gene_identifiers"):
        place_rows(["1", "2"], GENES)


@pytest.mark.parametrize("ids", [["FBgn01", "FBgn02", "FBgn03"], ["Actb", "Trp53", "Sox2"],
                                 ["11461", "22059", "20674"]])  # fmt: skip
def test_ids_that_are_no_ensembl_ids_are_the_cohort_s_own(ids):
    genes = pd.DataFrame({"symbol": ["a", "b", "c"]}, index=ids)
    for names in (None, pd.DataFrame(columns=NAMES)):
        placed = place_rows([ids[2], "unknown" if ids[0][0] > "9" else "7", ids[0]], genes, names)
        assert placed.row.tolist() == [0, 2]
        assert placed.gene.tolist() == [2, 0]
        assert "rows lost: not a gene of the cohort" in set(placed.report["step"])


def test_a_header_one_cell_short_is_that_of_its_samples(tmp_path):
    path = tmp_path / "counts.txt"
    path.write_text("case_1\tcontrol_1\nGLTSCR2\t1.0\t95.5\nKDM5D\t1.0\t1.2\n")
    assert is_short(path)
    assert read_text_header(path, "short").sample_ids == ("case_1", "control_1")
    (block,) = iter_text_blocks(path, "short")
    assert block.gene_ids == ["GLTSCR2", "KDM5D"]
    np.testing.assert_allclose(block.expr_tpm, [[1, 95.5], [1, 1.2]])


@needs_annotation
@pytest.mark.slow
def test_almost_all_protein_coding_genes_are_reached(tmp_path):
    folder = ANNOTATION
    table = pd.read_csv(folder / "gene_ids_entrez_ensembl_symbol.tsv.gz", sep="\t", dtype=str)
    table[table["source"] == "HGNC"].to_csv(tmp_path / "hgnc.tsv", sep="\t", index=False)
    genes = pd.read_csv(folder / "gtex_v8_protein_coding_19291.tsv.gz", sep="\t", index_col=0)
    rows = pd.read_csv(SHARED / "data/geo/ncbi_geneid_symbol_39376.tsv.gz", sep="\t", dtype=str,
                       keep_default_na=False)  # fmt: skip
    names = gene_names(tmp_path / "hgnc.tsv")
    reached = {
        column: counted(place_rows(list(rows[column]), genes, names))["genes reached"]
        for column in ("GeneID", "Symbol")
    }
    assert reached == {"GeneID": 19136, "Symbol": 19119}
