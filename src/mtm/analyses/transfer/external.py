"""An external cohort of cases and controls, and the training samples it is aligned to."""

from dataclasses import dataclass, replace
from pathlib import Path

import anndata
import numpy as np
import pandas as pd

from mtm.analyses.transfer.people import FOLLOW_UP, KEPT, SAMPLE, SEX
from mtm.cohort.cohort import Cohort
from mtm.errors import InputError
from mtm.io import read_tsv
from mtm.models.base import Predictor

DESIGN = ("case", "donor", "visit", "reason")


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
        One row a sample, indexed by its id in the order of `expr_tpm`: ``case`` (bool); where
        they are known ``donor``, ``visit``, ``sex`` (1 male, 2 female), ``age``; further columns.
    path
        Of the expression, for messages.
    """

    expr_tpm: np.ndarray
    gene_ids: list[str]
    samples: pd.DataFrame
    path: Path

    @classmethod
    def read(cls, expression: str | Path, samples: str | Path) -> "ExternalCohort":
        """Read what `mtm.analyses.transfer.reading.Reading` wrote."""
        data = anndata.read_h5ad(expression)
        table = read_tsv(samples, [SAMPLE, "visit", "donor", "case"],
                         dtype={SAMPLE: str, "donor": str})  # fmt: skip
        table = table.set_index(SAMPLE).loc[data.obs_names]
        table["case"] = table["case"].astype(bool)
        expr_tpm = np.asarray(data.X, np.float32)
        return cls(expr_tpm, list(data.var_names), table, Path(expression))

    @property
    def case(self) -> np.ndarray:
        """Whether each sample is a case, bool."""
        return self.samples["case"].to_numpy(bool)

    @property
    def sex(self) -> np.ndarray:
        """Sex of each sample, whole numbers: 1 male, 2 female, 0 where it is not known."""
        if SEX not in self.samples:
            return np.zeros(len(self.samples), np.int64)
        return self.samples[SEX].fillna(0).to_numpy(np.int64)

    @property
    def covariates(self) -> pd.DataFrame:
        """Further columns of the samples."""
        return self.samples.drop(columns=[name for name in DESIGN if name in self.samples])

    def of(self, rows: np.ndarray) -> "ExternalCohort":
        """Return some samples, by position or a mask."""
        return replace(self, expr_tpm=self.expr_tpm[rows], samples=self.samples.iloc[rows])

    def kept(self) -> "ExternalCohort":
        """Return the samples that are compared, each person once."""
        if "visit" not in self.samples:
            return self
        return self.of(np.flatnonzero(self.samples["visit"] == KEPT))

    def pairs(self) -> "ExternalCohort":
        """Return the people who were there twice: their kept samples, then their later ones."""
        if "visit" not in self.samples:
            return self.of(np.empty(0, np.int64))
        visit, donor = self.samples["visit"].to_numpy(), self.samples["donor"].to_numpy()
        first = {donor[i]: i for i in np.flatnonzero(visit == KEPT)}
        later = {donor[i]: i for i in np.flatnonzero(visit == FOLLOW_UP)}
        both = [name for name in first if name in later]
        return self.of(np.array([first[n] for n in both] + [later[n] for n in both], np.int64))


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
