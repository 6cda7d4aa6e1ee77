"""Files of a cohort as people, R, Excel and other programs write them."""

import logging
import unicodedata

import numpy as np
import pandas as pd
import pytest

from mtm.cohort.build import build_cohort
from mtm.cohort.checks import Problems, check_cohort
from mtm.cohort.cohort import Cohort
from mtm.cohort.delimited import table_columns, text_table
from mtm.cohort.genes import read_gtf_genes
from mtm.cohort.matrices import iter_expression_blocks, read_expression_header
from mtm.cohort.spellings import differ_in, folded, near_name, without_zeros
from mtm.cohort.tables import read_sample_attributes
from mtm.errors import InputError
from mtm.pipeline.input_check import check_loaded
from mtm.settings.base import Label, Section
from mtm.settings.cohort import Columns

COLUMNS = Columns(sample_id="sample", donor="donor", tissue="tissue")
FILTERS = {"gene_biotypes": None, "min_samples_per_tissue": 1, "min_samples_per_donor": 1}


class Inputs:
    """Twelve donors with three tissues and thirty genes, as data frames that a test spoils."""

    def __init__(self, folder):
        rows = [(f"P{i:02d}", t) for i in range(1, 13) for t in ("Blood", "Liver", "Lung")]
        self.folder, self.samples = folder, pd.DataFrame(rows, columns=["donor", "tissue"])
        self.samples.insert(0, "sample", [f"S{i:03d}" for i in range(len(rows))])
        rng = np.random.default_rng(1)
        values = np.exp2(rng.uniform(2, 9, (30, 1)) + rng.normal(0, 0.7, (30, len(rows))))
        genes = pd.Index([f"G{i}" for i in range(30)], name="gene")
        self.values = pd.DataFrame(values, genes, list(self.samples["sample"]))
        self.donors = None

    def write(self):
        """Return the paths by role."""
        paths = {"expression": self.folder / "x.tsv", "sample_attributes": self.folder / "s.csv"}
        self.values.to_csv(paths["expression"], sep="\t")
        self.samples.to_csv(paths["sample_attributes"], index=False)
        if self.donors is not None:
            paths["subject_phenotypes"] = self.folder / "d.csv"
            self.donors.to_csv(paths["subject_phenotypes"], index=False)
        return paths

    def build(self, units="tpm", columns=COLUMNS, **options):
        """Return the cohort and its table of filters."""
        out = {name: self.folder / name for name in ("expression", "donors", "filtering")}
        given = FILTERS | {"units": units, "columns": columns, "progress": False} | options
        table = build_cohort(
            **self.write(), **given, **{f"out_{name}": path for name, path in out.items()}
        )
        return Cohort.read(out["expression"], out["donors"]), table


@pytest.fixture
def inputs(tmp_path):
    return Inputs(tmp_path)


def table(path, text, **options):
    path.write_text(text, **options)
    return text_table(path)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.tsv", "id\tsex\nx\tM\t\n", "Else: Leave tabs at the ends of lines out"),
        ("a.csv", "id,sex\nx,M,\n", "Else: Leave commas at the ends of lines out"),
        ("a.tsv", "id\tsex\n1\tx\tM\n", "the name of the first column: add it.$"),
    ],
)
def test_a_field_more_is_of_r_or_empty(tmp_path, name, text, says):
    with pytest.raises(InputError, match=f"line 2: found 3 fields.* {says}"):
        table(tmp_path / name, text)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda v: v.rename(columns={"S001": "gene_type"}), "If gene_type is no sample, take"),
        (lambda v: v.rename(columns={"S001": "S001.2"}), "If S001.2 is no sample, take"),
        (
            lambda v: v.rename(columns=lambda name: f"bam/{name}.bam"),
            "It has S000 for bam/S000.bam",
        ),
        (lambda v: v.rename(columns={"S001": "S1"}), "It has S001 for S1: write both alike"),
        (lambda v: v.rename(columns=lambda name: "Q" + name[1:]), "such as S000; samples of expr"),
    ],
)
def test_a_column_without_a_row_is_told_what_to_do(inputs, change, says):
    inputs.values = change(inputs.values)
    with pytest.raises(InputError, match=f"no row for .* first .* {says}"):
        inputs.build()


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("P-01", "P_01", True),
        ("P-01", "p 01", True),
        ("P - 01", "P.01", True),
        ("P\N{EN DASH}01", "P-01", True),
        ("Jose\N{COMBINING ACUTE ACCENT}", "Jos\N{LATIN SMALL LETTER E WITH ACUTE}", True),
        ("1.1", "1-1", False),
        ("A-1", "A1", False),
        ("P-1", "P-11", False),
        ("CD4+", "CD4-", False),
        ("CD8 T", "CD8- T", False),
        ("PBMC day 7", "PBMC day -7", False),
        ("PBMC LPS", "PBMC -LPS", False),
        ("Skin - Sun Exposed", "skin_sun  exposed", True),
        ("GTEX-1117F", "GTEX-111CU", False),
    ],
)
def test_names_that_look_alike(one, other, are_one):
    names = folded(pd.Series([one, other]))
    assert (names[0] == names[1]) == are_one


