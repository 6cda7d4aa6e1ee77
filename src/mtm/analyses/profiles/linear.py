"""The linear part: what surroundings tell of a profile, and what its tissues seen tell of others.

A profile about the tissue means is Gaussian: its mean is what ridge regressions tell from the
surroundings, its covariance what they leave. Holes are then told by the tissues seen, whatever
their pattern, and a gene without any by its surroundings alone.
"""

from dataclasses import dataclass

import numpy as np

from mtm.analyses.profiles.features import FLOOR, Shapes
from mtm.models.solvers.primal_ridge import PrimalRidge, primal_ridge

# Of a mean variance, what of each tissue no other has.
OWN_SHARE = 0.02
ROUNDS = 5
ROWS_AT_A_TIME = 1024


def filled(
    centred: np.ndarray, mean: np.ndarray, covariance: np.ndarray, with_sd: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """Fill the holes of Gaussian rows by what is expected given what is seen.

    Parameters
    ----------
    centred
        Shape ``(n_rows, n_tissues)``; NaN is a hole.
    mean
        Of each row, the same shape.
    covariance
        Shape ``(n_tissues, n_tissues)``.
    with_sd
        Also return the sd of what is in the holes, given what is seen.

    Returns
    -------
    np.ndarray, np.ndarray or None
        Both of the shape of `centred`; the sd is 0 where there is no hole.
    """
    out, sd = np.empty(centred.shape), np.zeros(centred.shape) if with_sd else None
    diagonal = np.arange(len(covariance))
    for start in range(0, len(centred), ROWS_AT_A_TIME):
        rows = slice(start, start + ROWS_AT_A_TIME)
        seen = np.isfinite(centred[rows])
        both = covariance * (seen[:, :, None] & seen[:, None, :])
        both[:, diagonal, diagonal] += ~seen
        about = np.where(seen, centred[rows] - mean[rows], 0)
        weights = np.linalg.solve(both, about[..., None])[..., 0] * seen
        out[rows] = np.where(seen, centred[rows], mean[rows] + weights @ covariance)
        if sd is not None:
            known = seen[:, :, None] * covariance
            told = np.einsum("rst,rst->rt", known, np.linalg.solve(both, known))
            sd[rows] = np.sqrt((covariance.diagonal() - told).clip(min=0)) * ~seen
    return out, sd


@dataclass(frozen=True)
class Linear:
    """What `fit_linear` returns.

    Parameters
    ----------
    tissue_mean
        Of training genes, shape ``(n_tissues,)``.
    ridge
        From features to shape, level and sd; None where there are no features.
    scale
        Of features, shape ``(n_features,)``.
    spread
        What the product of shape and sd is multiplied by.
    covariance
        Of what is left, shape ``(n_tissues, n_tissues)``.
    train_mean
        Mean of each training gene by a fit without it, shape ``(n_train, n_tissues)``.
    """

    tissue_mean: np.ndarray
    ridge: PrimalRidge | None
    scale: np.ndarray
    spread: float
    covariance: np.ndarray
    train_mean: np.ndarray

    def mean(self, features: np.ndarray) -> np.ndarray:
        """Return what the surroundings tell, about the tissue means, ``(n_genes, n_tissues)``."""
        if self.ridge is None:
            return np.zeros((len(features), len(self.tissue_mean)))
        return _profile(self.ridge.predict(features / self.scale), self.spread)


def fit_linear(expr_log2: np.ndarray, blocks: list[np.ndarray]) -> Linear:
    """Fit to genes of which something is measured.

    With holes, they are filled by turns with the fit (as EM does).

    Parameters
    ----------
    expr_log2
        Shape ``(n_genes, n_tissues)``; NaN is a hole.
    blocks
        Features by part, each ``(n_genes, n_features)``. A part of many features weighs no more
        than one of few.
    """
    n_genes, n_tissues = expr_log2.shape
    tissue_mean = np.nanmean(expr_log2, 0)
    centred = expr_log2 - tissue_mean
    seen = np.isfinite(centred)
    whole = np.where(seen, centred, Shapes.of(centred).level[:, None])
    scale = np.concatenate([_scale(block) for block in blocks]) if blocks else np.empty(0)
    features = np.hstack(blocks) / scale if blocks else np.empty((n_genes, 0))
    ridge, spread, mean = None, 1.0, np.zeros(centred.shape)
    covariance = np.zeros((n_tissues, n_tissues))
    for _ in range(1 if seen.all() else ROUNDS):
        if blocks:
            ridge, spread, mean = _fit_mean(features, whole)
        left = whole - mean
        covariance = left.T @ left / n_genes + _hidden_covariance(seen, covariance) / n_genes
        own = OWN_SHARE * covariance.diagonal().mean() + 1e-9
        covariance[np.diag_indices(n_tissues)] += own
        whole, _ = filled(centred, mean, covariance)
    return Linear(tissue_mean, ridge, scale, spread, covariance, mean)


def _scale(block: np.ndarray) -> np.ndarray:
    """Sd of each feature times the root of how many there are."""
    sd = block.std(0)
    return np.where(sd > 1e-9, sd, 1) * np.sqrt(block.shape[1])


def _fit_mean(features: np.ndarray, whole: np.ndarray) -> tuple[PrimalRidge, float, np.ndarray]:
    """Fit shape, level and sd; and how much of the product of shape and sd holds true."""
    own = Shapes.of(whole)
    targets = np.hstack([own.shape, own.level[:, None], own.sd[:, None]])
    ridge = primal_ridge(features, targets, leave_one_out=True)
    about = _profile(ridge.left_out, 1.0) - ridge.left_out[:, [-2]]
    true = whole - own.level[:, None]
    spread = float((about * true).sum() / max((about**2).sum(), 1e-12))
    return ridge, max(spread, 0.0), _profile(ridge.left_out, max(spread, 0.0))


def _profile(told: np.ndarray, spread: float) -> np.ndarray:
    """Put shape, level and sd together, ``(n_genes, n_tissues)``."""
    shape, level, sd = told[:, :-2], told[:, [-2]], told[:, [-1]]
    return (level + spread * (sd.clip(min=0) + FLOOR) * shape).astype(np.float64)


def _hidden_covariance(seen: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Sum over genes of the covariance of what is in their holes, given what is seen of them."""
    total = np.zeros(covariance.shape)
    if not covariance.any():
        return total
    patterns, count = np.unique(seen, axis=0, return_counts=True)
    for pattern, n in zip(patterns, count, strict=True):
        hole = ~pattern
        if hole.any():
            block = covariance[np.ix_(hole, hole)]
            if pattern.any():
                across = covariance[np.ix_(hole, pattern)]
                block = block - across @ np.linalg.solve(
                    covariance[np.ix_(pattern, pattern)], across.T
                )
            total[np.ix_(hole, hole)] += n * block
    return total
