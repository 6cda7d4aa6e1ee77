"""From GTEx's files to a cohort: filters, and expression turned to samples x genes by blocks."""

import logging
from collections.abc import Collection, Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata.io import write_elem

from mtm.cohort.agreement import demand_rows, with_told
from mtm.cohort.blocks import BLOCK_GENES, warn_of_dates
from mtm.cohort.filters import (
    GeneFilter,
    check_source,
    filter_samples,
    filtering_row,
    join_attributes,
)
from mtm.cohort.h5_files import new_h5_file
from mtm.cohort.matrices import iter_expression_blocks, read_expression_header
from mtm.cohort.tables import (
    DONOR_PHENOTYPES,
    demand_named_columns,
    read_controlled_phenotypes,
    read_sample_attributes,
    read_subject_phenotypes,
)
from mtm.cohort.units import SampleTotals, ToStored
from mtm.errors import InputError, numbered
from mtm.io import atomic_path, write_tsv
from mtm.progress import Bar
from mtm.settings.cohort import Columns
from mtm.vocabulary import Units

logger = logging.getLogger(__name__)

_CHUNK_SAMPLES = 256
# What the controlled-access file has under these names must agree.
_OPEN_COLUMNS = {"SEX": "sex", "DTHHRDY": "hardy"}
_FILTERING_COLUMNS = ["step", "n_samples", "n_donors", "n_tissues", "n_genes", "detail"]


def people_of(samples: pd.DataFrame, columns: Columns, where: str | Path) -> pd.DataFrame:
    """Return what samples say of their donors.

    That is sex, age and Hardy class, and those of the cohort's own covariates that are the same in
    all samples of every donor.

    Parameters
    ----------
    samples
        From `mtm.cohort.tables.read_sample_attributes`; those of unknown donors are passed over.

    Returns
    -------
    pd.DataFrame
        One row a donor, indexed by donor id.

    Raises
    ------
    InputError
        A donor is of two sexes, ages or classes.
    """
    groups = samples[samples["donor"] != ""].groupby("donor")
    people = pd.DataFrame(index=groups.size().index)
    for name in (*DONOR_PHENOTYPES, *columns.covariates):
        if name not in samples:
            continue
        differs = groups[name].nunique() > 1
        if name not in DONOR_PHENOTYPES and differs.any():
            continue
        if differs.any():
            donor = differs.idxmax()
            found = " and ".join(map(str, groups.get_group(donor)[name].dropna().unique()[:2]))
            column = getattr(columns, name.removesuffix("_bracket"))
            raise InputError(
                f"{where}, column {column} of donor {donor}", found, "the same in all its samples"
            )
        people[name] = groups[name].first()
    return people


def merge_phenotypes(
    donor_ids: Sequence[str],
    phenotypes: pd.DataFrame | None = None,
    controlled: pd.DataFrame | None = None,
    where: str | Path = "subject phenotypes",
    where_controlled: str | Path | None = "controlled-access phenotypes",
    of_samples: pd.DataFrame | None = None,
    where_samples: str | Path = "sample attributes",
    columns: Columns = Columns(),
) -> pd.DataFrame:
    """Make the donor table of the cohort.

    Parameters
    ----------
    donor_ids
        Donors of the cohort.
    phenotypes
        What `mtm.cohort.tables.read_subject_phenotypes` returns; None where there is no table.
    controlled
        What `mtm.cohort.tables.read_controlled_phenotypes` returns. AGE replaces the bracket's
        middle, donor by donor; SEX and DTHHRDY must agree; every other column is added as named.
    of_samples
        What `people_of` returns; taken where `phenotypes` has no such column, or nothing in it.
        Sex, age and Hardy class must agree.
    columns
        How columns are named, for errors.

    Returns
    -------
    pd.DataFrame
        One row a donor, sorted: ``donor``, then, as far as they are known, ``sex``,
        ``age_bracket``, ``age``, ``hardy``, the cohort's own and the controlled-access columns.

    Raises
    ------
    InputError
        A donor has no phenotypes, or two files contradict each other.
    """
    donor_ids = pd.Index(sorted(donor_ids), name="donor")
    donors = pd.DataFrame(index=donor_ids)
    if phenotypes is not None:
        demand_rows(donor_ids, phenotypes.index, where)
        donors = phenotypes.loc[donor_ids]
        rows = pd.Series(np.arange(1, len(phenotypes) + 1), phenotypes.index)[donor_ids]
    if of_samples is not None:
        if phenotypes is not None:
            donors = with_told(donors, of_samples, rows, columns, where, where_samples)
        donors = donors.join(of_samples[of_samples.columns.difference(donors.columns, sort=False)])
    first = [name for name in DONOR_PHENOTYPES if name in donors]
    donors = donors[[*first, *donors.columns.difference(first, sort=False)]]
    if controlled is not None:
        donors = _with_controlled(donors, controlled, where, where_controlled)
    return donors.reset_index()


