"""GEO's answers over HTTP, good and bad, and what ``mtm geo`` makes of them."""

import gzip

import anndata
import numpy as np
import pandas as pd
import pytest
import yaml
from geo_series import (
    ACCESSION,
    BAD,
    BLOOD,
    COUNTS,
    ENTREZ,
    GOOD,
    GSM,
    MATRIX,
    MEASURED,
    N_GENES,
    TPM,
    N,
    write_bundle,
    write_hgnc,
)
from geo_server import geo_server, matrix_text, packed, tpm_text, zipped

from mtm import cli
from mtm.pipeline.datasets import read_manifest, series_dataset
from mtm.pipeline.geo import fetch_series, manifest_path


@pytest.fixture
def server(monkeypatch):
    with geo_server(monkeypatch) as server:
        server.files = dict(GOOD)
        yield server


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("bundle") / "ridge.safetensors")


@pytest.fixture
def folder(tmp_path):
    return write_hgnc(tmp_path / "files")


def geo(bundle, folder, *more):
    out = folder.parent / "out"
    return cli.main(["geo", ACCESSION, "--bundle", str(bundle), "--out", str(out),
                     "--files", str(folder), "--permutations", "19", *more])  # fmt: skip


@pytest.mark.slow
def test_one_command_from_the_accession_to_the_page(server, bundle, folder, capsys):
    server.files[TPM] = packed(zipped(tpm_text(ENTREZ, MEASURED)))
    assert geo(bundle, folder) == 0
    out, said = folder.parent / "out", capsys.readouterr().err
    assert f"rows of the file: {len(ENTREZ)}" in said
    assert f"genes reached: {N_GENES}" in said
    assert f"samples without expression: 1 ({GSM[4]})" in said
    tissues = pd.read_csv(out / "predicted.tsv", sep="\t")
    assert set(tissues["tissue"]) == {"Liver", "Lung", BLOOD}
    assert set(tissues["comparison"]) == {"kept", "follow-up", "change"}
    # Person 2 has no first sample and so no change.
    assert (tissues["n_cases"] == N // 2 - 1).all()
    assert (tissues["n_controls"] == N // 2).all()
    page = (out / "index.html").read_text()
    assert ACCESSION in page
    assert "Change within people" in page
    checks = pd.read_csv(out / "checks.tsv", sep="\t")
    assert set(checks["sample_id"]) == set(anndata.read_h5ad(out / "expression.h5ad").obs_names)
    assert {path.suffix for path in out.glob("fig4_predicted.*")} == {".pdf", ".png", ".tsv"}
    asked = " ".join(server.seen)
    assert f"/geo/series/GSE184nnn/{ACCESSION}/matrix/{MATRIX}" in asked
    assert f"acc={ACCESSION}&format=file&file={TPM}" in asked
    # What is there is asked for no more, and results are replaced when told so alone.
    server.files = {}
    assert geo(bundle, folder) == 1
    assert "add --force" in capsys.readouterr().err
    assert geo(bundle, folder, "--force") == 0


@pytest.mark.parametrize("name", BAD)
def test_bad_answers_are_told_in_one_line(name, server, bundle, folder, capsys):
    file, answer, words = BAD[name]
    server.files.pop(file)
    if answer is not None:
        server.files[file] = answer
    assert geo(bundle, folder) == 1
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert all(word in said for word in words), said
    assert not (folder.parent / "out").exists()
    kept = {path.name for path in folder.iterdir() if "first_seen" not in path.name}
    # What reads well as a file of NCBI's is found wrong beside the series alone.
    beside = {file} if name in ("TPM of another series", "counts in place of TPM") else set()
    assert kept <= {"hgnc_complete_set.txt", MATRIX, TPM} - {file} | beside
    assert not list(folder.glob("*.part"))


def test_offline_all_files_and_their_places_are_listed(server, bundle, folder, capsys):
    (folder / "hgnc_complete_set.txt").unlink()
    server.files = {}
    assert geo(bundle, folder) == 1
    said = capsys.readouterr().err
    for file in (MATRIX, TPM, "hgnc_complete_set.txt"):
        assert f"to {folder / file}" in said


def test_without_groups_the_fields_are_listed(server, folder, capsys):
    out = folder.parent / "out"
    wanted = ["geo", ACCESSION, "--out", str(out), "--files", str(folder)]
    assert cli.main(wanted) == 1
    said = capsys.readouterr().err
    assert "disease_state (24 samples): 'T2D' (12), 'control' (12)" in said
    assert cli.main(["geo", "GSE12x", "--out", str(out)]) == 1
    assert "'GSE12x'" in capsys.readouterr().err
    for name, found in (("none", "no such folder"), ("hgnc_complete_set.txt", "a file")):
        given = folder / name
        assert cli.main(["geo", ACCESSION, "--out", str(out), "--files", str(given)]) == 1
        assert f"--files {given}: found {found}" in capsys.readouterr().err


def described(server, *lines, gsm=GSM):
    """Serve the series with other characteristics: key, and what gives a sample's value."""
    cells = [[f"{key}: {value(i)}" for i in range(len(gsm))] for key, value in lines]
    server.files[MATRIX] = packed(zipped(matrix_text(characteristics=cells, gsm=gsm)))


def group(i):
    return "T2D" if i // 2 < N // 2 else "control"


@pytest.fixture
def unknown(tmp_path):
    """Options of a series that no preset knows."""
    (tmp_path / "empty.yaml").write_text("cohort: x\n")
    return ["--config", str(tmp_path / "empty.yaml")]


GROUPED = ["--group", "disease", "--case", "T2D", "--control", "control"]


@pytest.mark.slow
def test_what_is_unknown_of_people_is_missing_and_other_names_are_found(
    server, bundle, folder, capsys, unknown
):
    ages = {
        3: "unknown",
        5: ">89",
        6: "44 y.o.",
        7: "90+",
        8: "NA",
        9: "60-69 years",
        10: "60 \N{MINUS SIGN} 69",
    }
    described(
        server,
        ("disease", group),
        ("age (years)", lambda i: ages.get(i, 40 + i)),
        ("gender", lambda i: "not recorded" if i == 2 else "MF"[i % 2]),
    )
    assert geo(bundle, folder, *unknown, *GROUPED) == 0
    said, out = capsys.readouterr().err, folder.parent / "out"
    assert "people compared whose sex is known: 22" in said
    assert "people compared whose age is known: 21" in said
    samples = pd.read_csv(out / "samples.tsv", sep="\t").set_index("sample")
    assert list(samples.loc[[GSM[i] for i in (5, 6, 7, 9, 10)], "age"]) == [89, 44, 90, 64.5, 64.5]
    assert (pd.read_csv(out / "predicted.tsv", sep="\t")["covariates"] == "sex, age").all()


@pytest.mark.slow
def test_samples_that_differ_or_may_be_of_one_person_are_warned_of(
    server, bundle, folder, capsys, unknown
):
    described(
        server,
        ("disease", group),
        ("subject id", lambda i: i // 2),
        ("cell type", lambda i: "PBMC" if i % 2 else "whole blood"),
    )
    assert geo(bundle, folder, *unknown, *GROUPED) == 0
    said = capsys.readouterr().err
    assert "warning: samples that differ: 23 (cell_type: 'PBMC' (12), 'whole blood' (11))" in said
    assert "subject_id has 12 values in 23 samples, each taken for a person" in said
    rest = ["--donor", "subject id", "--keep", "cell type=whole blood", "--force"]
    assert geo(bundle, folder, *unknown, *GROUPED, *rest) == 0
    assert "warning: samples" not in capsys.readouterr().err


@pytest.fixture
def sorted_cells(server, tmp_path):
    """Serve whole blood and sorted cells; options of a configuration that keeps the blood."""
    described(
        server,
        ("disease", lambda i: "T2D" if i % 2 else "control"),
        ("celltype", lambda i: "Whole Blood" if i < 16 else "B-cells"),
        ("gender", lambda i: "Male" if i % 4 < 2 else "Female"),
    )
    path, lab = tmp_path / "cells.yaml", {"geo": ACCESSION, "keep": {"celltype": "Whole Blood"}}
    path.write_text(yaml.safe_dump({"external": {"lab": lab}}))
    return ["--config", str(path), *GROUPED]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "n", "words"),
    [
        ([], 15, "keep celltype Whole Blood; follow-up null"),
        (["--keep", "gender=Male"], 7, "keep celltype Whole Blood, gender Male; follow-up null"),
        (["--keep", "Cell type=B-cells", "--keep", "celltype=null"], 0, ""),
        (["--keep", "celltype=B-cells"], 8, "keep celltype B-cells; follow-up null"),
        (["--keep", "celltype=null", "--keep", "gender=Male"], 11, "keep gender Male; follow-up"),
        (["--keep", "null"], 23, "keep null; follow-up null; donor null, each sample a person"),
    ],
)
def test_an_option_takes_the_place_of_its_field_alone(
    server, bundle, folder, capsys, sorted_cells, more, n, words
):
    if not n:
        assert geo(bundle, folder, *sorted_cells, *more) == 1
        assert "a field 'Cell type'" in capsys.readouterr().err
        return
    assert geo(bundle, folder, *sorted_cells, *more) == 0
    said, out = capsys.readouterr().err, folder.parent / "out"
    assert f"samples and people are chosen by: {words}" in said
    assert f"samples compared: {n}" in said
    page = (out / "index.html").read_text()
    assert words in page
    assert "taken not to have seen them" in page


@pytest.mark.slow
def test_null_undoes_the_later_samples_of_a_preset(server, bundle, folder, capsys):
    assert geo(bundle, folder, "--follow-up", "null", "--keep", "timepoint=follow-up") == 0
    said = capsys.readouterr().err
    assert "keep timepoint follow-up; follow-up null; donor individual" in said
    assert set(pd.read_csv(folder.parent / "out/predicted.tsv", sep="\t")["comparison"]) == {
        "kept"
    }


@pytest.mark.slow
@pytest.mark.parametrize("gsm", [GSM, GSM[:1]], ids=["24 samples", "1 sample"])
def test_without_groups_people_are_written_for_mtm_predict(
    server, bundle, folder, capsys, unknown, gsm
):
    described(server, ("age", lambda i: 40 + i), gsm=gsm)
    server.files[TPM] = packed(zipped(tpm_text(ENTREZ[:200], gsm)))
    assert geo(bundle, folder, *unknown) == 0
    out, said = folder.parent / "out", capsys.readouterr().err
    assert "age (" in said
    assert "nothing is compared, as no --group says who is a case" in said
    assert not (out / "index.html").exists()
    told = out / "told.parquet"
    assert cli.main(["predict", "--bundle", str(bundle), "--source", BLOOD, "--out", str(told),
                     "--expression", str(out / "expression.h5ad")]) == 0  # fmt: skip
    assert set(pd.read_parquet(told)["donor"]) == set(gsm)


@pytest.mark.slow
def test_a_matrix_that_ends_early_is_found_and_needed_as_tpm_alone(
    server, bundle, folder, capsys, caplog
):
    # More than what is read ahead of the header.
    rng = np.random.default_rng(0)
    rows = [f"{i}\t" + "\t".join(rng.integers(0, 10**9, 24).astype(str)) for i in range(75_000)]
    whole = gzip.compress("\n".join(["\t".join(["GeneID", *GSM]), *rows]).encode(), 1)
    cut = packed(whole[: len(whole) - 1000])
    server.files[TPM] = cut
    assert geo(bundle, folder) == 1
    assert "found an unreadable file" in capsys.readouterr().err
    assert not (folder / TPM).exists()
    server.files |= {TPM: GOOD[TPM], COUNTS: cut}
    assert geo(bundle, folder) == 0
    assert "counts is left out: found an unreadable file" in caplog.text


def test_a_series_file_that_changes_is_told_of(server, folder):
    fetch_series(ACCESSION, None, folder, matrix_alone=True)
    server.files[MATRIX] = packed(zipped(matrix_text()))
    (folder / MATRIX).unlink()
    with pytest.raises(Exception, match="as when gse184050_series_matrix was first seen"):
        fetch_series(ACCESSION, None, folder, matrix_alone=True)


def test_addresses_stand_in_one_place_and_are_filled_in():
    manifest = read_manifest(manifest_path(), [("GSE7", None), ("GSE123456", "GPL96")])
    assert manifest[series_dataset("ncbi_tpm", "GSE7")].file.startswith("GSE7_norm_counts_TPM")
    matrix = manifest[series_dataset("series_matrix", "GSE7")]
    assert "/geo/series/GSEnnn/GSE7/matrix/GSE7_series_matrix.txt.gz" in matrix.url
    matrix = manifest[series_dataset("series_matrix", "GSE123456", "GPL96")]
    assert "/GSE123nnn/GSE123456/matrix/GSE123456-GPL96_series_matrix.txt.gz" in matrix.url
    assert not [name for name in manifest if "{" in name]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--out", "file"], "--out file: found a file"),
        (["--out", "o", "--bundle", "none.safetensors"], "none.safetensors: found no such file"),
        (["--out", "o", "--config", "none.yaml"], "none.yaml: found no such file"),
        (["--out", "o", "--config", "a.yaml"], "key external: found [1]"),
        (["--out", "o", "--config", "b.yaml"], "key external.x: found 'text'"),
        (["--out", "o", "--config", "c.yaml"], "key external.x.group: found 'text'"),
    ],
)
def test_options_are_looked_at_before_anything_is_fetched(
    options, words, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    for name, text in (("a", "[1]"), ("b", "{x: text}"), ("c", "{x: {geo: GSE7, group: text}}")):
        (tmp_path / f"{name}.yaml").write_text(f"external: {text}\n")
    assert cli.main(["geo", "GSE7", *options]) == 1
    said = capsys.readouterr().err
    assert words in said
    assert "http" not in said
    assert not (tmp_path / "o").exists()


def test_a_number_of_people_is_one(capsys):
    for text in ("x", "1", "9" * 5000):
        with pytest.raises(SystemExit):
            cli.main(["geo", "GSE7", "--out", "o", "--min-per-group", text])
        assert "is no number of 2 or more" in capsys.readouterr().err
