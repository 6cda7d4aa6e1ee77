"""Samples of new people, from files and tables to a model's genes."""

import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.cohort.blocks import BLOCK_GENES
from mtm.cohort.genes import gene_key
from mtm.cohort.matrices import iter_expression_blocks, read_expression_header
from mtm.cohort.units import SampleTotals, check_values, store_new, units_of_new
from mtm.errors import InputError, shown
from mtm.io import read_apart
from mtm.models.base import Predictor
from mtm.predictions.checks import check_samples
from mtm.predictions.gene_overlap import GeneOverlap, match_genes, refuse_genes_as_samples
from mtm.predictions.new_people import check_source, tissue_called
from mtm.predictions.sample_tables import (
    AN_H5AD,
    SAMPLE_COLUMNS,
    agreed,
    beside,
    demand_same,
    is_h5ad,
    no_donor,
    said_by_file,
)
from mtm.vocabulary import MIN_OVERLAP, Units

# Values read or checked at a time, and bytes that are held in memory, whoever has room for more.
CHECKED, HELD_BYTES = 1 << 21, 1 << 26


@dataclass(frozen=True)
class Source:
    """Samples that come together: of one file and tissue.

    Parameters
    ----------
    where
        File they are of.
    tissue
        Name of their tissue.
    rows
        Their rows among all new samples.
    overlap
        How the file's genes meet the model's.
    """

    where: str
    tissue: str
    rows: np.ndarray
    overlap: GeneOverlap


@dataclass(frozen=True)
class NewSamples:
    """Samples of new people on the genes of a model.

    Parameters
    ----------
    expr_tpm
        Shape ``(n_samples, n_model_genes)``, float32, TPM; NaN where a file lacks the gene.
    table
        One row a sample: ``sample_id``, ``donor``, ``tissue`` (the model's name of it), and
        covariates.
    sources
        Which samples came together.
    in_obs
        Covariates that obs of an AnnData file says.
    left_out
        Samples of the files that the table of samples lacks.
    """

    expr_tpm: np.ndarray
    table: pd.DataFrame
    sources: tuple[Source, ...]
    in_obs: frozenset[str] = frozenset()
    left_out: tuple[str, ...] = ()


def read_samples(
    model: Predictor,
    files: Sequence[tuple[Path, str | None]],
    table: pd.DataFrame | None = None,
    units: Units | None = None,
    min_overlap: float = MIN_OVERLAP,
    where_table: object = "samples",
) -> NewSamples:
    """Read new people's samples.

    Parameters
    ----------
    model
        A fitted model.
    files
        Expression files, each with the tissue of all its samples; None where `table`, or obs of
        an AnnData file, says the tissue of each. Donors and covariates in obs are taken, too.
    table
        One row a sample: ``sample_id``, perhaps ``donor`` (else each sample is a donor of its own
        name), ``tissue`` where `files` do not say it, and covariates. Samples of the files that it
        lacks are left out.
    units, min_overlap
        As in `mtm.cohort.units.to_tpm` and `mtm.predictions.gene_overlap.match_genes`.
    where_table
        File named in errors.

    Raises
    ------
    InputError
        A file, a value, a name or the table is not what it should be.
    """
    parts, places, start = [], [], 0
    in_obs, left_out = set(), []
    for path, tissue in files:
        sample_ids = _apart(path, _header)
        refuse_genes_as_samples(model.genes, sample_ids, path)
        said = said_by_file(model, path, sample_ids, tissue is not None)
        in_obs |= set(said) - set(SAMPLE_COLUMNS)
        rows, columns = _rows_of(path, sample_ids, said, table, where_table)
        if columns is not None:
            left_out += np.delete(np.array(sample_ids, dtype=object), columns).tolist()
        if tissue is not None:
            rows = _all_of(model, rows, tissue, where_table)
        parts.append(_complete(rows, path if table is None else where_table))
        places.append((path, columns, slice(start, start + len(rows))))
        start += len(rows)
    place = where_table if table is not None else files[0][0] if len(files) == 1 else "--source"
    joined = _checked(model, pd.concat(parts, ignore_index=True), place)
    expr_tpm = shared_array((len(model.genes), len(joined)))
    sources = []
    for path, columns, part in places:
        overlap = _read_into(expr_tpm[:, part], path, columns, model, units, min_overlap)
        of_file = joined["tissue"].iloc[part]
        for tissue in dict.fromkeys(of_file):
            rows = part.start + np.flatnonzero(of_file == tissue)
            sources.append(Source(str(path), tissue, rows, overlap))
    return NewSamples(
        expr_tpm.T, joined, tuple(sources), frozenset(in_obs), tuple(dict.fromkeys(left_out))
    )


