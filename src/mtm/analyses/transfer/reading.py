"""An external cohort from a series of GEO or from files, brought to the cohort's genes."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anndata
import numpy as np
import pandas as pd

from mtm.analyses.transfer.external import ExternalCohort
from mtm.analyses.transfer.people import KEPT, SAMPLE, describe_people, doubts
from mtm.cohort.fields import check_traits
from mtm.cohort.gene_names import PLACES, Placed, place_rows
from mtm.cohort.geo.series import field_name, read_series_matrix
from mtm.cohort.lines import demand_whole_rows
from mtm.cohort.matrices import iter_expression_blocks, read_expression_header
from mtm.cohort.spellings import spelt
from mtm.cohort.text_matrices import is_short, iter_text_blocks, read_text_header
from mtm.cohort.units import SampleTotals
from mtm.errors import InputError
from mtm.io import atomic_path, demand_gzip, read_apart, read_tsv, write_tsv
from mtm.settings.external import AGE, SEX, External

log = logging.getLogger(__name__)
# What counts per base add up to in a sample.
MILLION = 1e6
NCBI_TPM = "NCBI's TPM of the series (..._norm_counts_TPM_GRCh38.p13_NCBI.tsv.gz)"


def said_by_config(key: str, name: str = "") -> str:
    """Name what says a key of an external cohort in a configuration."""
    if key == "min_per_group":
        return "transfer.min_per_group"
    return ".".join(part for part in ("external", name, key) if part)


@dataclass(frozen=True)
class Files:
    """Where an external cohort stands.

    Parameters
    ----------
    expression
        NCBI's TPM of a series, or a file of expression.
    samples
        The series matrix, or a table with ``sample``; None where names of samples tell all.
    counts
        NCBI's counts of a series, for the depth of samples, where they are at hand.
    """

    expression: Path
    samples: Path | None = None
    counts: Path | None = None


@dataclass(frozen=True)
class Reading:
    """An external cohort as read.

    Parameters
    ----------
    expr_tpm
        Shape ``(n_samples, n_genes)``, TPM, float32; samples that are compared, genes reached.
    samples
        From `describe_people`, every sample; with ``n_reads`` where counts are at hand.
    gene_ids
        Of the cohort.
    report
        From `place_rows`, and rows about the samples.
    """

    expr_tpm: np.ndarray
    samples: pd.DataFrame
    gene_ids: pd.Index
    report: pd.DataFrame

    def cohort(self, path: Path) -> ExternalCohort:
        """Return the samples that are compared as a cohort; `path` is named in messages."""
        used = self.samples[self.samples["visit"].notna()].set_index(SAMPLE)
        used = used.assign(case=used["case"].astype(bool))
        return ExternalCohort(self.expr_tpm, list(self.gene_ids), used, Path(path))

    def write(self, expression: str | Path, samples: str | Path, report: str | Path) -> None:
        """Write expression (AnnData), samples and report (tab-separated)."""
        used = self.samples.loc[self.samples["visit"].notna(), SAMPLE]
        data = anndata.AnnData(
            X=self.expr_tpm,
            obs=pd.DataFrame(index=pd.Index(used, name=SAMPLE)),
            var=pd.DataFrame(index=pd.Index(self.gene_ids, name="gene_id")),
            uns={"scale": "tpm", "units": "TPM"},
        )
        with atomic_path(expression) as temporary:
            data.write_h5ad(temporary)
        write_tsv(self.samples, samples)
        write_tsv(self.report, report)


def read_people(
    settings: External,
    files: Files,
    genes: pd.DataFrame,
    names: pd.DataFrame | None,
    lengths: pd.Series | None = None,
    *,
    min_per_group: int = 2,
    said_by: Callable[[str], str] = said_by_config,
) -> Reading:
    """Read an external cohort.

    Parameters
    ----------
    settings, files
        What to read, and where it stands.
    genes
        Of the cohort or model, indexed by gene id, with ``symbol``.
    names
        From `mtm.cohort.gene_names.gene_names`; None where genes are Ensembl ids.
    lengths
        Bases of each of `genes`, for counts.
    min_per_group
        Least number of people in a group.
    said_by
        Names what says a key of `settings`, for errors.

    Raises
    ------
    InputError
        What `describe_people`, `place_rows` and the readers of files refuse; samples of the two
        files differ; values do not look like their units.
    """
    source = _Expression.of(files.expression, settings)
    table, described = _described(settings, files, source, min_per_group, said_by)
    used = described.loc[described["visit"].notna(), SAMPLE]
    columns = pd.Index(source.sample_ids).get_indexer(used)
    placed = _placed(source, columns, genes, names)
    values, notes = source.values(columns, list(used), placed, len(genes), said_by, lengths, genes)
    if files.counts is not None:
        described["n_reads"] = described[SAMPLE].map(_reads(files.counts))
    unmeasured = list(described.loc[described["reason"] == "no expression", SAMPLE])
    rows = [
        *placed.report.itertuples(index=False),
        *notes,
        ("samples of the series or table", len(described), ""),
        ("samples without expression", len(unmeasured), ", ".join(unmeasured[:20])),
        ("samples compared", len(used), ""),
        *_covariates(described),
        *((step, len(used), what) for step, what in doubts(table.loc[used], settings)),
    ]
    report = pd.DataFrame(rows, columns=PLACES)
    for row in report.itertuples():
        log.info("%s: %s: %d %s", files.expression, row.step, row.n, row.detail)
    reached = np.unique(placed.gene)
    return Reading(values[reached].T.copy(), described, genes.index[reached], report)


def _covariates(described: pd.DataFrame) -> list[tuple[str, int, str]]:
    """Count the people compared whose sex and age are known."""
    kept = described[described["visit"] == KEPT]
    return [
        (f"people compared whose {name} is known", int(kept[name].notna().sum()), "")
        for name in (SEX, AGE)
    ]


def _placed(
    source: "_Expression", columns: np.ndarray, genes: pd.DataFrame, names: pd.DataFrame | None
) -> Placed:
    """Find the genes that the rows of the expression are."""
    row_names = [name for block in source.blocks(columns[:1]) for name in block.gene_ids]
    try:
        placed = place_rows(row_names, genes, names)
    except InputError as error:
        raise error.within(source.path) from None
    if not len(placed.gene):
        raise InputError(
            source.path,
            f"no gene of the cohort among {len(row_names)} rows ({', '.join(row_names[:3])}, ...)",
            "Ensembl ids, Entrez ids or symbols of people's genes",
        )
    return placed


def check_people(
    settings: External, files: Files, *, min_per_group: int, said_by: Callable[[str], str]
) -> None:
    """Check samples, their fields and the units of their expression, whatever the genes.

    Parameters and errors are those of `read_people`.
    """
    source = _Expression.of(files.expression, settings)
    _, described = _described(settings, files, source, min_per_group, said_by)
    used = described.loc[described["visit"].notna(), SAMPLE]
    columns = pd.Index(source.sample_ids).get_indexer(used)
    totals = SampleTotals(list(used))
    for block in source.blocks(columns):
        totals.add(block.expr_tpm)
    if settings.units != "counts":
        totals.demand(settings.units, source.path, f"{said_by('units')}:")


def _described(
    settings: External,
    files: Files,
    source: "_Expression",
    min_per_group: int,
    said_by: Callable[[str], str],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the samples and their fields, and choose those that are compared."""
    table, measured = _table(settings, files, source.sample_ids), source.sample_ids
    where = files.samples or files.expression
    return table, describe_people(table, settings, measured, where, said_by, min_per_group)


