"""Baselines b3 and b6: ridge on source expression, with or without covariates (methods 4)."""

import numpy as np

from mtm.cohort.cohort import Cohort
from mtm.models.base import Training
from mtm.models.covariate_design import CovariateDesign, covariate_table
from mtm.models.device import choose_device
from mtm.models.per_tissue import PerTissuePredictor, TissuePairs
from mtm.models.registry import register
from mtm.settings.models.ridge import RidgeParameters


@register("ridge")
class Ridge(PerTissuePredictor):
    """Ridge regression of every target gene on all source genes, penalty by GCV."""

    Parameters = RidgeParameters

    def _prepare(self, training: Training, source_rows: np.ndarray) -> None:
        options = self.parameters
        names = () if options.covariates == "none" else options.covariate_columns
        design = CovariateDesign.fit(covariate_table(training.cohort, source_rows, names))
        self.provenance.notes["covariates"] = design.covariates
        self.shared["design"] = design.to_array()
        # More genes than donors: coefficients over donors are the smaller ones to keep.
        if len(self.genes) > len(source_rows):
            features = self._features(training.cohort, source_rows)
            self.shared["source"] = features[:, : self._n_penalised(features)]

    def _features(self, inputs: Cohort, rows: np.ndarray) -> np.ndarray:
        """Return z-scores of the genes, then the covariates."""
        design = CovariateDesign.from_array(self.shared["design"])
        columns = design.transform(covariate_table(inputs, rows, design.covariates))
        return np.hstack([self._source_z(inputs, rows), columns.astype(np.float32)])

    def _n_penalised(self, features: np.ndarray) -> int:
        """Return how many leading columns go into the kernel."""
        together = self.parameters.covariates == "together"
        return features.shape[1] if together else len(self.genes)

    def _fit_tissue(
        self, features: np.ndarray, target_z: np.ndarray, pairs: TissuePairs, training: Training
    ) -> tuple[dict[str, np.ndarray], dict]:
        from mtm.models.solvers.ridge import gcv_ridge, reduced_rank

        options = {
            "penalties": self.parameters.penalties,
            "penalty_choice": self.parameters.penalty_choice,
            "device": choose_device(training.device),
            "memory_mb": self.parameters.memory_mb,
        }
        split = self._n_penalised(features)
        x, columns = features[:, :split].astype(np.float64), features[:, split:].astype(np.float64)
        fit = {}
        residual, intercept = target_z, 0.0
        if columns.shape[1]:
            first = gcv_ridge(columns @ columns.T, target_z, **options)
            coef = columns.T @ first.dual
            fit["covariate_coef"] = coef.astype(np.float32)
            residual, intercept = target_z - (columns @ coef + first.intercept), first.intercept
        kernel = x @ x.T
        ridge = gcv_ridge(kernel, residual, **options)
        dual, intercept = ridge.dual, intercept + ridge.intercept
        if self.parameters.rank is not None:
            dual, directions = reduced_rank(kernel, ridge.dual, self.parameters.rank)
            fit["directions"] = directions.astype(np.float32)
            intercept = intercept + kernel.mean(0) @ (ridge.dual - dual @ directions)
        fit["intercept"] = intercept.astype(np.float32)
        if "source" in self.shared:
            fit["source_position"] = pairs.source_position
            fit["coef"] = dual.astype(np.float32)
        else:
            fit["coef"] = (x.T @ dual).astype(np.float32)
        return fit, {"median_penalty": float(np.median(ridge.penalty))}

    def _predict_tissue(self, fit: dict[str, np.ndarray], features: np.ndarray) -> np.ndarray:
        split = self._n_penalised(features)
        x = features[:, :split]
        if "source_position" in fit:
            x = (x @ self.shared["source"].T)[:, fit["source_position"]]
        expr_z = x @ fit["coef"]
        if "directions" in fit:
            expr_z = expr_z @ fit["directions"]
        if "covariate_coef" in fit:
            expr_z = expr_z + features[:, split:] @ fit["covariate_coef"]
        return expr_z + fit["intercept"]
