"""External cohorts read from GEO's layouts and from files: samples, people, genes, units."""

import gzip

import numpy as np
import pandas as pd
import pytest
from geo_server import matrix_text, tpm_text, zipped

from mtm.analyses.transfer.external import ExternalCohort
from mtm.analyses.transfer.people import doubts
from mtm.analyses.transfer.reading import Files, check_people, read_people, said_by_config
from mtm.cohort.gene_names import gene_names
from mtm.errors import InputError
from mtm.settings.external import External
from mtm.simulation.series import SeriesFiles, write_series

N_GENES = 50
GENES = pd.DataFrame(
    {"symbol": [f"G{i}" for i in range(N_GENES)]},
    index=pd.Index([f"ENSG{i:011d}.{1 + i % 7}" for i in range(N_GENES)], name="gene_id"),
)
PLAIN = GENES.index.str.split(".").str[0]
ENTREZ = pd.Series(1000 + 3 * np.arange(N_GENES), PLAIN)
SERIES = {"geo": "GSE900000001", "group": {"field": "disease_state", "case": "t2d",
          "control": ("control",)}}  # fmt: skip
TWICE = {"keep": {"timepoint": "baseline"}, "follow_up": {"timepoint": "follow-up"},
         "donor": "individual"}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of an external cohort, the same as a series, and HGNC's table."""
    folder = tmp_path_factory.mktemp("series")
    rng, n = np.random.default_rng(0), 24
    names = [f"EXT{i:02d}" for i in range(n)]
    table = pd.DataFrame(np.exp2(rng.normal(5, 1, (N_GENES, n))), PLAIN, names)
    table.rename_axis("gene_id").reset_index().to_csv(
        folder / "expression.tsv", sep="\t", index=False, float_format="%.4g"
    )
    group = np.where(np.arange(n) % 3 == 0, "case", "control")
    people = pd.DataFrame({"sample": names, "group": group, "sex": 1 + np.arange(n) % 2,
                           "age": 40 + np.arange(n)})  # fmt: skip
    people.to_csv(folder / "samples.tsv", sep="\t", index=False)
    hgnc = pd.DataFrame(
        {"symbol": GENES["symbol"].to_numpy(), "ensembl_gene_id": PLAIN,
         "entrez_id": ENTREZ.to_numpy(), "prev_symbol": [f"OLD{i}" for i in range(N_GENES)]}
    )  # fmt: skip
    hgnc.to_csv(folder / "hgnc.tsv", sep="\t", index=False)
    files = SeriesFiles.below(folder, SERIES["geo"])
    write_series(folder / "expression.tsv", folder / "samples.tsv", ENTREZ, files, unknown=[7, 8])
    return folder


def series(folder, names=None, **changes):
    files = SeriesFiles.below(folder, SERIES["geo"])
    if names is None:
        names = gene_names(folder / "hgnc.tsv", files.gene_table)
    settings = External(**(SERIES | TWICE | changes))
    return read_people(
        settings, Files(files.tpm, files.matrix, files.counts), GENES, names, min_per_group=3
    )


def test_a_series_is_what_its_files_are(folder, tmp_path):
    made = series(folder)
    files = read_people(
        External(expression="x", samples="y"),
        Files(folder / "expression.tsv", folder / "samples.tsv"), GENES, None, min_per_group=3,
    )  # fmt: skip
    of_files, of_series = files.cohort("x"), made.cohort("x")
    kept = of_series.kept()
    np.testing.assert_allclose(kept.expr_tpm, of_files.expr_tpm, rtol=1e-6)
    assert kept.gene_ids == of_files.gene_ids == list(GENES.index)
    for column in ("case", "sex", "age"):
        assert list(kept.samples[column]) == list(of_files.samples[column])
    assert len(of_series.pairs().samples) == 48
    assert made.samples["n_reads"].min() > 1000
    # By way of the pipeline's files nothing is lost.
    places = [tmp_path / name for name in ("e.h5ad", "s.tsv", "r.tsv")]
    made.write(*places)
    read = ExternalCohort.read(*places[:2])
    np.testing.assert_array_equal(read.expr_tpm, of_series.expr_tpm)
    np.testing.assert_array_equal(read.pairs().expr_tpm, of_series.pairs().expr_tpm)
    assert list(read.pairs().samples["donor"][:24]) == list(read.pairs().samples["donor"][24:])
    report = pd.read_csv(places[2], sep="\t").set_index("step")["n"]
    assert report["rows lost: Entrez id without a known Ensembl id"] == 2
    assert report["samples compared"] == 48


