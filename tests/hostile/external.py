"""Series of GEO and tables of people from elsewhere, as ``mtm check`` meets them."""

import gzip

from tests.geo_server import matrix_text, tpm_text, zipped
from tests.hostile.case import Case
from tests.hostile.files import config, write_cohort, write_config

CHECK = ["mtm", "check", "--configfile", "config.yaml"]
GSM = tuple(f"GSM{i}" for i in range(1, 13))
MATRIX, TPM = "GSE7_series_matrix.txt.gz", "GSE7_norm_counts_TPM_GRCh38.p13_NCBI.tsv.gz"
CELLS = [
    tuple(f"disease state: {'T2D' if i % 2 else 'control'}" for i in range(12)),
    tuple(f"age: {40 + i}" for i in range(12)),
]


def text(**changes):
    """Text of the series matrix."""
    return matrix_text(**{"accession": "GSE7", "characteristics": CELLS, "gsm": GSM} | changes)


def prepare(folder):
    """Write a cohort, a series beside it and an earlier result."""
    write_cohort(folder)
    (folder / MATRIX).write_bytes(zipped(text()))
    (folder / TPM).write_bytes(zipped(tpm_text(range(1, 60), GSM)))
    earlier = folder / "results/small/transfer/lab"
    earlier.mkdir(parents=True)
    (earlier / "samples.tsv").write_text("earlier\n")


def check(folder, **changes):
    """Check the cohort and the series."""
    lab = {"geo": "GSE7", "group": {"field": "Disease state", "case": "t2d", "control": "control"}}
    write_config(
        folder,
        config(
            external={"lab": lab | changes},
            local_files={"gse7_series_matrix": MATRIX, "gse7_ncbi_tpm": TPM},
        ),
    )
    return CHECK


def replaced(file, content):
    """Return the maker of a row in which a file has other content."""

    def make(folder):
        (folder / file).write_bytes(content)
        return check(folder)

    return make


def refuse(name, make, says, names=""):
    """Return a row that ends in an error."""
    return Case("external", name, "refuse", make, says, names)


NEGATIVE = tpm_text(range(1, 60), GSM).replace("\n2\t", "\n2\t-")
CASES = [
    Case("external", "a GEO series", "accept", check, "no problem found"),
    refuse("a captcha for a series matrix", replaced(MATRIX, b"<!DOCTYPE html><html>"), "a web page", MATRIX),
    refuse("an empty gzip for a series matrix", replaced(MATRIX, gzip.compress(b"")), "nothing in it", MATRIX),
    refuse("an empty file for NCBI's TPM", replaced(TPM, b""), "an empty file", TPM),
    refuse("another series", replaced(MATRIX, zipped(text(accession="GSE8"))), "GSE8", MATRIX),
    refuse("a microarray series", replaced(MATRIX, zipped(text(kind="Expression profiling by array"))), "by array", MATRIX),
    refuse("a series of mice", replaced(MATRIX, zipped(text(organism="Mus musculus"))), "Mus musculus", MATRIX),
    refuse("a superseries", replaced(MATRIX, zipped(text(relation="SuperSeries of: GSE9"))), "superseries", MATRIX),
    refuse("a series matrix without a last cell", replaced(MATRIX, zipped(text().replace('\t"age: 51"', ""))), "11 cells", MATRIX),
    refuse("a series matrix of one endless line", replaced(MATRIX, gzip.compress(b"!Sample_title\t" + b"x" * 80_000_000)), "bytes", MATRIX),
    refuse("an age of a hundred and fifty", replaced(MATRIX, zipped(text().replace("age: 51", "age: 151"))), "151", MATRIX),
    refuse("a control sequence for an age", replaced(MATRIX, zipped(text().replace("age: 51", "age: \x1b[2J"))), r"\\x1b", MATRIX),
    refuse("NCBI's TPM below zero", replaced(TPM, zipped(NEGATIVE)), "negative", TPM),
    refuse("NCBI's TPM of other samples", replaced(TPM, zipped(tpm_text(range(1, 60), ["GSM77"]))), "none of GSE7", TPM),
    refuse("a field that the series has not", lambda folder: check(folder, donor="person"), "a field 'person'", "external.lab.donor"),
    refuse("a series and files at once", lambda folder: check(folder, expression="x.tsv"), "a series and files", "external.lab.geo"),
    refuse("an accession of a sample", lambda folder: check(folder, geo="GSM7"), "GSM7", "external.lab.geo"),
]  # fmt: skip
