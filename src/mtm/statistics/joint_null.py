"""What mean correlations of several tissues are without any relation, together (methods 6.16).

A donor's tissues resemble each other in what is predicted and in what is observed, so the mean
correlations of two tissues vary together although neither predicts anything. Permutations of
donors cannot show it where tissues have different donors: few permuted pairs of donors have both
tissues. But the mean correlation is a sum over donors of the product of their own prediction and
observation, averaged over genes, and the products of every two different donors, whose predictions
and observations have nothing to do with each other, are at hand: their covariance over the pairs
that have both tissues is that of the sums.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mtm.statistics.over_tissues import known_mean
from mtm.statistics.testing import NORMAL_LIMIT


@dataclass(frozen=True)
class PairProducts:
    """Products of predictions and observations of every two donors of a fold, in one tissue.

    Parameters
    ----------
    donors
        Labels of the donors, shape ``(n,)``.
    products
        Of the prediction for donor i with the observation of donor j, averaged over genes, shape
        ``(n, n)``; the diagonal adds up to the fold's part of the mean correlation.
    basis
        Covariates taken out of both, orthonormal and centred, shape ``(n, rank)``; None where it
        is the mean alone.
    """

    donors: np.ndarray
    products: np.ndarray
    basis: np.ndarray | None = None

    @property
    def residual(self) -> np.ndarray:
        """Matrix that takes mean and covariates out, shape ``(n, n)``."""
        n = len(self.donors)
        matrix = np.eye(n) - 1 / n
        return matrix if self.basis is None else matrix - self.basis @ self.basis.T


@dataclass(frozen=True)
class Null:
    """Means over genes or samples of one tissue with donors permuted.

    `means` has one value a permutation; `pairs`, by fold, says how they vary with the means of
    other tissues.
    """

    means: np.ndarray
    pairs: dict[int, PairProducts]

    def wider(self, ratio: float) -> "Null":
        """Spread the means about their own mean."""
        return replace(self, means=wider(self.means, ratio))


def wider(draws: np.ndarray, ratio: float) -> np.ndarray:
    """Spread drawn values about their mean, `ratio` times as wide; NaN stays NaN."""
    mean = known_mean(draws)
    return mean + ratio * (draws - mean)


def null_covariance(tissues: Sequence[Mapping[int, PairProducts]]) -> np.ndarray:
    """Covariance of the tissues' mean correlations where nothing is predicted.

    Parameters
    ----------
    tissues
        Of every tissue, its donors' products by fold.

    Returns
    -------
    np.ndarray
        Shape ``(n_tissues, n_tissues)``; 0 for two tissues that no two donors of a fold share.
    """
    total = np.zeros((len(tissues), len(tissues)))
    for fold in sorted({fold for by_fold in tissues for fold in by_fold}):
        total += _of_fold([by_fold.get(fold) for by_fold in tissues])
    return total


def _of_fold(tissues: Sequence[PairProducts | None]) -> np.ndarray:
    """Add up what one fold contributes to `null_covariance`."""
    present = [pairs for pairs in tissues if pairs is not None]
    index = pd.Index(np.unique(np.concatenate([pairs.donors for pairs in present])))
    products = np.zeros((len(tissues), len(index), len(index)))
    residual = np.zeros_like(products)
    for tissue, pairs in enumerate(tissues):
        if pairs is not None:
            members, taken = index.get_indexer(pairs.donors), pairs.residual
            residual[tissue][np.ix_(members, members)] = taken
            products[tissue][np.ix_(members, members)] = taken @ pairs.products @ taken
    products[:, np.arange(len(index)), np.arange(len(index))] = 0
    flat = products.reshape(len(tissues), -1)
    # Share of each donor's own value that is left in the products of two tissues.
    left = np.einsum("aid,bid->abi", residual, residual, optimize=True)
    degrees, pairs = left.sum(2), left.sum(2) ** 2 - (left**2).sum(2)
    known = pairs > 1e-9
    return np.divide(degrees * (flat @ flat.T), pairs, out=np.zeros_like(degrees), where=known)


def null_interval(tissues: Sequence[Mapping[int, PairProducts]]) -> dict[str, float]:
    """95% of the mean over tissues where nothing is predicted: ``null_low``, ``null_high``.

    Parameters
    ----------
    tissues
        As of `null_covariance`; a tissue without folds is left out.
    """
    known = [by_fold for by_fold in tissues if by_fold]
    if not known:
        return {"null_low": np.nan, "null_high": np.nan}
    sd = np.sqrt(max(null_covariance(known).sum(), 0)) / len(known)
    return {"null_low": -NORMAL_LIMIT * sd, "null_high": NORMAL_LIMIT * sd}


def mean_null(draws: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Null of the mean over tissues from each tissue's own null and how they vary together.

    Parameters
    ----------
    draws
        Null values of every tissue, drawn independently or not, shape ``(n_tissues, n_draws)``;
        a tissue with NaN is left out.
    covariance
        From `null_covariance`; only its correlations are used.

    Returns
    -------
    np.ndarray
        Means of the draws, spread as wide as the mean over tissues is, shape ``(n_draws,)``.
    """
    known = np.isfinite(draws).all(1)
    if not known.any():
        return np.full(draws.shape[1], np.nan)
    draws, covariance = draws[known], covariance[np.ix_(known, known)]
    scale = np.sqrt(np.diag(covariance))
    scale = np.divide(draws.std(1), scale, out=np.zeros_like(scale), where=scale > 0)
    wanted = np.sqrt(max(scale @ covariance @ scale, 0)) / len(draws)
    mean = draws.mean(0)
    spread = mean.std()
    return mean.mean() + (mean - mean.mean()) * (wanted / spread if spread > 0 else 1)
