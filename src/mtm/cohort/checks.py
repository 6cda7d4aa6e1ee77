"""All that is wrong with the files of a cohort, found before anything is built from them."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from mtm.cohort.blocks import warn_of_dates
from mtm.cohort.build import merge_phenotypes, people_of
from mtm.cohort.cohort import Cohort
from mtm.cohort.filters import GeneFilter, filter_samples, join_attributes
from mtm.cohort.genes import exon_records, gene_key, read_gtf_genes
from mtm.cohort.lengths import warn_of_lengths
from mtm.cohort.matrices import iter_expression_blocks, read_expression_header
from mtm.cohort.tables import (
    demand_named_columns,
    read_controlled_phenotypes,
    read_sample_attributes,
    read_subject_phenotypes,
)
from mtm.cohort.units import SampleTotals
from mtm.errors import InputError
from mtm.settings.cohort import Columns
from mtm.vocabulary import OWN_UNITS, Units

# A matrix of more bytes is read by the build alone; here its header, names and first genes are.
WHOLE_BYTES = 1 << 25
Made = TypeVar("Made")


@dataclass
class Problems:
    """Problems of inputs, found one after the other."""

    found: list[InputError] = field(default_factory=list)

    def of(self, make: Callable[..., Made], *given: Any, **options: Any) -> Made | None:
        """Return what a function makes; None where it refuses, which is noted."""
        try:
            return make(*given, **options)
        except InputError as error:
            self.found += error.parts
            return None

    def demand_none(self) -> None:
        """Raise all problems as one error, each told once."""
        if self.found:
            raise InputError.together(
                list({str(problem): problem for problem in self.found}.values())
            )


@dataclass(frozen=True)
class CohortNames:
    """What a cohort's files name, as far as they can be read.

    Parameters
    ----------
    samples
        Those that the filters keep, as the cohort will have them: ``donor``, ``tissue`` and what
        else there is of a sample.
    donors
        Their donors, indexed by id; None where they cannot be told.
    """

    samples: pd.DataFrame
    donors: pd.DataFrame | None

    @property
    def tissues(self) -> tuple[str, ...]:
        """Those that the filters keep."""
        return tuple(sorted(self.samples["tissue"].unique()))

    @property
    def cohort(self) -> Cohort | None:
        """The cohort without a gene; None where donors cannot be told."""
        if self.donors is None:
            return None
        tissues, donors = self.tissues, self.donors.sort_index()
        return Cohort(
            expr_tpm=np.empty((len(self.samples), 0), np.float32),
            samples=self.samples.drop(columns=["donor", "tissue"]),
            donor=donors.index.get_indexer(self.samples["donor"]),
            tissue=pd.Index(tissues).get_indexer(self.samples["tissue"]),
            donors=donors,
            tissues=tissues,
            genes=pd.DataFrame({"symbol": []}),
        )


def check_cohort(
    problems: Problems,
    files: Mapping[str, str],
    filters: Mapping[str, Any],
    units: Units | None = None,
    columns: Columns = Columns(),
) -> CohortNames | None:
    """Read a cohort's files as `mtm.cohort.build.build_cohort` would, and note all problems.

    Tables are read whole, of a large expression file what comes first.

    Parameters
    ----------
    problems
        Where problems are noted.
    files
        Path of ``expression``, ``sample_attributes`` and, where there are any,
        ``subject_phenotypes``, ``gene_model``, ``gene_list`` and ``controlled_phenotypes``.
    filters
        Section `filters` of the configuration.
    units
        Of the expression.
    columns
        How the columns of the tables are named.

    Returns
    -------
    CohortNames
        None where the samples cannot be told.
    """
    header = problems.of(read_expression_header, files["expression"])
    where, people = files["sample_attributes"], files.get("subject_phenotypes")
    attributes = problems.of(read_sample_attributes, where, columns)
    phenotypes = None
    if people is not None:
        phenotypes = problems.of(read_subject_phenotypes, people, columns)
    if attributes is not None and (people is None or phenotypes is not None):
        problems.of(demand_named_columns, columns, where, people)
    controlled = None
    if "controlled_phenotypes" in files:
        controlled = problems.of(read_controlled_phenotypes, files["controlled_phenotypes"])
    genes = _genes(problems, files, filters, units)
    samples = None
    if header is not None and attributes is not None:
        samples = _kept_samples(problems, files, header.sample_ids, attributes, filters, columns)
    if header is not None:
        model = files.get("gene_model") if units == "counts" else None
        given = files["expression"], header.sample_ids, samples, genes, units, model
        problems.of(_check_values, *given)
    if samples is None:
        return None
    donors, of_samples = None, None
    if people is None or phenotypes is not None:
        of_samples = problems.of(people_of, samples, columns, where)
        donor_ids, where_controlled = samples["donor"].unique(), files.get("controlled_phenotypes")
        given = donor_ids, phenotypes, controlled, people, where_controlled, of_samples
        donors = problems.of(merge_phenotypes, *given, where, columns)
    stored = _as_stored(samples, () if of_samples is None else tuple(of_samples))
    return CohortNames(stored, None if donors is None else donors.set_index("donor"))


def _as_stored(samples: pd.DataFrame, of_donors: Collection[str]) -> pd.DataFrame:
    """Return samples with the columns that they have in the cohort; those of donors are theirs."""
    samples = samples.drop(columns=["column", "freeze", *of_donors], errors="ignore")
    return samples.astype(dict.fromkeys(samples.columns[samples.dtypes == "Int64"], float))


def _genes(
    problems: Problems, files: Mapping[str, str], filters: Mapping[str, Any], units: Units | None
) -> GeneFilter | None:
    """Return what chooses genes; None where it cannot."""
    if units == "counts" and "gene_model" in files:
        # The first exon: all of them take as long as the build.
        problems.of(lambda: next(exon_records(files["gene_model"])))
    return problems.of(
        GeneFilter, files.get("gene_model"), filters["gene_biotypes"], files.get("gene_list")
    )


def _kept_samples(
    problems: Problems,
    files: Mapping[str, str],
    sample_ids: Collection[str],
    attributes: pd.DataFrame,
    filters: Mapping[str, Any],
    columns: Columns,
) -> pd.DataFrame | None:
    """Return the samples that the filters keep; None where they cannot be told."""
    where = files["sample_attributes"]
    joined = problems.of(
        join_attributes, sample_ids, attributes, files["expression"], where, columns
    )
    if joined is None:
        return None
    chosen = {name: value for name, value in filters.items() if name != "gene_biotypes"}
    kept = problems.of(filter_samples, joined, **chosen, where=where)
    return None if kept is None else kept[0]


def _check_values(
    expression: str | Path,
    sample_ids: tuple[str, ...],
    samples: pd.DataFrame | None,
    genes: GeneFilter | None,
    units: Units | None,
    lengths_in: str | Path | None = None,
) -> None:
    """Refuse genes and values that the build would refuse, of the first genes of a large file.

    Of counts that become TPM by the lengths of genes in a gene model, say if most have none.
    """
    whole = Path(expression).stat().st_size <= WHOLE_BYTES
    if not whole and str(expression).lower().endswith(".h5ad"):
        return
    columns = np.arange(len(sample_ids)) if samples is None else samples["column"].to_numpy()
    totals = SampleTotals(np.asarray(sample_ids, dtype=object)[columns])
    keep = None if genes is None else genes.keep
    blocks = iter_expression_blocks(expression, columns, keep=keep, signed=units in OWN_UNITS)
    for block in blocks if whole else islice(blocks, 1):
        totals.add(block.expr_tpm)
    if not whole:
        return
    if genes is not None:
        if not genes.seen:
            raise InputError(expression, "no gene", "at least one row of values")
        genes.counts()
        warn_of_dates(expression, (key.stable_id for key in genes.seen))
        if lengths_in is not None:
            known = genes.known
            if known is None:
                known = set(map(gene_key, read_gtf_genes(lengths_in).index))
            n_without = sum(key not in known for key in genes.seen)
            warn_of_lengths(lengths_in, expression, n_without, len(genes.seen))
    totals.demand(units, expression, "inputs.units:")
    totals.warn_of_copies(expression)