def _with_controlled(
    donors: pd.DataFrame,
    controlled: pd.DataFrame,
    where: str | Path,
    where_controlled: str | Path | None,
) -> pd.DataFrame:
    """Add what the controlled-access file says of donors, which must agree."""
    common = donors.index.intersection(controlled.index)
    if not len(common):
        raise InputError(
            where_controlled,
            f"donors such as {controlled.index[0]}" if len(controlled) else "no donor",
            f"donors of the cohort, such as {donors.index[0]}",
        )
    for theirs, ours in _OPEN_COLUMNS.items():
        if theirs in controlled and ours in donors:
            _demand_equal(
                controlled.loc[common, theirs], donors.loc[common, ours], where_controlled
            )
        elif theirs in controlled:
            donors = donors.assign(
                **{ours: pd.to_numeric(controlled[theirs].reindex(donors.index))}
            )
    if "AGE" in controlled:
        exact = controlled["AGE"].reindex(donors.index)
        if "age_bracket" in donors:
            _demand_within(exact, donors["age_bracket"], where, where_controlled)
        donors = donors.assign(age=exact.fillna(donors.get("age", np.nan)))
    extra = controlled.columns.drop(["AGE", *_OPEN_COLUMNS], errors="ignore")
    clash = extra.intersection(donors.columns)
    if len(clash):
        raise InputError(where_controlled, f"a column {clash[0]}", "no column named like ours")
    return donors.join(controlled[extra])


def _demand_within(
    exact: pd.Series, bracket: pd.Series, where: str | Path, where_controlled: str | Path
) -> None:
    """Demand exact ages within the brackets of the open-access file."""
    # Where all are missing, splitting gives one column.
    bounds = bracket.astype("string").str.extract(r"^(\d+)-(\d+)$").astype(float)
    outside = (exact < bounds[0]) | (exact >= bounds[1] + 1)
    if outside.any():
        donor = exact.index[outside][0]
        raise InputError(
            f"{where_controlled}, column AGE of {donor}",
            f"{exact[donor]:g} years",
            f"an age within the bracket {bracket[donor]} of {where}",
            "The two files are of different releases, or their donors are mixed up.",
        )


def _demand_equal(theirs: pd.Series, ours: pd.Series, where: str | Path) -> None:
    """Demand equal codes wherever both files have one."""
    numbers = pd.to_numeric(theirs, errors="coerce")
    ours = ours.astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    differs = numbers.notna() & ~np.isnan(ours) & (numbers != ours)
    if differs.any():
        donor = differs.index[differs][0]
        raise InputError(
            f"{where}, column {theirs.name} of {donor}",
            f"{theirs[donor]}",
            f"{ours[differs.argmax()]:g}, as the open-access file says",
            "The two files are of different releases, or their donors are mixed up.",
        )


