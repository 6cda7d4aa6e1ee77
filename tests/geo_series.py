"""A series in GEO's layouts, what may stand in place of its files, and a bundle that takes it."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
from geo_server import captcha, matrix_text, packed, tpm_text, zipped
from real_data import SHARED

from mtm.cohort.cohort import Cohort
from mtm.models.base import Training
from mtm.models.registry import build

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


def write_bundle(path: Path) -> Path:
    """Write a ridge of three tissues whose genes are the first rows of NCBI's matrix."""
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
    model.save(path)
    return path


def write_hgnc(folder: Path) -> Path:
    """Write what is there already: HGNC's table, which another server has."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {"symbol": [f"G{i}" for i in range(N_GENES)], "ensembl_gene_id": PLAIN,
            "entrez_id": ENTREZ[:N_GENES]}  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "hgnc_complete_set.txt", sep="\t", index=False)
    return folder


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
