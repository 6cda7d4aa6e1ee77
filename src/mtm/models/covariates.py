"""Baseline b2: traits of the donor and the source sample, no expression (methods 4)."""

from dataclasses import dataclass

import numpy as np

from mtm.cohort.cohort import Cohort
from mtm.errors import InputError
from mtm.models.base import Training
from mtm.models.covariate_design import COVARIATES, CovariateDesign, covariate_table
from mtm.models.device import choose_device
from mtm.models.per_tissue import MIN_PAIRS, PerTissuePredictor, TissuePairs
from mtm.models.registry import register
from mtm.models.solvers.ridge import PENALTIES, PenaltyChoice
from mtm.vocabulary import Scale


@register("covariates")
class Covariates(PerTissuePredictor):
    """Ridge regression of every target gene on covariates alone, penalty by GCV."""

    @dataclass(frozen=True)
    class Parameters:
        """Hyper-parameters.

        Parameters
        ----------
        covariate_columns
            Used as far as the cohort has them.
        penalties, penalty_choice, min_pairs, scale, memory_mb
            As in `mtm.models.ridge.Ridge`.
        """

        covariate_columns: tuple[str, ...] = COVARIATES
        penalties: tuple[float, ...] = PENALTIES
        penalty_choice: PenaltyChoice = "per_gene"
        min_pairs: int = MIN_PAIRS
        scale: Scale = "log2_z"
        memory_mb: float = 1024

    def _prepare(self, training: Training, source_rows: np.ndarray) -> None:
        names = self.parameters.covariate_columns
        table = covariate_table(training.cohort, source_rows, names)
        design = CovariateDesign.fit(table)
        if not len(design):
            raise InputError(
                "covariates of the cohort",
                "none that varies between training donors",
                f"at least one of {', '.join(names)}",
            )
        self.provenance.notes["covariates"] = design.covariates
        self.shared["design"] = design.to_array()

    def _features(self, inputs: Cohort, rows: np.ndarray) -> np.ndarray:
        """Return the standardised covariates."""
        design = CovariateDesign.from_array(self.shared["design"])
        return design.transform(covariate_table(inputs, rows, design.covariates))

    def _fit_tissue(
        self, features: np.ndarray, target_z: np.ndarray, pairs: TissuePairs, training: Training
    ) -> tuple[dict[str, np.ndarray], dict]:
        from mtm.models.solvers.ridge import gcv_ridge

        ridge = gcv_ridge(
            features @ features.T,
            target_z,
            self.parameters.penalties,
            self.parameters.penalty_choice,
            choose_device(training.device),
            self.parameters.memory_mb,
        )
        fit = {"coef": features.T @ ridge.dual, "intercept": ridge.intercept}
        return (
            {key: value.astype(np.float32) for key, value in fit.items()},
            {"median_penalty": float(np.median(ridge.penalty))},
        )

    def _predict_tissue(self, fit: dict[str, np.ndarray], features: np.ndarray) -> np.ndarray:
        return (features @ fit["coef"] + fit["intercept"]).astype(np.float32)
