"""Baseline b2: traits of the donor and the source sample, no expression (methods 4)."""

import numpy as np

from mtm.cohort.cohort import Cohort
from mtm.models.base import Training
from mtm.models.covariate_design import DESIGN, CovariateDesign, covariate_table
from mtm.models.device import choose_device
from mtm.models.layout import Layout, check_size, summary
from mtm.models.per_tissue import PerTissuePredictor, TissuePairs
from mtm.models.registry import register
from mtm.settings.models.covariates import CovariatesParameters


@register("covariates")
class Covariates(PerTissuePredictor):
    """Ridge regression of every target gene on covariates alone, penalty by GCV.

    Where no covariate varies between training donors, it predicts the training mean.
    """

    Parameters = CovariatesParameters

    def _prepare(self, training: Training, source_rows: np.ndarray) -> None:
        names = self.parameters.covariate_columns
        table = covariate_table(training.cohort, source_rows, names)
        design = CovariateDesign.fit(table)
        self.provenance.notes["covariates"] = design.covariates
        self.shared["design"] = design.to_array()

    def _features(self, inputs: Cohort, rows: np.ndarray) -> np.ndarray:
        """Return the standardised covariates."""
        design = CovariateDesign.from_array(self.shared["design"])
        return design.transform(covariate_table(inputs, rows, design.covariates))

    def _fit_tissue(
        self, features: np.ndarray, target_z: np.ndarray, pairs: TissuePairs, training: Training
    ) -> tuple[dict[str, np.ndarray], dict]:
        if not features.shape[1]:
            return {}, {"reason": "no covariate varies between training donors"}
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

    def _shared_layout(self) -> Layout:
        return {"design": DESIGN}

    def _tissue_layout(self) -> Layout:
        n_genes = len(self.genes)
        return {"coef": summary(("covariates", n_genes)), "intercept": summary((n_genes,))}

    def _check_fit(self, place: str, fit: dict[str, np.ndarray]) -> None:
        design = CovariateDesign.from_array(self.shared["design"])
        check_size(f"{place}coef", len(fit["coef"]), len(design), "columns of the design")

    def _predict_tissue(self, fit: dict[str, np.ndarray], features: np.ndarray) -> np.ndarray:
        return (features @ fit["coef"] + fit["intercept"]).astype(np.float32)