def _table(settings: External, files: Files, measured: tuple[str, ...]) -> pd.DataFrame:
    """Read the samples and their fields."""
    if settings.geo:
        series = read_series_matrix(files.samples)
        series.demand_human_rna(settings.geo)
        if not series.samples.index.isin(measured).any():
            raise InputError(
                files.expression,
                f"samples {', '.join(measured[:3])}, ..., none of {series.accession}",
                f"NCBI's TPM of {series.accession}",
            )
        return series.samples
    if files.samples is None:
        return pd.DataFrame(index=pd.Index(measured, name=SAMPLE))
    demand_whole_rows(files.samples)
    header = read_tsv(files.samples, [SAMPLE], nrows=1)
    # As numbers, people 1.1 and 1.10 would be one, and 7 and 007.
    of_donor = [name for name in header if field_name(name) == field_name(settings.donor or "")]
    table = read_tsv(files.samples, dtype=dict.fromkeys([SAMPLE, *of_donor], str))
    table = table.set_index(table.pop(SAMPLE).map(spelt, na_action="ignore"))
    for name in table.index[table.index.duplicated()][:1]:
        raise InputError(files.samples, f"sample {name} twice", "one row a sample")
    table.columns = [field_name(name) for name in table.columns]
    for name in table.columns[table.columns.duplicated()][:1]:
        raise InputError(files.samples, f"two columns called {name}", "columns with other names")
    _same_samples(pd.Index(measured), table.index, files.expression, files.samples)
    # Sex and age may be in words, and are read as people are described.
    check_traits(table.drop(columns=[n for n in (SEX, AGE) if n in table]), files.samples)
    return table