def test_without_ncbis_table_hgnc_serves(folder):
    by_hgnc = series(folder, gene_names(folder / "hgnc.tsv"))
    np.testing.assert_array_equal(by_hgnc.expr_tpm, series(folder).expr_tpm)


def test_samples_without_counts_are_named_and_their_people_left_out(folder, tmp_path):
    files = SeriesFiles.below(folder, SERIES["geo"])
    lines = gzip.decompress(files.tpm.read_bytes()).decode().splitlines()
    cut = [line.split("\t") for line in lines]
    gone = cut[0].index("GSM9000003")
    short = tmp_path / "tpm.tsv.gz"
    short.write_bytes(zipped("\n".join("\t".join(c[:gone] + c[gone + 1 :]) for c in cut) + "\n"))
    reading = read_people(
        External(**(SERIES | TWICE)), Files(short, files.matrix), GENES,
        gene_names(folder / "hgnc.tsv"), min_per_group=3,
    )  # fmt: skip
    reason = reading.samples.set_index("sample")["reason"]
    assert reason["GSM9000003"] == "no expression"
    assert reason["GSM9000004"] == "a follow-up of nobody who is kept"
    named = reading.report.set_index("step").loc["samples without expression"]
    assert (named["n"], named["detail"]) == (1, "GSM9000003")


def test_each_person_counts_once_and_values_may_have_patterns(folder):
    reading = series(folder, keep={"title": "blood*"}, follow_up={})
    reasons = reading.samples["reason"].value_counts()
    assert reasons["a further sample of the person"] == 24
    assert (reading.samples["visit"] == "kept").sum() == 24


def test_a_person_with_samples_of_both_groups_is_in_neither(folder):
    with pytest.raises(InputError, match="0 cases .*of a person in both groups"):
        series(folder, donor="timepoint", follow_up={})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"donor": "person"}, ("fields sample, title", "a field 'person'", "external.donor")),
        ({"group": {"field": "disease state", "case": "T1D", "control": "control"}},
         ("0 cases", "'control' (32)", "'T2D' (16)", "external.group.case")),
        ({"group": {"field": "disease state", "case": "T2D", "control": "*"}},
         ("GSM9000001", "a case and a control")),
        ({"age": "individual"}, ("GSM9000001, individual", "an age in years", "null to do")),
        ({"sex": "age"}, ("male or female",)),
        ({"follow_up": {"title": "*"}}, ("kept and a follow-up",)),
        ({"keep": {"timepoint": "never"}}, ("0 cases", "neither kept nor a follow-up")),
        ({"geo": "GSE2"}, ("the series 'GSE900000001'", "of GSE2")),
    ],
)  # fmt: skip
def test_what_samples_cannot_say_is_one_line(folder, changes, words):
    with pytest.raises(InputError) as caught:
        series(folder, **changes)
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)


def test_another_series_tpm_is_refused(tmp_path):
    matrix, tpm = tmp_path / "m.txt.gz", tmp_path / "t.tsv.gz"
    matrix.write_bytes(zipped(matrix_text("GSE900000001")))
    tpm.write_bytes(zipped(tpm_text(ENTREZ, ["GSM77", "GSM78"])))
    with pytest.raises(InputError, match=r"samples GSM77, GSM78, \.\.\., none of GSE900000001"):
        read_people(External(**SERIES), Files(tpm, matrix), GENES, None)