def test_a_donor_spelt_in_two_ways_is_warned_of(inputs, caplog):
    samples = inputs.samples
    samples["donor"] = samples["donor"].str.replace("P", "P-")
    path = inputs.write()["sample_attributes"]
    read_sample_attributes(path, COLUMNS)
    assert not caplog.text
    lung = samples["tissue"] == "Lung"
    samples.loc[lung, "donor"] = samples["donor"].str.replace("-", "_")
    read_sample_attributes(inputs.write()["sample_attributes"], COLUMNS)
    assert "donors 'P-01' and 'P_01' differ in capitals, blanks or signs" in caplog.text
    assert "(and 11 further names)" in caplog.text


@pytest.mark.parametrize(
    ("here", "there", "twins"),
    [
        ("{}", "{}.0", True),
        ("{}", "{:03d}", True),
        ("P{:02d}", "P{}", True),
        ("1.{}", "1.{}0", False),
        ("{}", "1{:02d}", False),
        ("1.{:02d}", "1.{}", False),
    ],
)
def test_donors_that_differ_in_zeros_that_programs_add_or_leave_out_are_warned_of(
    inputs, caplog, here, there, twins
):
    number, blood = inputs.samples["donor"].str[1:].astype(int) % 9 + 1, "Blood"
    of = [there if tissue == blood else here for tissue in inputs.samples["tissue"]]
    inputs.samples["donor"] = [name.format(n) for name, n in zip(of, number, strict=True)]
    read_sample_attributes(inputs.write()["sample_attributes"], COLUMNS)
    assert ("differ in zeros alone and are taken for 2 people" in caplog.text) == twins


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (["P7", "P07"], "zeros alone"),
        (["7", "7.0"], "zeros alone"),
        (["P-7", "P-07", "P-007"], "zeros alone"),
        (["p7", "P07"], "zeros, capitals, blanks or signs (- _ .) alone"),
        (["P-7", "P_07"], "zeros, capitals, blanks or signs (- _ .) alone"),
        (["P-7", "P_7"], "capitals, blanks or signs (- _ .) alone"),
        (["p-7", "P-7"], "capitals alone"),
    ],
)
def test_what_names_differ_in_is_said_in_full(names, what):
    assert without_zeros(pd.Series(names)).nunique() == 1
    assert differ_in(names) == what


def test_a_measure_is_no_name_of_a_sample():
    assert near_name("101", ["patient_102", "patient_101"], within=True) == "patient_101"
    assert near_name("101", ["101.5", "0.101"], within=True) is None
    assert near_name("S01", ["S01.1"], within=True) == "S01.1"


def test_a_donor_spelt_otherwise_in_the_table_of_donors_is_named(inputs):
    inputs.donors = pd.DataFrame({"donor": inputs.samples["donor"].unique()})
    inputs.donors.loc[4:6, "donor"] = ["p05", "p06", "p07"]
    with pytest.raises(InputError, match="no row for 3 donors, first P05.*has 'p05' for 'P05'"):
        inputs.build()
    inputs.donors = inputs.donors[7:]
    with pytest.raises(InputError, match="no row for 7 donors, first P01.*an empty field"):
        inputs.build()