def _same_samples(
    measured: pd.Index, listed: pd.Index, expression: str | Path, samples: str | Path
) -> None:
    """Raise unless both files have the same samples."""
    for missing, path, other in (
        (listed.difference(measured), expression, samples),
        (measured.difference(listed), samples, expression),
    ):
        if len(missing):
            raise InputError(
                path,
                f"no sample {missing[0]} ({len(missing)} of {len(measured.union(listed))} "
                "samples stand in one file alone)",
                f"the samples of {other}",
                "Names must be equal; take out samples that are not to be used from both files.",
            )


def _reads(path: Path) -> dict[str, float]:
    """Add up the reads of each sample."""
    sample_ids = read_expression_header(path).sample_ids
    total = sum(block.expr_tpm.sum(0, dtype=np.float64) for block in iter_expression_blocks(path))
    return dict(zip(sample_ids, total, strict=True))


def _read_through(path: Path) -> None:
    """Read a file whole, and keep nothing."""
    for _ in iter_expression_blocks(path):
        pass


@dataclass(frozen=True)
class _Expression:
    """A file of expression, whose header may be a cell short."""

    path: Path
    sample_ids: tuple[str, ...]
    short: bool
    units: str | None

    @classmethod
    def of(cls, path: Path, settings: External) -> "_Expression":
        path = Path(path)
        if settings.geo and path.suffix == ".gz":
            demand_gzip(path, NCBI_TPM)
        if path.suffix == ".h5ad":
            read_apart(_read_through, path, "an AnnData h5ad file")
        text = path.suffix != ".h5ad" and ".gct" not in path.name.lower()
        header = None if text else read_expression_header(path)
        short = text and is_short(path)
        if header is None:
            header = read_text_header(path, "short") if short else read_expression_header(path)
        if settings.geo and not short and header.symbol_column is not None:
            raise InputError(path, "a table with symbols", NCBI_TPM)
        return cls(path, header.sample_ids, short, settings.units)

    def blocks(self, columns: np.ndarray):
        """Yield blocks of genes."""
        if self.short:
            return iter_text_blocks(self.path, "short", columns)
        return iter_expression_blocks(self.path, columns)

    def values(
        self, columns, sample_ids, placed: Placed, n_genes: int, said_by, lengths, genes
    ) -> tuple[np.ndarray, list[tuple[str, int, str]]]:
        """TPM of the genes, shape ``(n_genes, n_samples)``, and notes for the report."""
        out, first, notes = np.zeros((n_genes, len(columns))), 0, []
        totals, counts = SampleTotals(sample_ids), self.units == "counts"
        ones = counts and self._zeros_are_ones(columns)
        if ones:
            notes.append(("zeros stored as 1", 1, "no value is below 1, so 1 is read as 0"))
        for block in self.blocks(columns):
            values = block.expr_tpm
            if counts:
                values = np.where(values == 1, 0, values) if ones else values
            else:
                totals.add(values)
                values = np.exp2(values) - 1 if self.units == "log2" else values
            placed.sums(values.astype(np.float64), first, out)
            first += len(values)
        if not counts:
            totals.demand(self.units, self.path, f"{said_by('units')}:")
            return out.astype(np.float32), notes
        return self._per_length(out, sample_ids, lengths, genes), notes

    def _zeros_are_ones(self, columns: np.ndarray) -> bool:
        """Whether the least value of the file is 1, as where zeros were replaced by it."""
        return min(float(block.expr_tpm.min()) for block in self.blocks(columns)) == 1.0

    def _per_length(self, counts, sample_ids, lengths, genes) -> np.ndarray:
        """Turn counts of genes into TPM: per base, a million in all."""
        if lengths is None:
            raise InputError(self.path, "counts", "the lengths of genes", "Set inputs.gene_model.")
        bases = lengths.reindex(genes.index).to_numpy(float)
        rate = np.divide(counts, bases[:, None], out=np.zeros_like(counts),
                         where=np.isfinite(bases)[:, None])  # fmt: skip
        total = rate.sum(0)
        if (total == 0).any():
            sample = sample_ids[int((total == 0).argmax())]
            raise InputError(f"{self.path}, sample {sample}", "no count", "counts of genes")
        return (rate / total * MILLION).astype(np.float32)