def test_submitted_counts_have_old_symbols_a_short_header_and_ones_for_zeros(tmp_path, folder):
    rng = np.random.default_rng(3)
    lengths = pd.Series(rng.integers(500, 5000, N_GENES).astype(float), GENES.index)
    counts = rng.poisson(40, (N_GENES, 8)) * (rng.random((N_GENES, 8)) < 0.8)
    scaled = np.where(counts == 0, 1.0, 1.5 + counts / rng.uniform(0.5, 1, 8))
    header = [f"case_sample_{i}" for i in range(4)] + [f"control_sample_{i}" for i in range(4)]
    rows = [f"OLD{i}\t" + "\t".join(map(str, row)) for i, row in enumerate(scaled)]
    path = tmp_path / "counts.txt.gz"
    path.write_bytes(zipped("\n".join(["\t".join(header), *rows]) + "\n"))
    settings = External(
        expression="x", units="counts",
        group={"field": "sample", "case": "case*", "control": "control*"},
    )  # fmt: skip
    reading = read_people(settings, Files(path), GENES, gene_names(folder / "hgnc.tsv"), lengths)
    rate = np.where(counts == 0, 0, scaled) / lengths.to_numpy()[:, None]
    np.testing.assert_allclose(reading.expr_tpm, (1e6 * rate / rate.sum(0)).T, rtol=1e-5)
    assert "zeros stored as 1" in set(reading.report["step"])
    assert list(reading.samples["case"]) == [1] * 4 + [0] * 4


def of_four(tmp_path, samples, **settings):
    """Read four samples of a lab's own files, two of each group."""
    table = pd.DataFrame(np.arange(4.0 * N_GENES).reshape(N_GENES, 4), PLAIN, list("ABCD"))
    table.rename_axis("gene_id").to_csv(tmp_path / "four.tsv", sep="\t")
    (tmp_path / "who.tsv").write_text(samples)
    group = {"field": "group", "case": "case", "control": "control"}
    settings = {"units": "tpm", "group": group} | settings
    chosen = External(expression="x", samples="y", **settings)
    files = Files(tmp_path / "four.tsv", tmp_path / "who.tsv")
    return read_people(chosen, files, GENES, None, min_per_group=1)


def test_names_of_people_that_look_like_numbers_stay_names(tmp_path):
    who = "sample\tgroup\tPatient ID\nA\tcase\t1.1\nB\tcase\t1.10\n"
    who += "C\tcontrol\t007\nD\tcontrol\t7\n"
    read = of_four(tmp_path, who, donor="patient id")
    assert list(read.samples["donor"]) == ["1.1", "1.10", "007", "7"]
    assert (read.samples["visit"] == "kept").all()


def test_a_field_called_donor_that_nobody_chose_is_pointed_at(tmp_path):
    who = "sample\tgroup\tdonor\nA\tcase\tP1\nB\tcase\tP1\nC\tcontrol\tP2\nD\tcontrol\tP3\n"
    report = of_four(tmp_path, who).report.set_index("step")
    detail = report.loc["samples that may be of one person", "detail"]
    assert detail == "donor has 3 values in 4 samples, each taken for a person"
    assert "samples that may be of one person" not in set(
        of_four(tmp_path, who, donor="donor").report["step"]
    )


def test_visits_and_groups_that_look_like_numbers_stay_text(tmp_path):
    who = "sample\tgroup\tVisit\nA\t01\t1.1\nB\t1\t1.1\nC\t02\t1.1\nD\t01\t1.10\n"
    codes = {"field": "group", "case": "01", "control": "02"}
    read = of_four(tmp_path, who, group=codes, keep={"visit": "1.1"}).samples
    assert list(read["visit"].isna()) == [False, True, False, True]
    assert list(read["reason"])[1::2] == [
        "neither case nor control: group 1", "neither kept nor a follow-up",
    ]  # fmt: skip
    # Where the configuration has a number, a table may have written it as a decimal one.
    who = "sample\tgroup\nA\t1.0\nB\t1\nC\t2.0\nD\t01\n"
    read = of_four(tmp_path, who, group={"field": "group", "case": 1, "control": 2}).samples
    assert list(read["case"].fillna(-1)) == [1, 1, 0, -1]
    # So may a code of the sex that groups, or visits, are told by.
    who = "sample\tgroup\tsex\nA\tcase\t1.0\nB\tcase\t\nC\tcontrol\t1.0\nD\tcontrol\t2.0\n"
    read = of_four(tmp_path, who, keep={"sex": 1}).samples
    assert list(read["sex"].fillna(-1)) == [1, -1, 1, -1]


