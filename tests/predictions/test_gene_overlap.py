import numpy as np
import pandas as pd
import pytest
from people import five_donors

from mtm.errors import InputError
from mtm.predictions.gene_overlap import (
    find_genes,
    gene_names,
    match_genes,
    refuse_genes_as_samples,
)


@pytest.fixture
def genes():
    return five_donors().genes


def test_genes_match_by_version_then_without(genes):
    given = ["ENSG00000000005.9", genes.index[1], "ENSG00000000000", "ENSG00000000000_PAR_Y"]
    columns, overlap = match_genes(genes, [*given, "ENSG00000099999.1"], 0.5)
    np.testing.assert_array_equal(columns, [2, 1, -1, -1, -1, 0, 3])
    assert (overlap.n_exact, overlap.n_unversioned, overlap.n_model) == (1, 3, 7)
    assert overlap.fraction == pytest.approx(4 / 7)
    assert "57.1%" in str(overlap)
    assert "1 gene of the data is not used" in str(overlap)


def test_the_exact_version_wins(genes):
    columns, overlap = match_genes(genes, [*genes.index[1:], "ENSG00000000000.1"], 1.0)
    np.testing.assert_array_equal(columns, [6, 0, 1, 2, 3, 4, 5])
    assert overlap.n_exact == 7


def test_poor_overlap_is_refused_with_the_reason(genes):
    with pytest.raises(
        InputError,
        match=r"3 of the model's 7 genes \(42.9%\).*leave missing genes out.*--min-overlap",
    ):
        match_genes(genes, list(genes.index[:3]))
    with pytest.raises(InputError, match="no gene of the model.*gene symbols"):
        match_genes(genes, list(genes["symbol"]))
    with pytest.raises(InputError, match="no gene of the model.*Use Ensembl gene ids") as caught:
        match_genes(genes, ["7157", "672"], 0.0)
    assert "7157" in str(caught.value)
    assert "ENSG00000000000.1" in str(caught.value)
    with pytest.raises(InputError, match="2 times"):
        match_genes(genes, [*genes.index, genes.index[0]])
    with pytest.raises(InputError, match=r"ENSG00000000001\.2, ENSG00000000001\.3"):
        match_genes(genes, ["ENSG00000000001.2", "ENSG00000000001.3"], 0.1)


@pytest.mark.parametrize(
    ("of_model", "given", "says"),
    [
        (["ENSG00000000001.4"], ["ENSMUSG00000000001"], r"another species \(ENSMUSG, not ENSG\)"),
        (["TP53", "MYC"], ["ENSG00000000001"], "names of the kind that the model was trained on"),
        (
            ["TP53", "MYC"],
            ["Tp53", "Myc"],
            "2 of them differ from.*in capitals alone.* its species",
        ),
        (["AT1G01010"], ["at1g01010"], "1 of them differs"),
        (["7157", "672"], ["TP53", "BRCA1"], "names of the kind that the model was trained on"),
    ],
)
def test_genes_of_another_kind_are_told_what_kind_is_meant(of_model, given, says):
    genes = pd.DataFrame({"symbol": of_model}, index=of_model)
    with pytest.raises(InputError, match=f"no gene of the model.*{says}"):
        match_genes(genes, given)


def test_samples_called_like_genes_are_rows(genes):
    refuse_genes_as_samples(genes, ["MYC", "person-1", "person-2", "person-3"], "blood.csv")
    for names in (genes["symbol"], genes.index.str.split(".").str[0]):
        with pytest.raises(InputError, match="blood.csv, sample ids: found gene .*Transpose"):
            refuse_genes_as_samples(genes, list(names), "blood.csv")


def test_ids_that_differ_in_capitals_alone_stay_apart():
    genes = pd.DataFrame({"symbol": ["a", "b", "c"]}, index=["Dl", "dl", "Dll"])
    for name, columns in (("Dl", [0]), ("dl", [1]), ("DLL", [2])):
        found = find_genes(genes, [name])
        assert (list(found.columns), found.ambiguous) == (columns, {})
    found = find_genes(genes, ["DL"])
    assert (list(found.columns), found.ambiguous) == ([0, 1], {"DL": ["Dl", "dl"]})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("g.txt", 'symbol\n"SYM1"\nSYM2\n'),
        ("g.txt", '"symbol"\n"SYM1"\n"SYM2"\n'),
        ("g.csv", "Gene Symbol,note\nSYM1,a\nSYM2,b\n"),
        ("g.csv", '"","Symbol"\n"1","SYM1"\n"2","SYM2"\n'),
        ("g.tsv", "\ufeffrank\tgene_id\n# a note\n1\tSYM1\n\n2\tSYM2\t\n"),
        ("g.txt", "SYM1\tx\nSYM2\n"),
        ("g.tsv", "SYM1\tgene\nSYM2\tgene\n"),
        ("g.csv", "ID,description\nSYM1,of SYM2\nSYM2,of SYM1\n"),
    ],
)
def test_a_file_of_genes_is_split_as_tables_are(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert gene_names(str(tmp_path / name)) == ["SYM1", "SYM2"]
