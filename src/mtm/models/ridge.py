"""Baselines b3 and b6: ridge on source expression, with or without covariates (methods 4)."""

import numpy as np

from mtm.cohort.cohort import Cohort
from mtm.models.base import Training
from mtm.models.covariate_design import DESIGN, CovariateDesign, covariate_table
from mtm.models.device import choose_device
from mtm.models.layout import TISSUE, Array, Layout, check_size
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
            self.shared["source"] = self._source_z(training.cohort, source_rows)

    def _features(self, inputs: Cohort, rows: np.ndarray) -> np.ndarray:
        """Return z-scores of the genes, then the covariates."""
        design = CovariateDesign.from_array(self.shared["design"])
        columns = design.transform(covariate_table(inputs, rows, design.covariates))
        return np.hstack([self._source_z(inputs, rows), columns.astype(np.float32)])

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
        x, columns = np.hsplit(features.astype(np.float64), [len(self.genes)])
        kernel, beside = x @ x.T, columns @ columns.T
        fit, fields = {}, {}
        first_coef, first_intercept = 0.0, 0.0
        if self.parameters.covariates == "separate":
            first = gcv_ridge(beside, target_z, **options)
            first_coef, first_intercept = columns.T @ first.dual, first.intercept
            target_z = target_z - (columns @ first_coef + first_intercept)
        factor, fields["covariate_weight"] = self._block(kernel, beside, target_z, options)
        kernel += factor * beside
        ridge = gcv_ridge(kernel, target_z, **options)
        coef, dual, intercept = ridge.dual, ridge.dual, first_intercept + ridge.intercept
        if self.parameters.rank is not None:
            coef, directions = reduced_rank(kernel, ridge.dual, self.parameters.rank)
            dual = coef @ directions
            fit["directions"] = directions.astype(np.float32)
            intercept = intercept + kernel.mean(0) @ (ridge.dual - dual)
        fit["intercept"] = intercept.astype(np.float32)
        if columns.shape[1]:
            covariate_coef = first_coef + factor * columns.T @ dual
            fit["covariate_coef"] = covariate_coef.astype(np.float32)
            fit["covariate_weight"] = np.array([fields["covariate_weight"]], np.float32)
        if "source" in self.shared:
            fit["source_position"] = pairs.source_position
            fit["coef"] = coef.astype(np.float32)
        else:
            fit["coef"] = (x.T @ coef).astype(np.float32)
        return fit, {"median_penalty": float(np.median(ridge.penalty))} | fields

    def _block(
        self, kernel: np.ndarray, beside: np.ndarray, target_z: np.ndarray, options: dict
    ) -> tuple[float, float]:
        """Return the factor of the covariates' kernel `beside`, and its weight.

        The weight is its mean eigenvalue over that of the genes' kernel (methods 4); NaN where
        covariates came before.
        """
        from mtm.models.solvers.ridge import least_gcv, mean_eigenvalue

        p = self.parameters
        unit, own = mean_eigenvalue(kernel) or 1.0, mean_eigenvalue(beside)
        if p.covariates == "separate":
            return 0.0, np.nan
        if not own:
            return 0.0, 0.0
        if p.covariates == "together":
            return 1.0, own / unit
        factors = [weight * unit / own for weight in p.covariate_weights]
        best = least_gcv((kernel + factor * beside for factor in factors), target_z, **options)
        return factors[best], p.covariate_weights[best]

    def _shared_layout(self) -> Layout:
        source = Array(("training samples", len(self.genes)), optional=True)
        return {"design": DESIGN, "source": source}

    def _tissue_layout(self) -> Layout:
        n_genes, terms = len(self.genes), f"terms of {TISSUE}"
        directions = n_genes if self.parameters.rank is None else f"directions of {TISSUE}"
        layout = {
            "coef": Array((terms, directions)),
            "intercept": Array((n_genes,)),
            "source_position": Array((terms,), "int64", 0, optional=True),
            "covariate_coef": Array(("covariates", n_genes), optional=True),
            "covariate_weight": Array((1,), low=0.0, missing=True, optional=True),
        }
        if self.parameters.rank is None:
            return layout
        return layout | {"directions": Array((directions, n_genes))}

    def _check_fit(self, place: str, fit: dict[str, np.ndarray]) -> None:
        super()._check_fit(place, fit)
        n_columns = len(CovariateDesign.from_array(self.shared["design"]))
        n_covariates = len(fit.get("covariate_coef", ()))
        check_size(f"{place}covariate_coef", n_covariates, n_columns, "columns of the design")
        positions, terms = fit.get("source_position"), len(fit["coef"])
        if "source" in self.shared:
            n_positions = 0 if positions is None else len(positions)
            check_size(f"{place}source_position", n_positions, terms, "samples with coefficients")
        else:
            check_size(f"{place}coef", terms, len(self.genes), "genes")

    def _predict_tissue(self, fit: dict[str, np.ndarray], features: np.ndarray) -> np.ndarray:
        x, columns = np.hsplit(features, [len(self.genes)])
        if "source_position" in fit:
            x = (x @ self.shared["source"].T)[:, fit["source_position"]]
        expr_z = x @ fit["coef"]
        if "directions" in fit:
            expr_z = expr_z @ fit["directions"]
        if "covariate_coef" in fit:
            expr_z = expr_z + columns @ fit["covariate_coef"]
        return expr_z + fit["intercept"]
