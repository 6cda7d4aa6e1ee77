"""Rival S2, TEEBoT: LASSO of every gene on a few principal components of the source (methods 2).

The published code computes the components with the test donors among them; here training donors
alone define them.
"""

import numpy as np

from mtm.cohort.cohort import Cohort
from mtm.models.base import Training
from mtm.models.covariate_design import DESIGN, CovariateDesign, covariate_table
from mtm.models.device import choose_device
from mtm.models.layout import Layout, check_size, summary
from mtm.models.per_tissue import PerTissuePredictor, TissuePairs
from mtm.models.registry import register
from mtm.settings.models.teebot import TEEBoTParameters


def principal_axes(values: np.ndarray, n_components: int) -> np.ndarray:
    """Return axes onto which centred rows of `values` project as principal components.

    Parameters
    ----------
    values
        Training samples, shape ``(n_samples, n_features)``.
    n_components
        Fewer are returned where the rank of `values` is lower.

    Returns
    -------
    np.ndarray
        Shape ``(n_features, n_components)``, float64, of unit length. The largest entry of each
        is positive.
    """
    centred = values.astype(np.float64)
    centred -= centred.mean(0)
    eigenvalues, vectors = np.linalg.eigh(centred @ centred.T)
    eigenvalues, vectors = eigenvalues[::-1], vectors[:, ::-1]
    rank = int((eigenvalues > 1e-10 * max(eigenvalues[0], 0)).sum())
    kept = min(n_components, rank)
    axes = centred.T @ vectors[:, :kept] / np.sqrt(eigenvalues[:kept])
    largest = np.abs(axes).argmax(0)
    return axes * np.sign(axes[largest, np.arange(kept)])


@register("teebot")
class TEEBoT(PerTissuePredictor):
    """LASSO, penalty by inner cross-validation, on principal components of the source tissue."""

    Parameters = TEEBoTParameters

    def _prepare(self, training: Training, source_rows: np.ndarray) -> None:
        options = self.parameters
        weight = np.ones(len(self.genes))
        if not options.standardise_genes:
            weight = self.scaler.sd[training.source].astype(np.float64)
        expr_z = self.seen(training.cohort, source_rows)
        # Deviation: the published code computes the components on all donors.
        axes = principal_axes(expr_z * weight, options.n_components)
        self.shared["axes"] = (weight[:, None] * axes).astype(np.float32)
        table = covariate_table(training.cohort, source_rows, options.covariate_columns)
        design = CovariateDesign.fit(table)
        self.provenance.notes["covariates"] = design.covariates
        self.shared["design"] = design.to_array()

    def _features(self, inputs: Cohort, rows: np.ndarray) -> np.ndarray:
        """Return component scores, then covariates."""
        design = CovariateDesign.from_array(self.shared["design"])
        columns = design.transform(covariate_table(inputs, rows, design.covariates))
        scores = self.seen(inputs, rows) @ self.shared["axes"]
        return np.hstack([scores, columns.astype(np.float32)])

    def _fit_tissue(
        self, features: np.ndarray, target_z: np.ndarray, pairs: TissuePairs, training: Training
    ) -> tuple[dict[str, np.ndarray], dict]:
        if not features.shape[1]:
            return {}, {"reason": "neither the source nor a covariate varies"}
        from mtm.models.solvers.lasso import lasso_cv

        options = self.parameters
        x = features.astype(np.float64)
        mean, sd = x.mean(0), x.std(0)
        sd = np.where(sd > 1e-9 * np.maximum(np.abs(mean), 1e-9), sd, 1)
        lasso = lasso_cv(
            (x - mean) / sd,
            target_z,
            options.n_folds,
            options.n_penalties,
            options.smallest_penalty,
            options.tol,
            options.max_iter,
            choose_device(training.device),
            options.memory_mb,
        )
        coef = lasso.coef / sd[:, None]
        fit = {"coef": coef, "intercept": target_z.mean(0, dtype=np.float64) - mean @ coef}
        fields = {
            "median_n_features": float(np.median((lasso.coef != 0).sum(0))),
            "n_not_converged": int((~lasso.converged).sum()),
        }
        return {key: value.astype(np.float32) for key, value in fit.items()}, fields

    def _shared_layout(self) -> Layout:
        return {"axes": summary((len(self.genes), "components")), "design": DESIGN}

    def _tissue_layout(self) -> Layout:
        n_genes = len(self.genes)
        return {"coef": summary(("features", n_genes)), "intercept": summary((n_genes,))}

    def _check_fit(self, place: str, fit: dict[str, np.ndarray]) -> None:
        n_columns = len(CovariateDesign.from_array(self.shared["design"]))
        n_features = self.shared["axes"].shape[1] + n_columns
        check_size(f"{place}coef", len(fit["coef"]), n_features, "components and covariates")

    def _predict_tissue(self, fit: dict[str, np.ndarray], features: np.ndarray) -> np.ndarray:
        return features @ fit["coef"] + fit["intercept"]