def test_samples_that_are_copies_are_warned_of(inputs, caplog):
    inputs.build()
    check_cohort(Problems(), inputs.write(), FILTERS, "tpm", COLUMNS)
    assert "copies" not in caplog.text
    # Alike in sum, extremes and zeros, but no copy.
    inputs.values["S003"] = inputs.values["S007"].to_numpy()[::-1]
    for copy, of in (("S010", "S004"), ("S020", "S005"), ("S021", "S005")):
        inputs.values[copy] = inputs.values[of]
    for tell in (
        inputs.build,
        lambda: check_cohort(Problems(), inputs.write(), FILTERS, "tpm", COLUMNS),
    ):
        caplog.clear()
        tell()
        assert "samples S004 and S010 have one value in every gene (and 2 further" in caplog.text
        assert "S003" not in caplog.text


def test_genes_that_became_dates_are_warned_of(inputs, caplog):
    inputs.values = inputs.values.rename(index={"G3": "2-Sep", "G4": "Mar-01", "G5": "HLA-DRA"})
    for tell in (
        inputs.build,
        lambda: check_cohort(Problems(), inputs.write(), FILTERS, "tpm", COLUMNS),
    ):
        caplog.clear()
        tell()
        assert "2 genes are dates, first 2-Sep" in caplog.text


def test_a_tissue_spelt_in_two_ways_is_refused(inputs):
    inputs.samples.loc[:8, "tissue"] = inputs.samples["tissue"].replace("Lung", "Lung-left")
    inputs.samples.loc[9:, "tissue"] = inputs.samples["tissue"].replace("Lung", "Lung.Left")
    with pytest.raises(InputError, match="'Lung.Left' .9 samples. and 'Lung-left' .3 samples."):
        read_sample_attributes(inputs.write()["sample_attributes"], COLUMNS)


def test_names_are_equal_however_accents_are_stored(inputs):
    def apart(names):
        return [unicodedata.normalize("NFD", name) for name in names]

    samples = inputs.samples.replace({"Lung": "R\u00fcckenmark"})
    samples["donor"], samples["sample"] = "\u00e4" + samples["donor"], "\u00e9" + samples["sample"]
    inputs.donors = pd.DataFrame({"donor": samples["donor"].unique(), "sex": "M"})
    inputs.values.columns = apart(samples["sample"])
    inputs.samples = samples.copy()
    inputs.samples.loc[:8, "tissue"] = apart(samples["tissue"][:9])
    inputs.samples.loc[::2, "donor"] = apart(samples["donor"][::2])
    cohort, _ = inputs.build(source="R\u00fcckenmark")
    assert cohort.tissues == ("Blood", "Liver", "R\u00fcckenmark")
    assert list(cohort.donors.index) == sorted(samples["donor"].unique())
    assert set(cohort.samples.index) == set(samples["sample"])

    class Named(Section):
        name: Label

    assert Named(name="Ru\u0308ckenmark").name == "R\u00fcckenmark"


@pytest.mark.parametrize("kind", [None, "category"])
def test_a_word_for_what_is_not_known_is_no_category(inputs, kind):
    inputs.samples["diet"] = np.where(inputs.samples["donor"] < "P03", "NA", "chow")
    columns = COLUMNS.with_(covariates={"diet": {"kind": kind}})
    with pytest.raises(InputError, match="row 1, column diet of S000: found 'NA' .and 5 further"):
        read_sample_attributes(inputs.write()["sample_attributes"], columns)
    # Somebody may be given nothing.
    inputs.samples["diet"] = inputs.samples["diet"].replace({"NA": "None"})
    read = read_sample_attributes(inputs.write()["sample_attributes"], columns)
    assert set(read["diet"]) == {"None", "chow"}