def test_donors_that_nobody_knows_are_no_one_person(tmp_path):
    who = "sample\tgroup\twho\nA\tcase\tunknown\nB\tcase\tU\nC\tcontrol\tUnknown\nD\tcontrol\tP\n"
    read = of_four(tmp_path, who, donor="who").samples
    assert list(read["reason"]) == ["nobody's sample", "", "nobody's sample", ""]
    assert list(read["donor"])[1::2] == ["U", "P"]


@pytest.mark.parametrize("field", ["celltype", "Cell Type", "organ", "cell population"])
def test_samples_of_several_kinds_are_told_of_however_the_field_is_written(tmp_path, field):
    who = f"sample\tgroup\t{field}\nA\tcase\tblood\nB\tcase\tB cell\nC\tcontrol\tblood\n"
    report = of_four(tmp_path, who + "D\tcontrol\tblood\n").report.set_index("step")
    assert "'blood' (3), 'B cell' (1)" in report.loc["samples that differ", "detail"]
    assert (
        "samples that differ"
        not in of_four(tmp_path, who + "D\tcontrol\tblood\n", keep={field: ["blood", "B cell"]})
        .report.set_index("step")
        .index
    )


@pytest.mark.parametrize("field", ["donorid", "patientid", "Patient number", "donor_id"])
def test_people_with_several_samples_are_told_of_though_some_are_not_known(tmp_path, field):
    who = f"sample\tgroup\t{field}\nA\tcase\t7\nB\tcase\t7\nC\tcontrol\t\nD\tcontrol\tunknown\n"
    report = of_four(tmp_path, who).report.set_index("step")
    said = report.loc["samples that may be of one person", "detail"]
    assert said.endswith("has 1 value in 2 samples, each taken for a person")
    # Unknown people are not one, and ids are not repeated.
    who = who.replace("B\tcase\t7", "B\tcase\t8").replace("C\tcontrol\t", "C\tcontrol\tunknown")
    steps = set(of_four(tmp_path, who).report["step"])
    assert "samples that may be of one person" not in steps


def test_a_field_called_sample_that_was_meant_for_the_person_is_pointed_at():
    used = pd.DataFrame({"sample_ch1": ["p1", "p1", "p2"]}, list("ABC"))
    ((_, said),) = doubts(used, External(geo="GSE7", donor="Sample"))
    assert said == "sample_ch1 has 2 values in 3 samples, each taken for a person"
    assert doubts(used, External(geo="GSE7")) == []
    assert doubts(used, External(geo="GSE7", donor="sample_ch1")) == []


def lab(tmp_path, values, units, ids=PLAIN, lengths=None):
    """Check and read four samples, two of each group, of values in some units."""
    path = tmp_path / "lab.tsv"
    pd.DataFrame(values, ids, [f"{g}{i}" for g in ("case", "control") for i in "12"]).rename_axis(
        "gene_id"
    ).to_csv(path, sep="\t")
    group = {"field": "sample", "case": "case*", "control": "control*"}
    settings = External(expression="x", units=units, group=group)
    check_people(settings, Files(path), min_per_group=2, said_by=said_by_config)
    lengths = pd.Series(1000.0, GENES.index) if lengths is None else lengths
    return read_people(settings, Files(path), GENES, None, lengths)


MANY = [f"ENSG{i:011d}" for i in range(6000)]