def write_expression(
    expression: str | Path,
    samples: pd.DataFrame,
    path: str | Path,
    genes: GeneFilter,
    *,
    to_stored: ToStored = ToStored(),
    block_genes: int = BLOCK_GENES,
    progress: bool | None = None,
) -> int:
    """Turn an expression file into an h5ad of samples x genes, block of genes by block.

    Memory holds one block, of shape ``(block_genes, n_samples)``, whatever the size of the file.

    Parameters
    ----------
    samples
        Samples wanted, in order, indexed by sample id: ``column`` (position in the expression
        file), ``donor``, ``tissue`` and covariates.
    path
        File to write. It is not written atomically here.
    genes
        Which genes to keep.
    to_stored
        Makes what is written of what is read.
    progress
        A progress bar on stderr; None shows one on a terminal, and lines in the log elsewhere.

    Returns
    -------
    int
        Number of genes written. What cannot be read or is not of `units` is refused.
    """
    n_declared, own = read_expression_header(expression).n_genes, to_stored.measure == "own"
    chunk_genes = min(n_declared or block_genes, block_genes)
    gene_ids: list[str] = []
    symbols: list[str] = []
    totals = SampleTotals(samples.index)
    options = {"keep": genes.keep, "block_genes": block_genes, "signed": own}
    blocks = iter_expression_blocks(expression, samples["column"].to_numpy(), **options)
    bar = Bar(n_declared, "genes", "expression", show=progress)
    with new_h5_file(path) as file, bar:
        expr_tpm = _growing(file, len(samples), chunk_genes)
        for block in blocks:
            start = len(gene_ids)
            gene_ids += block.gene_ids
            symbols += block.symbols
            expr_tpm.resize(len(gene_ids), axis=1)
            totals.add(block.expr_tpm)
            expr_tpm[:, start:] = to_stored(block).T
            bar.update(len(genes.seen) - bar.n)
        bar.update(len(genes.seen) - bar.n)
        totals.demand(to_stored.units, expression, "inputs.units:")
        totals.warn_of_copies(expression)
        var = pd.DataFrame({"symbol": symbols}, pd.Index(gene_ids, name="gene_id"))
        _write_annotation(file, samples, var, to_stored)
    return len(gene_ids)


def _growing(file: h5py.File, n_samples: int, chunk_genes: int) -> h5py.Dataset:
    """Return X without genes, to which blocks of genes are added."""
    return file.create_dataset(
        "X",
        shape=(n_samples, 0),
        maxshape=(n_samples, None),
        chunks=(min(n_samples, _CHUNK_SAMPLES), chunk_genes),
        dtype=np.float32,
    )


