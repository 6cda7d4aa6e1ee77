"""GEO's answers over HTTP, good and bad, and what ``mtm geo`` makes of them."""

import gzip

import anndata
import numpy as np
import pandas as pd
import pytest
from geo_server import captcha, geo_server, matrix_text, packed, tpm_text, zipped
from real_data import SHARED

from mtm import cli
from mtm.cohort.cohort import Cohort
from mtm.models.base import Training
from mtm.models.registry import build
from mtm.pipeline.datasets import read_manifest, series_dataset
from mtm.pipeline.geo import fetch_series, manifest_path

ACCESSION, BLOOD = "GSE184050", "Whole Blood"
MATRIX = f"{ACCESSION}_series_matrix.txt.gz"
TPM = f"{ACCESSION}_norm_counts_TPM_GRCh38.p13_NCBI.tsv.gz"
COUNTS = f"{ACCESSION}_raw_counts_GRCh38.p13_NCBI.tsv.gz"
GENE_TABLE = "Human.GRCh38.p13.annot.tsv.gz"
GENE_IDS = SHARED / "data/geo/ncbi_geneid_symbol_39376.tsv.gz"
N, N_GENES = 12, 40
# Genes of the model among the rows of NCBI's matrix: the first of them.
ENTREZ = (
    pd.read_csv(GENE_IDS, sep="\t", usecols=["GeneID"])["GeneID"].tolist()
    if GENE_IDS.exists()
    else list(range(1, 400))
)
PLAIN = [f"ENSG{i:011d}" for i in range(N_GENES)]
GSM = [f"GSM{5576700 + i}" for i in range(2 * N)]


def characteristics():
    """Cells of the series: the keys' order differs between samples."""
    rng, rows = np.random.default_rng(0), []
    for i in range(2 * N):
        person = i // 2
        cells = [
            f"disease_state: {'T2D' if person < N // 2 else 'control'}",
            f"timepoint: {'follow-up' if i % 2 else 'baseline'}",
            f"individual: {person}",
            f"age: {40 + person}",
            f"Sex: {'male' if person % 2 else 'female'}",
        ]
        rows.append([cells[k] for k in rng.permutation(len(cells))])
    return list(zip(*rows, strict=True))


# One of the samples has no counts, as in the series itself.
MEASURED = [name for name in GSM if name != GSM[4]]
FEW = ENTREZ[:200]
GOOD = {
    MATRIX: packed(zipped(matrix_text(characteristics=characteristics(), gsm=GSM))),
    TPM: packed(zipped(tpm_text(FEW, MEASURED))),
    GENE_TABLE: captcha(),
}


@pytest.fixture
def server(monkeypatch):
    with geo_server(monkeypatch) as server:
        server.files = dict(GOOD)
        yield server


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A ridge of three tissues whose genes are the first rows of NCBI's matrix."""
    rng, names = np.random.default_rng(1), ("Liver", "Lung", BLOOD)
    states = rng.normal(size=(40, 4))
    values = [np.exp2(5 + states @ rng.normal(size=(4, N_GENES))) for _ in names]
    ids = pd.Index([f"D{i:02d}" for i in range(40)], name="donor")
    genes = pd.Index([f"{name}.1" for name in PLAIN], name="gene_id")
    cohort = Cohort(
        expr_tpm=np.concatenate(values).astype(np.float32),
        samples=pd.DataFrame(index=[f"{d}-{t}" for t in names for d in ids]),
        donor=np.tile(np.arange(40), 3),
        tissue=np.repeat(np.arange(3), 40),
        donors=pd.DataFrame(index=ids),
        tissues=names,
        genes=pd.DataFrame({"symbol": [f"G{i}" for i in range(N_GENES)]}, index=genes),
    )
    model = build("ridge", {"scale": "log2_z"})
    model.fit(Training(cohort, 2, device="cpu"))
    path = tmp_path_factory.mktemp("bundle") / "ridge.safetensors"
    model.save(path)
    return path


@pytest.fixture
def folder(tmp_path):
    """Files that are there: HGNC's table, which another server has."""
    folder = tmp_path / "files"
    folder.mkdir()
    rows = {"symbol": [f"G{i}" for i in range(N_GENES)], "ensembl_gene_id": PLAIN,
            "entrez_id": ENTREZ[:N_GENES]}  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "hgnc_complete_set.txt", sep="\t", index=False)
    return folder


def geo(bundle, folder, *more):
    out = folder.parent / "out"
    return cli.main(["geo", ACCESSION, "--bundle", str(bundle), "--out", str(out),
                     "--files", str(folder), "--permutations", "19", *more])  # fmt: skip


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


BAD = {
    "captcha in place of the matrix": (MATRIX, captcha(), ("a web page (a captcha", MATRIX)),
    "captcha as a file": (TPM, captcha("application/x-gzip"), ("a web page (a captcha", TPM)),
    "no such series": (
        MATRIX, None, ("HTTP status 404", "several platforms", f"files/{MATRIX}"),
    ),
    "no NCBI counts": (
        TPM, None, ("HTTP status 404", "NCBI made none", "TPM of your own", f"files/{TPM}"),
    ),
    "empty gzip": (TPM, packed(gzip.compress(b"")), ("a gzip file with nothing in it",)),
    "cut gzip": (MATRIX, packed(zipped(matrix_text())[:60]), ("unreadable file", "Nothing was")),
    "another series": (MATRIX, packed(zipped(matrix_text("GSE1"))), ("the series 'GSE1'",)),
    "microarray": (
        MATRIX, packed(zipped(matrix_text(kind="Expression profiling by array"))),
        ("a series of Expression profiling by array", "take a series of RNA-seq"),
    ),
    "mouse": (
        MATRIX, packed(zipped(matrix_text(organism="Mus musculus"))),
        ("samples of Mus musculus", "Take a series of people"),
    ),
    "superseries": (
        MATRIX, packed(zipped(matrix_text(relation="SuperSeries of: GSE5, GSE6"))),
        ("a superseries (of GSE5, GSE6)", "Name one of its parts"),
    ),
    "a matrix of symbols": (
        TPM, packed(zipped("gene\tcase_1\tcase_2\nA\t1\t2\n")), ("columns case_1, case_2", "GSM"),
    ),
    "TPM of another series": (
        TPM, packed(zipped(tpm_text(FEW, ["GSM1", "GSM2"]))),
        ("GSM1, GSM2", f"none of {ACCESSION}"),
    ),
    "counts in place of TPM": (
        TPM, packed(zipped(tpm_text(FEW, GSM).replace(".", ""))), ("counts",),
    ),
    "server in trouble": (
        MATRIX, (503, "text/plain", b""), ("HTTP status 503", f"files/{MATRIX}"),
    ),
}  # fmt: skip


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
