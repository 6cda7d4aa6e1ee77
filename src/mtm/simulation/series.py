"""A simulated external cohort as GEO would serve it: a series of people who came twice.

The files have GEO's names and layouts. The first visit of a person is the external cohort's
sample; at the second, cases have moved further the way that they differ from controls.
"""

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.io import atomic_path, read_tsv

# Of the difference between the groups, what cases add until the second visit, and the noise of a
# visit in log2(1+TPM).
FURTHER, VISIT_NOISE = 0.5, 0.15
FIRST_GSM = 9000001
READS_PER_TPM = 25.0
CAPTCHA = b"<!DOCTYPE html><html><head><title>reCAPTCHA</title></head><body>Robot?</body></html>"


@dataclass(frozen=True)
class SeriesFiles:
    """Files of a series: its matrix, NCBI's TPM, counts and gene table."""

    matrix: Path
    tpm: Path
    counts: Path
    gene_table: Path

    @classmethod
    def below(cls, folder: str | Path, accession: str) -> "SeriesFiles":
        """Name the files as GEO does."""
        ncbi = "GRCh38.p13_NCBI.tsv.gz"
        return cls(
            Path(folder, f"{accession}_series_matrix.txt.gz"),
            Path(folder, f"{accession}_norm_counts_TPM_{ncbi}"),
            Path(folder, f"{accession}_raw_counts_{ncbi}"),
            Path(folder, "Human.GRCh38.p13.annot.tsv.gz"),
        )


def write_series(
    expression: str | Path,
    samples: str | Path,
    entrez: pd.Series,
    written: SeriesFiles,
    accession: str = "GSE900000001",
    *,
    captcha: bool = False,
    unknown: Sequence[int] = (),
    seed: int = 0,
) -> list[str]:
    """Write an external cohort as a GEO series.

    Parameters
    ----------
    expression, samples
        As `mtm.simulation.external.write_external` writes them.
    entrez
        Entrez id of each gene, indexed by Ensembl id without version.
    written, accession
        Where the files go, and the name of the series.
    captcha
        In place of NCBI's gene table write the page that a script is given.
    unknown
        Further Entrez ids, whose genes nobody knows.
    seed
        Of the second visit.

    Returns
    -------
    list of str
        Samples of the first visit, in the order of the files given.
    """
    rng = np.random.default_rng(seed)
    table = read_tsv(expression, ["gene_id"], dtype={"gene_id": str}).set_index("gene_id")
    people = read_tsv(samples, ["sample", "group"], dtype={"sample": str})
    people = people.set_index("sample").loc[table.columns]
    values = _two_visits(table.to_numpy(float), (people["group"] == "case").to_numpy(), rng)
    gsm = [f"GSM{FIRST_GSM + i}" for i in range(values.shape[1])]
    ids = entrez.reindex(table.index).to_numpy(float)
    known = np.isfinite(ids)
    ids = np.concatenate([ids[known].astype(np.int64), np.asarray(unknown, np.int64)])
    values = np.concatenate([values[known], np.ones((len(unknown), len(gsm)))])
    order = np.argsort(ids, kind="stable")
    ids, values = ids[order], values[order]
    _write(written.matrix, _matrix(accession, people, gsm, rng))
    _write(written.tpm, _rows(ids, values, gsm, "%.6g"))
    _write(written.counts, _rows(ids, np.round(READS_PER_TPM * values), gsm, "%d"))
    if captcha:
        with atomic_path(written.gene_table) as temporary:
            temporary.write_bytes(CAPTCHA)
    else:
        genes = pd.DataFrame({"GeneID": entrez.to_numpy(), "Symbol": "S" + entrez.astype(str),
                              "EnsemblGeneID": entrez.index})  # fmt: skip
        _write(written.gene_table, iter(genes.to_csv(sep="\t", index=False).splitlines()))
    return gsm[::2]


def _two_visits(expr_tpm: np.ndarray, case: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put a second visit after each sample, TPM of shape ``(n_genes, 2 * n_people)``."""
    log2 = np.log2(1 + expr_tpm)
    further = FURTHER * (log2[:, case].mean(1) - log2[:, ~case].mean(1))
    later = log2 + further[:, None] * case + VISIT_NOISE * rng.standard_normal(log2.shape)
    values = np.repeat(expr_tpm, 2, axis=1)
    values[:, 1::2] = np.exp2(np.maximum(later, 0)) - 1
    return values


def _write(path: Path, lines: Iterator[str]) -> None:
    """Write lines, packed, the same bytes each time."""
    with (
        atomic_path(path) as temporary,
        open(temporary, "wb") as file,
        gzip.GzipFile("", "wb", 6, file, mtime=0) as packed,
    ):
        for line in lines:
            packed.write(f"{line}\n".encode())


def _rows(ids: np.ndarray, values: np.ndarray, gsm: list[str], form: str) -> Iterator[str]:
    """Yield the lines of one of NCBI's matrices."""
    yield "\t".join(["GeneID", *gsm])
    for gene, row in zip(ids, values, strict=True):
        yield "\t".join([str(gene), *(form % value for value in row)])


def _matrix(
    accession: str, people: pd.DataFrame, gsm: list[str], rng: np.random.Generator
) -> Iterator[str]:
    """Yield the lines of a series matrix; keys of characteristics stand in any order."""

    def line(name: str, cells: Sequence[object]) -> str:
        return "\t".join([name, *(f'"{cell}"' for cell in cells)])

    yield line("!Series_title", ["Simulated blood of people with and without a disease"])
    yield line("!Series_geo_accession", [accession])
    yield line("!Series_type", ["Expression profiling by high throughput sequencing"])
    yield ""
    visits = ("baseline", "follow-up")
    rows = []
    for number, (name, person) in enumerate(people.iterrows()):
        for visit in visits:
            cells = [
                f"disease state: {'T2D' if person['group'] == 'case' else 'control'}",
                f"timepoint: {visit}",
                f"individual: {name}",
                f"age: {person['age']:g}",
                f"Sex: {'male' if person['sex'] == 1 else 'Female'}",
                f"rin: {'NA' if number % 3 else '8.1'}",
            ]
            rows.append([cells[i] for i in rng.permutation(len(cells))])
    yield line("!Sample_title", [f"blood {i}, visit {v}" for i in people.index for v in visits])
    yield line("!Sample_geo_accession", gsm)
    yield line("!Sample_organism_ch1", ["Homo sapiens"] * len(gsm))
    for cells in zip(*rows, strict=True):
        yield line("!Sample_characteristics_ch1", cells)
    yield line("!Sample_platform_id", ["GPL16791"] * len(gsm))
    yield "!series_matrix_table_begin"
    yield line('"ID_REF"', gsm)
    yield "!series_matrix_table_end"
