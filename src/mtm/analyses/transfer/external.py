"""An external cohort of cases and controls, and the training samples it is aligned to."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.cohort.cohort import Cohort
from mtm.cohort.fields import check_traits
from mtm.cohort.lines import demand_whole_rows
from mtm.cohort.units import to_tpm
from mtm.errors import InputError
from mtm.io import read_tsv
from mtm.models.base import Predictor
from mtm.predictions.new_people import read_new_expression
from mtm.settings.transfer import TransferSettings

GROUPS = {"case": True, "control": False}


@dataclass(frozen=True)
class ExternalCohort:
    """Source-tissue expression of new people, cases and controls.

    Parameters
    ----------
    expr_tpm
        Shape ``(n_samples, n_genes)``, TPM.
    gene_ids
        Ensembl ids, versioned or not.
    samples
        One row a sample, indexed by its id in the order of `expr_tpm`: ``case`` (bool) and the
        table's further columns.
    path
        Of the expression, for messages.
    """

    expr_tpm: np.ndarray
    gene_ids: list[str]
    samples: pd.DataFrame
    path: Path

    @property
    def case(self) -> np.ndarray:
        """Whether each sample is a case, bool."""
        return self.samples["case"].to_numpy(bool)

    @property
    def covariates(self) -> pd.DataFrame:
        """Further columns of the samples."""
        return self.samples.drop(columns="case")


def read_external(
    expression: str | Path, samples: str | Path, settings: TransferSettings
) -> ExternalCohort:
    """Read and check an external cohort.

    Parameters
    ----------
    expression
        Genes in rows, samples in columns (a table or GCT), or h5ad.
    samples
        Table with ``sample``, ``group`` ("case" or "control") and further columns.

    Raises
    ------
    InputError
        A sample stands in one of the files alone or twice, a group is another, there are too few
        of one, or values do not look like TPM.
    """
    demand_whole_rows(samples)
    table = read_tsv(samples, ["sample", "group"], dtype={"sample": str, "group": str})
    table = table.set_index("sample")
    check_traits(table, samples)
    for name in table.index[table.index.duplicated()][:1]:
        raise InputError(samples, f"sample {name} twice", "one row a sample")
    known = table["group"].isin(list(GROUPS))
    if not known.all():
        group = table.loc[~known, "group"].iloc[0]
        raise InputError(
            f"{samples}, sample {table.index[~known][0]}",
            "no group" if pd.isna(group) else f"group {group!r}",
            f"{' or '.join(map(repr, GROUPS))}",
        )
    sample_ids, gene_ids, values = read_new_expression(expression)
    _same_samples(pd.Index(sample_ids), table.index, expression, samples)
    table = table.loc[list(sample_ids)]
    case = table.pop("group").map(GROUPS).to_numpy(bool)
    for n, name in ((case.sum(), "cases"), ((~case).sum(), "controls")):
        if n < settings.min_per_group:
            raise InputError(
                samples,
                f"{n} {name}",
                f"at least {settings.min_per_group}",
                "Lower transfer.min_per_group, or leave out inputs.external_expression.",
            )
    try:
        expr_tpm = to_tpm(values, settings.units, expression, sample_ids)
    except InputError as error:
        hint = "Set transfer.units to log2 if these are log2(1+TPM), to tpm if you know better."
        if settings.units is not None:
            hint = f"transfer.units says {settings.units}."
        elif "looks" not in error.found:
            raise
        raise InputError(error.where, error.found, error.expected, hint) from None
    return ExternalCohort(expr_tpm, gene_ids, table.assign(case=case), Path(expression))


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


def training_source(model: Predictor, cohort: Cohort, source: str) -> np.ndarray:
    """Source-tissue expression of the donors that a model was fitted on.

    Returns
    -------
    np.ndarray
        TPM, shape ``(n_donors, n_genes)``.

    Raises
    ------
    InputError
        The cohort lacks a training donor, or has other genes than the model.
    """
    trained = model.provenance.training_donors
    seen = trained.among(cohort.donors.index)
    missing = len(trained) - seen.sum()
    if missing or not cohort.genes.index.equals(model.genes.index):
        raise InputError(
            f"cohort of model {model.name}",
            f"{missing} training donors missing, {cohort.n_genes} genes",
            f"its training donors and its {len(model.genes)} genes",
            "The cohort has changed since the training; train the model again.",
        )
    return cohort.expr_tpm[seen[cohort.donor] & (cohort.tissue == cohort.tissue_index(source))]
