"""External cohorts read from GEO's layouts and from files: samples, people, genes, units."""

import gzip

import numpy as np
import pandas as pd
import pytest
from geo_server import matrix_text, tpm_text, zipped

from mtm.analyses.transfer.external import ExternalCohort
from mtm.analyses.transfer.reading import Files, read_people
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
    chosen = External(
        expression="x", samples="y", units="tpm",
        group={"field": "group", "case": "case", "control": "control"}, **settings,
    )  # fmt: skip
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