@pytest.mark.slow
@pytest.mark.parametrize("checking", [True, False])
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("tpm", ("add up to 1000000, as TPM do", "external.units: tpm", "If they are CPM")),
        ("log2", ("looks log-scaled", "counts of reads", "external.units: log2")),
        ("flat", ("for every gene", "leave it out")),
    ],
)
def test_what_contradicts_counts_is_refused(tmp_path, monkeypatch, checking, kind, words):
    tpm = np.random.default_rng(0).gamma(0.3, 1, (6000, 4))
    tpm *= 1e6 / tpm.sum(0)
    values = {"tpm": tpm, "log2": np.log2(1 + tpm), "flat": np.full((6000, 4), 7)}[kind]
    if not checking:
        monkeypatch.setitem(globals(), "check_people", lambda *_, **options: None)
    with pytest.raises(InputError) as caught:
        lab(tmp_path, values, "counts", MANY)
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.slow
def test_cpm_come_out_right_once_they_do_not_look_like_tpm(tmp_path):
    counts = np.random.default_rng(0).poisson(30, (6000, 4))
    lengths = pd.Series(np.arange(500.0, 500 + N_GENES), GENES.index)
    of_counts = lab(tmp_path, counts, "counts", MANY, lengths)
    of_cpm = lab(tmp_path, counts * (20e6 / counts.sum(0)), "counts", MANY, lengths)
    np.testing.assert_allclose(of_cpm.expr_tpm, of_counts.expr_tpm, rtol=1e-5)


def test_rpkm_are_divided_by_their_sum_over_the_file(tmp_path):
    tpm = np.random.default_rng(0).gamma(0.3, 1, (6000, 4))
    tpm *= 1e6 / tpm.sum(0)
    read = lab(tmp_path, tpm * [0.4, 0.5, 0.45, 0.3], "rpkm", MANY)
    np.testing.assert_allclose(read.expr_tpm, tpm[:N_GENES].T, rtol=1e-5)
    assert "samples made TPM from RPKM" in set(read.report["step"])
    # Of few genes the sum says nothing.
    few = tpm[:N_GENES] * 0.4
    read = lab(tmp_path, few, "rpkm")
    np.testing.assert_allclose(read.expr_tpm, few.T, rtol=1e-5)
    assert "samples left as RPKM" in set(read.report["step"])


def test_genes_without_a_length_are_left_out_of_counts(tmp_path):
    counts = np.random.default_rng(0).poisson(50, (N_GENES, 4))
    lengths = pd.Series(1000.0, GENES.index)
    lengths.iloc[:20] = np.nan
    read = lab(tmp_path, counts, "counts", lengths=lengths)
    assert list(read.gene_ids) == list(GENES.index[20:])
    row = read.report.set_index("step").loc["genes reached without a length, left out"]
    assert row["n"] == 20
    assert row["detail"].startswith(GENES.index[0])
    np.testing.assert_allclose(read.expr_tpm.sum(1), 1e6, rtol=1e-5)


def test_counts_that_cannot_be_read_are_told_of_and_not_needed(folder, tmp_path):
    files = SeriesFiles.below(folder, SERIES["geo"])
    bad = tmp_path / "counts.tsv.gz"
    bad.write_bytes(zipped("GeneID\tGSM9000001\n1\tNA\n"))
    read = read_people(
        External(**(SERIES | TWICE)), Files(files.tpm, files.matrix, bad), GENES,
        gene_names(folder / "hgnc.tsv"), min_per_group=3,
    )  # fmt: skip
    assert "n_reads" not in read.samples
    assert (
        str(bad)
        in read.report.set_index("step").loc["samples whose reads are not known", "detail"]
    )


def test_a_series_that_does_not_look_like_tpm_is_left_out_or_believed(folder, tmp_path):
    files = SeriesFiles.below(folder, SERIES["geo"])
    tpm = pd.read_csv(files.tpm, sep="\t", index_col=0)
    tpm["GSM9000001"] = (tpm["GSM9000001"] * 10).round() + 1
    path = tmp_path / "tpm.tsv.gz"
    path.write_bytes(zipped(tpm.to_csv(sep="\t")))
    names = gene_names(folder / "hgnc.tsv")

    def read(**changes):
        settings = External(**(SERIES | TWICE | changes))
        assert not list(settings.problems())
        return read_people(settings, Files(path, files.matrix), GENES, names)

    with pytest.raises(InputError) as caught:
        read()
    assert "Leave the samples out by external.keep, or set external.units to tpm" in str(
        caught.value
    )
    visits = read(units="tpm").samples.set_index("sample")["visit"]
    assert visits["GSM9000001"] == "kept"
    visits = read(keep={"timepoint": "follow-up"}, follow_up={}).samples.set_index("sample")
    assert visits["visit"].notna().sum() == 24