def shared_array(shape: tuple[int, int]) -> np.ndarray:
    """Return float32 NaN that a forked process can fill.

    Many values stand in a file without a name in the folder for temporary files, so that memory
    is needed for those in use alone (`let_go`); where it has no room, in memory.
    """
    n_bytes = max(4 * shape[0] * shape[1], 1)
    memory = _of_file(n_bytes) if n_bytes > HELD_BYTES else None
    memory = mmap.mmap(-1, n_bytes) if memory is None else memory
    array = np.frombuffer(memory, np.float32, shape[0] * shape[1]).reshape(shape)
    step = max(1, HELD_BYTES // max(4 * shape[1], 1))
    for start in range(0, shape[0], step):
        array[start : start + step] = np.nan
        let_go(array)
    return array


def _of_file(n_bytes: int) -> mmap.mmap | None:
    """Map a file that has its room on the disk; None where it cannot be had."""
    if not hasattr(os, "posix_fallocate"):
        return None
    try:
        with tempfile.TemporaryFile() as file:
            os.posix_fallocate(file.fileno(), 0, n_bytes)
            return mmap.mmap(file.fileno(), n_bytes)
    except OSError:
        return None


def let_go(array: np.ndarray) -> None:
    """Let the system take back memory of a large `shared_array`; its values stay."""
    if array.nbytes <= HELD_BYTES or not hasattr(mmap, "MADV_DONTNEED"):
        return
    base = array
    while isinstance(base, np.ndarray):
        base = base.base
    base = base.obj if isinstance(base, memoryview) else base
    if isinstance(base, mmap.mmap):
        base.madvise(mmap.MADV_DONTNEED)


def _apart(path: Path, read):
    """Read in a process of its own where a file could crash its reader."""
    return read_apart(read, path, AN_H5AD) if is_h5ad(path) else read(path)


def _header(path: Path) -> tuple[str, ...]:
    return read_expression_header(path).sample_ids


def _rows_of(
    path: Path,
    sample_ids: tuple[str, ...],
    said: pd.DataFrame,
    table: pd.DataFrame | None,
    where_table: object,
) -> tuple[pd.DataFrame, np.ndarray | None]:
    """Return what is known of a file's samples, and their columns; None for all of them."""
    names = pd.Index(sample_ids)
    if table is None:
        return pd.concat([pd.DataFrame({"sample_id": names}), said], axis=1), None
    given = table.set_index("sample_id", drop=False)
    for sample in given.index[given.index.duplicated()][:1]:
        raise InputError(where_table, f"several rows for sample {sample}", "one row a sample")
    columns = np.flatnonzero(names.isin(given.index))
    if not len(columns):
        example = ", ".join(map(shown, names[:3]))
        raise InputError(where_table, f"no sample of {path} ({example}, ...)", "their rows")
    rows = given.loc[names[columns]].reset_index(drop=True)
    return beside(rows, said.iloc[columns].reset_index(drop=True), where_table), columns


def _all_of(
    model: Predictor, rows: pd.DataFrame, tissue: str, where_table: object
) -> pd.DataFrame:
    """Let all samples be of one tissue, beside which a table may call it by another name."""
    for other in rows["tissue"].dropna().unique() if "tissue" in rows else ():
        try:
            same = tissue_called(model, other) == tissue_called(model, tissue)
        except InputError as error:
            raise error.within(where_table) from error
        if not same:
            found = f"tissue {shown(str(other))} beside --source {shown(tissue)}"
            raise InputError(where_table, found, "one place that says them")
    return rows.assign(tissue=tissue)


def _complete(rows: pd.DataFrame, where: object) -> pd.DataFrame:
    """Demand the tissue of samples; let each be of a donor of its name where none is said."""
    if "tissue" not in rows:
        hint = "Or say one tissue for all, as --source."
        raise InputError(where, "no tissue of its samples", "a column tissue", hint)
    return rows if "donor" in rows else rows.assign(donor=rows["sample_id"])


def _checked(model: Predictor, rows: pd.DataFrame, place: object) -> pd.DataFrame:
    """Return the table of all samples, its tissues by the model's names."""
    unknown = no_donor(rows["donor"], rows["sample_id"])
    for sample, donor in zip(rows["sample_id"][unknown], rows["donor"][unknown], strict=True):
        word = "" if pd.isna(donor) or donor == "" else f" but the word {shown(str(donor))}"
        raise InputError(place, f"no donor of sample {shown(sample)}{word}", "one in every row")
    for column in ("sample_id", "donor"):
        for name in rows[column].astype(str):
            if not name.strip() or not name.isprintable():
                found = f"a {column.removesuffix('_id')} named {shown(name)}"
                raise InputError(place, found, "names that can be printed")
    try:
        known = {name: tissue_called(model, name) for name in rows["tissue"].unique()}
    except InputError as error:
        raise error.within(place) from error
    rows = rows.assign(
        sample_id=rows["sample_id"].astype(str),
        donor=rows["donor"].astype(str),
        tissue=rows["tissue"].map(known),
    )
    repeated = rows.duplicated(["donor", "tissue"])
    if repeated.any():
        first = rows[repeated].iloc[0]
        raise InputError(
            place,
            f"a second sample of donor {first['donor']} in {first['tissue']}",
            "one sample for a donor and tissue",
            "Let each be a donor of its own name, or average them.",
        )
    if not model.several_sources and model.provenance.source not in set(rows["tissue"]):
        check_source(model, rows["tissue"].iloc[0])
    return rows


def _read_into(
    expr_tpm: np.ndarray,
    path: Path,
    columns: np.ndarray | None,
    model: Predictor,
    units: Units | None,
    min_overlap: float,
) -> GeneOverlap:
    """Fill ``(n_model_genes, n_samples)`` from a file, block by block; return the overlap."""
    place_of = {gene_key(gene): place for place, gene in enumerate(model.genes.index)}

    def read(file: Path) -> tuple[list[str], SampleTotals]:
        sample_ids = read_expression_header(file).sample_ids
        taken = sample_ids if columns is None else [sample_ids[i] for i in columns]
        totals, gene_ids = SampleTotals(taken), []
        step = max(1, min(BLOCK_GENES, CHECKED // max(len(sample_ids), 1)))
        signed = model.measure == "own"
        for block in iter_expression_blocks(file, columns, block_genes=step, signed=signed):
            totals.add(block.expr_tpm)
            gene_ids += block.gene_ids
            places = [place_of.get(gene_key(gene), -1) for gene in block.gene_ids]
            found = np.flatnonzero(np.array(places) >= 0)
            expr_tpm[np.array(places)[found]] = block.expr_tpm[found]
            let_go(expr_tpm)
        return gene_ids, totals

    units = units_of_new(units, path, model.measure)
    gene_ids, totals = _apart(path, read)
    if not gene_ids:
        raise InputError(path, "no gene", "one row a gene")
    totals.demand(units, path)
    _, overlap = match_genes(model.genes, gene_ids, min_overlap, path)
    store_new(expr_tpm.T, units, totals)
    return overlap


def samples_of_matrix(
    model: Predictor,
    expr: np.ndarray,
    gene_ids: Iterable[str],
    table: pd.DataFrame,
    units: Units | None = None,
    min_overlap: float = MIN_OVERLAP,
    where: str = "expression",
) -> NewSamples:
    """As `read_samples`, of values in memory.

    Parameters
    ----------
    expr
        Shape ``(n_samples, n_data_genes)``, dense or sparse, in memory or a file that AnnData
        reads from, in `units`. Some samples are dense at a time.
    gene_ids
        Of the columns.
    table
        One row a sample: ``sample_id``, ``donor``, ``tissue``, and covariates.
    """
    gene_ids = list(gene_ids)
    if "tissue" not in table:
        raise InputError(where, "no tissue of its samples", "source, or a column tissue of obs")
    if 0 in expr.shape:
        raise InputError(where, f"a table of shape {expr.shape}", "samples and genes")
    joined = _checked(model, table.reset_index(drop=True), where)
    columns, overlap = match_genes(model.genes, gene_ids, min_overlap, where)
    expr_tpm = shared_array((len(joined), len(columns)))
    units = units_of_new(units, where, model.measure)
    totals, found = SampleTotals(list(joined["sample_id"])), columns >= 0
    for rows, values in _row_blocks(expr):
        check_values(values, where, model.measure == "own", rows.start)
        _put(totals, rows, values)
        expr_tpm[rows, found] = values[:, columns[found]]
        let_go(expr_tpm)
    totals.demand(units, where, "units")
    store_new(expr_tpm, units, totals)
    sources = tuple(
        Source(where, tissue, np.flatnonzero(joined["tissue"] == tissue), overlap)
        for tissue in dict.fromkeys(joined["tissue"])
    )
    return NewSamples(expr_tpm, joined, sources)


def _row_blocks(expr) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield samples, a block at a time, as dense float32."""
    # Rows of what is kept by columns are found in memory alone, and slowly there.
    if getattr(expr, "format", "csr") != "csr":
        expr = (expr.to_memory() if hasattr(expr, "to_memory") else expr).tocsr()
    step = max(1, CHECKED // expr.shape[1])
    for start in range(0, expr.shape[0], step):
        rows = slice(start, min(start + step, expr.shape[0]))
        block = expr[rows]
        dense = block.toarray() if hasattr(block, "toarray") else block
        yield rows, np.asarray(dense, dtype=np.float32)


def _put(totals: SampleTotals, rows: slice, values: np.ndarray) -> None:
    """Put all genes of some samples into the totals."""
    some = SampleTotals(totals.sample_ids[rows])
    some.add(values.T)
    totals.n_genes = some.n_genes
    for name in ("total", "largest", "smallest", "n_filled", "all_whole"):
        getattr(totals, name)[rows] = getattr(some, name)


def with_traits(
    samples: NewSamples, traits: pd.DataFrame | None, where: object = "traits"
) -> NewSamples:
    """Add covariates of samples, indexed by sample id, in place of what the samples' table says.

    What obs of an AnnData file says stays where they say nothing.

    Raises
    ------
    InputError
        A sample has no row, or several; it contradicts obs, or names another donor or tissue.
    """
    if traits is None:
        return samples
    names = pd.Index(samples.table["sample_id"])
    for sample in names[~names.isin(traits.index)][:1]:
        raise InputError(where, f"no row for sample {sample}", "a row for every sample")
    for sample in traits.index[traits.index.duplicated()][:1]:
        raise InputError(where, f"several rows for sample {sample}", "one row a sample")
    added = traits.loc[names].reset_index(drop=True)
    demand_same(added, samples.table, where)
    added = added.drop(columns=[name for name in SAMPLE_COLUMNS if name in added])
    ids = samples.table["sample_id"]
    for name in samples.in_obs.intersection(added):
        added[name] = agreed(ids, added[name], samples.table[name], where)
    told = samples.table.drop(columns=[name for name in added if name in samples.table])
    return replace(samples, table=pd.concat([told, added], axis=1))


def checks_of(model: Predictor, samples: NewSamples) -> pd.DataFrame:
    """Hold samples, as they came, against what training donors' samples are like.

    Returns
    -------
    pd.DataFrame
        A row a sample, as `mtm.predictions.checks.check_samples` returns it.
    """
    sex, parts = samples.table.get("sex"), []
    for source in samples.sources:
        found = ~np.isnan(samples.expr_tpm[source.rows[0]])
        mean_tpm = model.scaler.mean_tpm(model.tissues.index(source.tissue))
        step = max(1, CHECKED // max(len(found), 1))
        for start in range(0, len(source.rows), step):
            rows = source.rows[start : start + step]
            table = check_samples(
                model,
                np.where(found, samples.expr_tpm[rows], mean_tpm),
                list(samples.table["sample_id"].iloc[rows]),
                source.tissue,
                found,
                None if sex is None else sex.iloc[rows],
            )
            parts.append(table.set_axis(rows))
            let_go(samples.expr_tpm)
    return pd.concat(parts).sort_index()


def fill_missing(model: Predictor, samples: NewSamples) -> int:
    """Set genes that files lack to the training mean of the tissue, where a model needs them.

    Works in place.

    Returns
    -------
    int
        Genes that were set, of the source with most; 0 where the model, or a member of it, leaves
        missing ones out.
    """
    if model.given_missing:
        return 0
    most = 0
    for source in samples.sources:
        missing = np.flatnonzero(np.isnan(samples.expr_tpm[source.rows[0]]))
        if len(missing):
            mean_tpm = model.scaler.mean_tpm(model.tissues.index(source.tissue))
            samples.expr_tpm[np.ix_(source.rows, missing)] = mean_tpm[missing]
        most = max(most, len(missing))
    return most


def counted(samples: NewSamples) -> Mapping[str, int]:
    """Count the samples of each tissue."""
    return samples.table["tissue"].value_counts(sort=False).to_dict()