def _write_annotation(
    file: h5py.File, samples: pd.DataFrame, var: pd.DataFrame, to_stored: ToStored
) -> None:
    """Write all that makes an h5ad of a file with X."""
    file["X"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
    write_elem(file, "obs", _obs(samples))
    write_elem(file, "var", var)
    write_elem(file, "uns", {"scale": to_stored.measure, "units": to_stored.stored})
    for group in ("layers", "obsm", "varm", "obsp", "varp"):
        write_elem(file, group, {})


def _obs(samples: pd.DataFrame) -> pd.DataFrame:
    """Columns of obs: donor, tissue and what there is of samples; text as categories."""
    obs = samples[samples.columns.difference(["column", "freeze"], sort=False)].copy()
    for name in obs.columns:
        if str(obs[name].dtype) == "Int64":
            obs[name] = obs[name].astype(float)
        if obs[name].dtype == object:
            obs[name] = obs[name].astype("category")
    return obs


# Long by its inputs, filters and outputs, one parameter each.
def build_cohort(
    expression: str | Path,
    sample_attributes: str | Path,
    subject_phenotypes: str | Path | None = None,
    *,
    columns: Columns = Columns(),
    gene_model: str | Path | None = None,
    gene_biotypes: Collection[str] | None = ("protein_coding",),
    gene_list: str | Path | None = None,
    min_samples_per_tissue: int = 50,
    min_samples_per_donor: int = 2,
    exclude_tissues: Collection[str] = (),
    controlled_phenotypes: str | Path | None = None,
    source: str | None = None,
    units: Units | None = None,
    out_expression: str | Path,
    out_donors: str | Path,
    out_filtering: str | Path,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Build a cohort from GTEx's files and write its three files (docs/contracts.md).

    Parameters
    ----------
    expression
        TPM of all samples: GCT, h5ad or wide table.
    sample_attributes, subject_phenotypes, controlled_phenotypes
        As the readers of `mtm.cohort.matrices` describe them. Attributes of further samples are
        ignored and counted.
    columns
        How the columns of the tables are named.
    gene_model, gene_biotypes, gene_list
        As `GeneFilter` describes them; both filters are applied where both files are given.
    min_samples_per_tissue, min_samples_per_donor, exclude_tissues
        As `filter_samples` describes them.
    source
        Tissue that must be in the cohort; None demands none.
    units
        Of the expression file (config/README.md).
    progress
        A progress bar on stderr; None shows one on a terminal, and lines in the log elsewhere.

    Returns
    -------
    pd.DataFrame
        The filtering table.

    Raises
    ------
    InputError
        An input cannot be used; nothing is written then.
    """
    samples, counts = _samples(expression, sample_attributes, subject_phenotypes, columns)
    if gene_model is None and gene_biotypes:
        counts[0]["detail"] += "; genes are not filtered by biotype: there is no gene model"
    samples, sample_counts = filter_samples(
        samples,
        min_samples_per_tissue=min_samples_per_tissue,
        min_samples_per_donor=min_samples_per_donor,
        exclude_tissues=exclude_tissues,
        where=sample_attributes,
    )
    counts += sample_counts
    if source is not None:
        check_source(set(samples["tissue"]), source)
    people = people_of(samples, columns, sample_attributes)
    donors, detail = _donors(
        samples["donor"].unique(),
        subject_phenotypes,
        controlled_phenotypes,
        columns,
        people,
        sample_attributes,
    )
    samples = samples.drop(columns=[name for name in people if name in samples])
    counts[-1]["detail"] += detail
    genes = GeneFilter(gene_model, gene_biotypes, gene_list)
    with atomic_path(out_expression) as temporary:
        to_stored = ToStored.of(units, expression, samples["column"].to_numpy(), gene_model)
        logger.info("%s: kept are %s", expression, to_stored.words)
        if to_stored.n_without_length:
            known = set(to_stored.lengths)
            genes.demand("gene lengths", gene_model, known, f"{len(known)} with a length")
        write_expression(
            expression, samples, temporary, genes, to_stored=to_stored, progress=progress
        )
        counts[0]["detail"] += f"; {to_stored.words}" * (units is not None)
        n_genes = len(genes.seen)
        warn_of_dates(expression, (key.stable_id for key in genes.seen))
        if not n_genes:
            raise InputError(expression, "no gene", "at least one row of values")
        counts = [count | {"n_genes": n_genes} for count in counts]
        for step, n_left, detail in genes.counts():
            counts.append(filtering_row(step, samples, detail) | {"n_genes": n_left})
        filtering = pd.DataFrame(counts)[_FILTERING_COLUMNS]
        write_tsv(donors, out_donors)
        write_tsv(filtering, out_filtering)
    for row in filtering.itertuples(index=False):
        logger.info("%s: %s samples, %s donors, %s tissues, %s genes (%s)", *row)
    return filtering


def _samples(
    expression: str | Path,
    sample_attributes: str | Path,
    subject_phenotypes: str | Path | None,
    columns: Columns,
) -> tuple[pd.DataFrame, list[dict[str, object]]]:
    """Return the samples of the expression file, and the filtering table's first row."""
    sample_ids = read_expression_header(expression).sample_ids
    attributes = read_sample_attributes(sample_attributes, columns)
    demand_named_columns(columns, sample_attributes, subject_phenotypes)
    samples = join_attributes(sample_ids, attributes, expression, sample_attributes, columns)
    n_unused = len(attributes) - len(samples)
    detail = f"{numbered(n_unused, 'further sample')} in the sample attributes without expression"
    return samples, [filtering_row("expression file", samples, detail)]


def _donors(
    donor_ids: Sequence[str],
    subject_phenotypes: str | Path | None,
    controlled_phenotypes: str | Path | None,
    columns: Columns,
    people: pd.DataFrame,
    sample_attributes: str | Path,
) -> tuple[pd.DataFrame, str]:
    """Return the donor table, and how many donors of it have controlled-access phenotypes."""
    controlled = open_access = None
    if controlled_phenotypes is not None:
        controlled = read_controlled_phenotypes(controlled_phenotypes)
    if subject_phenotypes is not None:
        open_access = read_subject_phenotypes(subject_phenotypes, columns)
    where = subject_phenotypes, controlled_phenotypes
    donors = merge_phenotypes(
        donor_ids, open_access, controlled, *where, people, sample_attributes, columns
    )
    if controlled is None:
        return donors, ""
    n_with = int(donors["donor"].isin(controlled.index).sum())
    return donors, f"; {n_with} donors with controlled-access phenotypes"