def test_a_header_that_begins_with_a_hash(tmp_path):
    path = tmp_path / "d.tsv"
    path.write_text("# my cohort\n#donor\tsex\tage\nP1\tM\t4\n#2\tF\t5\n")
    expected = {"donor": ["P1", "#2"], "sex": ["M", "F"], "age": ["4", "5"]}
    assert text_table(path, ["donor"]).to_dict("list") == expected
    assert text_table(path, commented=True).to_dict("list") == expected
    assert table_columns(path, ["donor"]) == ["donor", "sex", "age"]
    path.write_text("# made\tin 2024\tby me\ndonor\tsex\tage\nP1\tM\t4\n")
    assert list(text_table(path, ["donor"])) == ["donor", "sex", "age"]
    assert table_columns(path, ["donor"]) == ["donor", "sex", "age"]
    # As dbGaP writes its tables.
    read = table(path, "# Study\n\n##\tphv1\tphv2\ndbGaP_Subject_ID\tSUBJID\tAGE\n1\ta\t4\n")
    assert list(read) == ["dbGaP_Subject_ID", "SUBJID", "AGE"]
    assert list(table(path, "# one\ttwo\ndonor\tsex\tage\nP1\tM\t4\n")) == ["donor", "sex", "age"]
    (tmp_path / "d.csv").write_text("#donor,sex\nP1,M\n")
    assert list(text_table(tmp_path / "d.csv", ["donor"])) == ["donor", "sex"]
    # A comment with as many commas as the header is none, whoever asks.
    path = tmp_path / "c.csv"
    path.write_text("# Cohort A, of 2024, by us\ndonor,sex,age\nP1,M,4\n")
    for told in ({}, {"columns": ["donor"]}):
        assert list(text_table(path, **told)) == ["donor", "sex", "age"]
    with pytest.raises(InputError, match="found columns .*'donor', 'sex'"):
        text_table(path, ["subject"])


@pytest.mark.parametrize(
    ("field", "read"),
    [
        ('"Skin, sun exposed"', "Skin, sun exposed"),
        ('"a 5"" needle"', 'a 5" needle'),
        ('"a 5\\" needle"', 'a 5" needle'),
        ('5" needle', '5" needle'),
        ('"5 pieces', '"5 pieces'),
        ('"one" and "two"', '"one" and "two"'),
        ('"', '"'),
    ],
)
def test_quotes_of_tab_text(tmp_path, field, read):
    assert table(tmp_path / "s.txt", f"a\tb\n1\t{field}\n")["b"].tolist() == [read]


@pytest.mark.parametrize(("name", "row"), [("s.csv", ",,"), ("s.tsv", "\t\t")])
def test_rows_without_a_filled_field_are_passed_over(tmp_path, name, row):
    sep = row[0]
    text = f"a{sep}b{sep}c\n1{sep}2{sep}3\n{row}\n\n4{sep}5{sep}6\n{row}\n{row}\n"
    assert table(tmp_path / name, text)["a"].tolist() == ["1", "4"]
    (tmp_path / f"x{name}").write_text(text)
    blocks = list(iter_expression_blocks(tmp_path / f"x{name}"))
    assert blocks[0].gene_ids == ["1", "4"]


def test_sex_and_age_in_two_tables_must_agree(inputs):
    names = inputs.samples["donor"].unique()
    inputs.samples["sex"], inputs.samples["age"] = "F", 63
    inputs.donors = pd.DataFrame({"donor": names[::-1], "sex": "F", "age": "60-69"})
    inputs.donors.loc[10:, ["sex", "age"]] = None
    columns = COLUMNS.with_(sex="sex", age="age")
    cohort, _ = inputs.build(columns=columns)
    assert (cohort.donors["sex"] == 2).all()
    # What the table of donors does not tell, samples do.
    assert cohort.donors.loc[["P01", "P02", "P03"], "age"].tolist() == [63, 63, 64.5]
    assert cohort.donors["age_bracket"].eq("60-69").all()
    inputs.donors.loc[[3, 4], "sex"] = "M"
    said = "d.csv, row 5, column sex of P08: found 1 .and 1 further donor .*expected 2, .*s.csv"
    with pytest.raises(InputError, match=said):
        inputs.build(columns=columns)
    problems = Problems()
    paths = {role: str(path) for role, path in inputs.write().items()}
    check_cohort(problems, paths, FILTERS | {"exclude_tissues": ()}, "tpm", columns)
    assert [error.found[:1] for error in problems.found] == ["1"]
    inputs.donors.loc[0, "age"] = "50-59"
    with pytest.raises(
        InputError, match="2 problems:\n.*column sex of P08.*\n.*column age of P12"
    ):
        inputs.build(columns=columns)
    inputs.donors["sex"] = None
    with pytest.raises(InputError, match="row 1, column age of P12: found 50-59; expected 63"):
        inputs.build(columns=columns)
    # A donor may be a year or two older at sampling than at enrolment.
    for age in ("63.4", "61"):
        inputs.donors.loc[0, "age"] = age
        assert inputs.build(columns=columns)[0].donors.loc["P12", "age"] == float(age)


