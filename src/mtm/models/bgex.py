"""Rival S1, B-GEx: Bayesian ridge on the few source genes that follow a target gene (methods 2).

The published pipeline also drops target genes that are zero anywhere; here every gene is
predicted, so that models are compared on the same genes.
"""

import numpy as np

from mtm.cohort.cohort import Cohort
from mtm.cohort.scaling import log2_tpm
from mtm.models.base import Training
from mtm.models.device import choose_device
from mtm.models.layout import TISSUE, Layout, summary
from mtm.models.per_tissue import PerTissuePredictor, TissuePairs
from mtm.models.registry import register
from mtm.settings.models.bgex import BGExParameters
from mtm.vocabulary import Measure


def variable_genes(
    expr_tpm: np.ndarray,
    top_fraction: float,
    min_expressed_fraction: float,
    measure: Measure = "tpm",
) -> np.ndarray:
    """Choose expressed genes with a high coefficient of variation (methods 2, S1 (a)).

    Parameters
    ----------
    expr_tpm
        Training samples of the source tissue, shape ``(n_samples, n_genes)``, TPM.
    top_fraction
        Share of the expressed genes to keep, rounded up.
    min_expressed_fraction
        A gene is expressed when this share of the samples has TPM above 0.
    measure
        On a scale of their own all genes are expressed, and those that vary most are chosen.

    Returns
    -------
    np.ndarray
        Sorted gene indices. The coefficient of variation is that of log(1+TPM), whose base
        cancels.
    """
    if measure == "own":
        n_kept = int(np.ceil(top_fraction * expr_tpm.shape[1]))
        return np.sort(np.argsort(-expr_tpm.astype(np.float64).std(0), kind="stable")[:n_kept])
    expressed = np.flatnonzero((expr_tpm > 0).mean(0) >= min_expressed_fraction)
    values = log2_tpm(expr_tpm[:, expressed].astype(np.float64))
    mean, sd = values.mean(0), values.std(0, ddof=1)
    variation = np.divide(sd, mean, out=np.zeros_like(sd), where=mean > 0)
    n_kept = int(np.ceil(top_fraction * len(expressed)))
    return np.sort(expressed[np.argsort(-variation, kind="stable")[:n_kept]])


@register("bgex")
class BGEx(PerTissuePredictor):
    """Bayesian ridge of every target gene on its `n_features` most correlated source genes."""

    Parameters = BGExParameters

    def _features(self, inputs: Cohort, rows: np.ndarray) -> np.ndarray:
        """Return z-scores of all source genes."""
        return self.seen(inputs, rows)

    def _fit_tissue(
        self, features: np.ndarray, target_z: np.ndarray, pairs: TissuePairs, training: Training
    ) -> tuple[dict[str, np.ndarray], dict]:
        from mtm.models.solvers.arrays import float64, gene_blocks, standardised
        from mtm.models.solvers.bayesian_ridge import bayesian_ridge_on_best

        options, device = self.parameters, choose_device(training.device)
        candidates = variable_genes(
            training.cohort.expr_tpm[pairs.source_rows],
            options.top_fraction,
            options.min_expressed_fraction,
            training.cohort.measure,
        )
        if not len(candidates):
            return {}, {"n_candidates": 0, "reason": "no source gene is expressed in all pairs"}
        x, x_mean, x_sd = standardised(float64(features[:, candidates], device))
        chosen, coef, intercept = [], [], []
        k = min(options.n_features, len(candidates))
        floats_per_gene = 3 * len(x) + 2 * len(candidates) + 3 * k * k
        # Deviation: every gene is a target, also one that some samples do not express.
        for block in gene_blocks(target_z.shape[1], floats_per_gene, options.memory_mb, device):
            y, y_mean, y_sd = standardised(float64(target_z[:, block], device))
            best, weights = bayesian_ridge_on_best(x, y, k, options.max_iter, options.tol)
            weights = weights * y_sd[:, None] / x_sd[best]
            chosen.append(best.cpu().numpy())
            coef.append(weights.cpu().numpy())
            intercept.append((y_mean - (weights * x_mean[best]).sum(1)).cpu().numpy())
        fit = {
            "source_genes": candidates[np.concatenate(chosen)].astype(np.int32),
            "coef": np.concatenate(coef).astype(np.float32),
            "intercept": np.concatenate(intercept).astype(np.float32),
        }
        return fit, {"n_candidates": len(candidates)}

    def _tissue_layout(self) -> Layout:
        n_genes = len(self.genes)
        shape = n_genes, f"features of {TISSUE}"
        return {
            "source_genes": summary(shape, "int32", 0, n_genes - 1),
            "coef": summary(shape),
            "intercept": summary((n_genes,)),
        }

    def _predict_tissue(self, fit: dict[str, np.ndarray], features: np.ndarray) -> np.ndarray:
        result = np.tile(fit["intercept"], (len(features), 1))
        for genes, coef in zip(fit["source_genes"].T, fit["coef"].T, strict=True):
            result += features[:, genes] * coef
        return result
