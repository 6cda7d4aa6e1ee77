"""Ridge regression of many genes at once in its primal form, for fewer features than samples."""

from dataclasses import dataclass

import numpy as np

from mtm.models.solvers.arrays import ROUNDING, gene_blocks
from mtm.settings.models.base import PENALTIES


@dataclass(frozen=True)
class PrimalRidge:
    """What `primal_ridge` returns; the prediction is ``x @ coef + intercept``.

    Parameters
    ----------
    coef
        Shape ``(n_features, n_genes)``, float64.
    intercept
        Shape ``(n_genes,)``.
    penalty
        Chosen penalty of each gene, in multiples as the candidates, shape ``(n_genes,)``.
    left_out
        Prediction of every sample by the same fit without it, shape ``(n_samples, n_genes)``;
        None where it was not asked for.
    """

    coef: np.ndarray
    intercept: np.ndarray
    penalty: np.ndarray
    left_out: np.ndarray | None = None

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict samples of shape ``(n_new, n_features)``."""
        return x @ self.coef + self.intercept


def primal_ridge(
    x: np.ndarray,
    y: np.ndarray,
    penalties: tuple[float, ...] = PENALTIES,
    leave_one_out: bool = False,
    memory_mb: float = 1024,
) -> PrimalRidge:
    """Fit a ridge regression with an intercept to every column of `y`, penalties by GCV.

    The fit is that of `mtm.models.solvers.ridge.gcv_ridge`, whose eigenvectors are of samples;
    these are of features.

    Parameters
    ----------
    x
        Features, shape ``(n_samples, n_features)``.
    y
        Targets, shape ``(n_samples, n_genes)``.
    penalties
        Candidates above 0, as multiples of the mean eigenvalue of the centred kernel.
    leave_one_out
        Also predict every sample without itself, at the penalty of all samples.
    memory_mb
        Working set of one block of genes, MiB.
    """
    n_samples, n_genes = y.shape
    mean_x = x.mean(0, dtype=np.float64)
    centred = x - mean_x
    if np.square(centred).sum() <= ROUNDING * np.square(x, dtype=np.float64).sum():
        centred = np.zeros_like(centred)
    eigenvalues, vectors = np.linalg.eigh(centred.T @ centred)
    eigenvalues = eigenvalues.clip(min=0)
    scores = centred @ vectors
    candidates = np.asarray(penalties, float)
    levels = candidates * (eigenvalues.sum() / max(n_samples - 1, 1) or 1)
    kept = eigenvalues / (eigenvalues + levels[:, None])
    freedom = (n_samples - 1 - kept.sum(1)).clip(min=1e-8 * n_samples)[:, None]
    explained = (2 - kept) / (eigenvalues + levels[:, None])

    coef, intercept = np.empty((x.shape[1], n_genes)), np.empty(n_genes)
    penalty = np.empty(n_genes)
    left_out = np.empty((n_samples, n_genes), np.float32) if leave_one_out else None
    floats = 4 * n_samples + 4 * len(eigenvalues) + 3 * len(levels)
    for block in gene_blocks(n_genes, floats, memory_mb):
        target = y[:, block].astype(np.float64)
        mean_y = target.mean(0)
        target -= mean_y
        rotated = scores.T @ target
        residual = (target**2).sum(0) - explained @ rotated**2
        choice = (residual.clip(min=0) / freedom**2).argmin(0)
        inverse = 1 / (eigenvalues[:, None] + levels[choice])
        coef[:, block] = vectors @ (rotated * inverse)
        intercept[block] = mean_y - mean_x @ coef[:, block]
        penalty[block] = candidates[choice]
        if left_out is not None:
            leverage = 1 / n_samples + scores**2 @ inverse
            without = (target - scores @ (rotated * inverse)) / (1 - leverage).clip(min=1e-8)
            left_out[:, block] = target + mean_y - without
    return PrimalRidge(coef, intercept, penalty, left_out)