def test_a_default_column_that_a_covariate_names_is_that_alone(inputs, caplog):
    inputs.samples["AGE"] = inputs.samples["donor"].str[1:].astype(int) + 130
    columns = Columns(sample_id="sample", donor="donor", tissue="tissue")
    with pytest.raises(InputError, match="age_weeks: {column: AGE}"):
        read_sample_attributes(inputs.write()["sample_attributes"], columns)
    columns = columns.with_(covariates={"age_weeks": {"column": "AGE"}})
    cohort, _ = inputs.build(columns=columns)
    assert "column AGE is a covariate of your own, and age is not read from it" in caplog.text
    assert list(cohort.donors) == ["age_weeks"]
    assert cohort.donors.loc["P03", "age_weeks"] == 133
    # A column that is named for its role is read as both.
    inputs.samples = inputs.samples.rename(columns={"AGE": "age"})
    inputs.samples["age"] -= 100
    columns = columns.with_(age="age", covariates={"months": {"column": "age"}})
    assert {"age", "months"} <= set(inputs.build(columns=columns)[0].donors)


ROW = '2L\tx\t{}\t{}\t{}\t.\t-\t.\tgene_id "{}";{}\n'


@pytest.mark.parametrize("kinds", [("gene", "exon"), ("exon",)])
def test_a_gene_model_without_biotypes_or_genes(inputs, kinds):
    path = inputs.folder / "g.gtf"
    rows = [ROW.format(k, 101, 1100 + i, f"G{i}", "") for i in range(30) for k in kinds]
    path.write_text("".join(rows) + ROW.format("exon", 11, 20, "G0", ""))
    with pytest.raises(InputError, match="set filters.gene_biotypes to null"):
        inputs.build(gene_model=path, gene_biotypes=("protein_coding",))
    genes = read_gtf_genes(path)
    assert genes["biotype"].isna().all()
    assert genes.loc["G0", ["strand", "end"]].tolist() == ["-", 1100]
    inputs.values = (9 * inputs.values).round().astype(int)
    cohort, _ = inputs.build("counts", gene_model=path)
    lengths = np.array([1010, *range(1001, 1030)])
    rate = inputs.values[cohort.samples.index].T / lengths
    expected = 1e6 * rate.div(rate.sum(1), axis=0)
    np.testing.assert_allclose(cohort.expr_tpm, expected, rtol=1e-5)


def test_biotypes_of_a_gene_model_of_exons_alone(tmp_path):
    path = tmp_path / "g.gtf"
    kinds = [(1, "a", "lncRNA"), (50, "b", "protein_coding"), (30, "a", "lncRNA")]
    path.write_text(
        "".join(ROW.format("exon", n, n + 9, g, f' gene_biotype "{k}";') for n, g, k in kinds)
    )
    genes = read_gtf_genes(path, biotypes=True)
    assert genes["biotype"].to_dict() == {"a": "lncRNA", "b": "protein_coding"}
    assert genes.loc["a", ["start", "end"]].tolist() == [1, 39]


def test_how_many_pairs_of_donor_and_tissue_stand_twice_is_said(inputs):
    inputs.samples["tissue"] = inputs.samples["tissue"].replace("Lung", "Liver")
    with pytest.raises(InputError) as caught:
        inputs.build()
    assert "samples S001 and S002 (and 11 further pairs of donor and tissue)" in str(caught.value)
    assert "columns.donor, columns.tissue" in str(caught.value)


def test_an_h5ad_is_no_table(tmp_path):
    path = tmp_path / "x.h5ad"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(InputError) as caught:
        text_table(path)
    assert "Write its obs as a table" in str(caught.value)


def test_lines_before_the_header_of_an_expression_file(inputs):
    path = inputs.write()["expression"]
    plain = path.read_text()
    path.write_text("# Program:featureCounts v2.0.1; Command:x\n# and\tmore\n" + plain)
    assert read_expression_header(path).sample_ids == tuple(inputs.samples["sample"])
    (block,) = iter_expression_blocks(path)
    np.testing.assert_allclose(block.expr_tpm, inputs.values, rtol=1e-5)
    path.write_text(path.read_text().replace("G4\t", "G4\tx"))
    with pytest.raises(InputError, match="line 8 .gene G4"):
        list(iter_expression_blocks(path))
    path.write_text("#" + plain)
    assert read_expression_header(path).sample_ids == tuple(inputs.samples["sample"])
    path.write_text("#1.2\n30\t36\n" + plain)
    with pytest.raises(InputError, match="It begins as a GCT"):
        read_expression_header(path)


