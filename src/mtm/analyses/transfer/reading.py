"""An external cohort from a series of GEO or from files, brought to the cohort's genes."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anndata
import numpy as np
import pandas as pd

from mtm.analyses.transfer.external import ExternalCohort
from mtm.analyses.transfer.people import KEPT, SAMPLE, UNREAD, describe_people, doubts
from mtm.cohort.fields import check_traits
from mtm.cohort.gene_names import PLACES, Placed, place_rows
from mtm.cohort.geo.series import field_name, read_series_matrix
from mtm.cohort.lines import demand_whole_rows
from mtm.cohort.matrices import iter_expression_blocks, read_expression_header
from mtm.cohort.spellings import spelt
from mtm.cohort.text_matrices import is_short, iter_text_blocks, read_text_header
from mtm.cohort.units import MANY_GENES, SampleTotals
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
    bases = source.bases(lengths, genes) if settings.units == "counts" else None
    values, notes = source.values(columns, list(used), placed, len(genes), said_by, bases)
    reached, without = _with_length(np.unique(placed.gene), bases, genes)
    notes += without
    if files.counts is not None:
        notes += _add_reads(described, files.counts)
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
    return Reading(values[reached].T.copy(), described, genes.index[reached], report)


def _with_length(
    reached: np.ndarray, bases: np.ndarray | None, genes: pd.DataFrame
) -> tuple[np.ndarray, list[tuple[str, int, str]]]:
    """Leave genes of unknown length out of counts: as 0 they would be measured and silent."""
    if bases is None:
        return reached, []
    known = np.isfinite(bases[reached])
    without = genes.index[reached[~known]]
    note = "genes reached without a length, left out", len(without), ", ".join(without[:20])
    return reached[known], [note] * (len(without) > 0)


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
    source.demand_units(totals, said_by)


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
    # As numbers, people, visits or groups 1.1 and 1.10 would be one, and 7 and 007.
    named = (settings.donor or "", settings.group.field, *settings.keep, *settings.follow_up)
    named = {field_name(name) for name in named}
    texts = [name for name in header if field_name(name) in named]
    table = read_tsv(files.samples, dtype=dict.fromkeys([SAMPLE, *texts], str))
    table = table.set_index(table.pop(SAMPLE).map(spelt, na_action="ignore"))
    for name in table.index[table.index.duplicated()][:1]:
        raise InputError(files.samples, f"sample {name} twice", "one row a sample")
    table.columns = [field_name(name) for name in table.columns]
    for name in table.columns[table.columns.duplicated() | (table.columns == SAMPLE)][:1]:
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


def _add_reads(described: pd.DataFrame, path: Path) -> list[tuple[str, int, str]]:
    """Add ``n_reads`` to samples; a note where the file, which is not needed, cannot be read."""
    try:
        described["n_reads"] = described[SAMPLE].map(_reads(path))
    except InputError as error:
        return [(UNREAD, len(described), f"{error.where}: {error.found}")]
    return []


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
    of_series: bool

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
        return cls(path, header.sample_ids, short, settings.units, bool(settings.geo))

    def blocks(self, columns: np.ndarray):
        """Yield blocks of genes."""
        if self.short:
            return iter_text_blocks(self.path, "short", columns)
        return iter_expression_blocks(self.path, columns)

    def demand_units(self, totals: SampleTotals, said_by: Callable[[str], str]) -> None:
        """Refuse what cannot be of the units; of the advice all can be followed."""
        said = f"{said_by('units')}:"
        problems = list(totals.problems(self.units, self.path, said))
        for i, error in enumerate(problems):
            hint = error.hint
            if self.of_series and said in hint:
                hint = (
                    f"Leave the samples out by {said_by('keep')}, or set {said_by('units')} to "
                    "tpm if they are TPM after all."
                )
            elif self.units == "counts" and f"{said} tpm" in hint:
                hint += (
                    " If they are CPM, multiply all values by one number, such as 20: what "
                    "becomes of them is the same."
                )
            problems[i] = InputError(error.where, error.found, error.expected, hint)
        if problems:
            raise InputError.together(problems)

    def values(
        self, columns, sample_ids, placed: Placed, n_genes: int, said_by, bases: np.ndarray | None
    ) -> tuple[np.ndarray, list[tuple[str, int, str]]]:
        """TPM of the genes, shape ``(n_genes, n_samples)``, and notes for the report."""
        out, first, notes = np.zeros((n_genes, len(columns))), 0, []
        totals = SampleTotals(sample_ids)
        ones = self.units == "counts" and self._zeros_are_ones(columns)
        if ones:
            notes.append(("zeros stored as 1", 1, "no value is below 1, so 1 is read as 0"))
        for block in self.blocks(columns):
            values = block.expr_tpm
            totals.add(values)
            if ones:
                values = np.where(values == 1, 0, values)
            elif self.units == "log2":
                values = np.exp2(values) - 1
            placed.sums(values.astype(np.float64), first, out)
            first += len(values)
        self.demand_units(totals, said_by)
        if self.units == "rpkm":
            notes.append(self._to_a_million(out, totals))
        if self.units == "counts":
            out = self._per_length(out, sample_ids, bases)
        return out.astype(np.float32), notes

    def _to_a_million(self, out: np.ndarray, totals: SampleTotals) -> tuple[str, int, str]:
        """Divide RPKM by their sum over all rows of the file, in place; return a note."""
        n, n_samples = totals.n_genes, out.shape[1]
        if n < MANY_GENES:
            return "samples left as RPKM", n_samples, f"{n} rows are too few to make TPM of"
        out *= MILLION / totals.total
        return "samples made TPM from RPKM", n_samples, f"by their sums over {n} rows"

    def _zeros_are_ones(self, columns: np.ndarray) -> bool:
        """Whether the least value of the file is 1, as where zeros were replaced by it."""
        return min(float(block.expr_tpm.min()) for block in self.blocks(columns)) == 1.0

    def bases(self, lengths: pd.Series | None, genes: pd.DataFrame) -> np.ndarray:
        """Lengths of genes, NaN where they are not known."""
        if lengths is None:
            raise InputError(self.path, "counts", "the lengths of genes", "Set inputs.gene_model.")
        return lengths.reindex(genes.index).to_numpy(float)

    def _per_length(self, counts, sample_ids, bases: np.ndarray) -> np.ndarray:
        """Turn counts of genes into TPM: per base, a million in all."""
        rate = np.divide(counts, bases[:, None], out=np.zeros_like(counts),
                         where=np.isfinite(bases)[:, None])  # fmt: skip
        total = rate.sum(0)
        if (total == 0).any():
            sample = sample_ids[int((total == 0).argmax())]
            raise InputError(f"{self.path}, sample {sample}", "no count", "counts of genes")
        return rate / total * MILLION