def test_columns_of_featurecounts_are_told_of(inputs):
    for name, value in zip(
        ("Length", "Strand", "End", "Start", "Chr"), (9, "+;+", "7;9", "1;8", "1;1"), strict=True
    ):
        inputs.values.insert(0, name, value)
    path = inputs.write()["expression"]
    path.write_text("# Program:featureCounts\n" + path.read_text())
    with pytest.raises(InputError, match="line 2, .*columns Chr, .*cut -f1,7- x.tsv"):
        read_expression_header(path)


def test_text_in_latin_1_is_to_be_saved_as_utf_8(inputs):
    inputs.values.columns = "\u00dc" + inputs.values.columns
    inputs.samples["tissue"] = inputs.samples["tissue"].replace("Lung", "R\u00fccken")
    paths = inputs.write()
    for path in paths.values():
        path.write_bytes(path.read_text().encode("latin-1"))
    for read, role in (
        (read_expression_header, "expression"),
        (text_table, "sample_attributes"),
    ):
        with pytest.raises(InputError, match="save it as UTF-8"):
            read(paths[role])


def config(paths, **changes):
    roles = {role: str(path) for role, path in paths.items()}
    return {
        "cohort": "c",
        "inputs": roles | {"units": "tpm"},
        "columns": {"sample_id": "sample", "donor": "donor", "tissue": "tissue"},
        "source": "Blood",
        "filters": FILTERS,
        "folds": {"scheme": "balanced", "n_folds": 2},
        "models": {"ridge": {"class": "ridge"}},
    } | changes


def test_the_check_draws_the_folds(inputs):
    check_loaded(config(inputs.write()))
    many = config(inputs.write(), folds={"scheme": "balanced", "n_folds": 13})
    with pytest.raises(InputError, match="12 donors for 13 folds"):
        check_loaded(many)
    inputs.samples = inputs.samples[
        (inputs.samples["tissue"] != "Lung") | (inputs.samples["donor"] == "P01")
    ]
    inputs.values = inputs.values[inputs.samples["sample"]]
    with pytest.raises(InputError, match="no training sample of tissue 'Lung'"):
        check_loaded(config(inputs.write()))
    # A source that there is not is one problem.
    with pytest.raises(InputError) as caught:
        check_loaded(config(inputs.write(), source="Blod"))
    assert len(caught.value.parts) == 1


def test_genes_without_a_length_are_left_out_and_told_of(inputs, caplog):
    caplog.set_level(logging.WARNING)
    path = inputs.folder / "g.gtf"
    inputs.values = (9 * inputs.values).round().astype(int)

    def model(n):
        rows = [ROW.format(k, 1, 1000, f"G{i}", "") for i in range(n) for k in ("gene", "exon")]
        path.write_text("".join(rows))

    model(6)
    cohort, table = inputs.build("counts", gene_model=path)
    assert list(cohort.genes.index) == [f"G{i}" for i in range(6)]
    np.testing.assert_allclose(cohort.expr_tpm.sum(1), 1e6, rtol=1e-5)
    assert table.iloc[-1][["step", "n_genes"]].tolist() == ["gene lengths", 6]
    assert "24 of 30 genes of" in caplog.text
    caplog.clear()
    counts = config(inputs.write())
    counts["inputs"] |= {"units": "counts", "gene_model": str(path)}
    check_loaded(counts)
    assert "24 of 30 genes of" in caplog.text
    caplog.clear()
    model(29)
    counts["models"] = {"ridge": {"class": "ridge"}}
    check_loaded(counts)
    cohort, table = inputs.build("counts", gene_model=path)
    assert len(cohort.genes) == 29
    assert not caplog.text
    model(30)
    assert "gene lengths" not in set(inputs.build("counts", gene_model=path)[1]["step"])
    path.write_text(ROW.format("gene", 1, 1000, "X", "") + ROW.format("exon", 1, 1000, "X", ""))
    with pytest.raises(InputError, match="none of the genes of the expression file"):
        check_loaded(counts)
