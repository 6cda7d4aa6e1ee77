"""Wilcoxon's rank-sum test of many genes at once, the same to 1e-12 as SciPy's one by one.

The ranks of a gene do not depend on who is a case, so one ranking serves any number of labels:
the real one and its permutations (`RankedGenes.test`).
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import ndtr

BLOCK_GENES = 128


@dataclass(frozen=True)
class RankedGenes:
    """Ranks of samples within each gene.

    Parameters
    ----------
    ranks
        Shape ``(n_genes, n_samples)``, float32 (half ranks up to 2^23 are exact); tied samples
        share their mean rank.
    ties
        Sum over groups of t tied samples of t^3 - t, shape ``(n_genes,)``, float64.
    unknown
        Whether a gene has a NaN, shape ``(n_genes,)``; it gets P NaN (SciPy's "propagate").
    """

    ranks: np.ndarray
    ties: np.ndarray
    unknown: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> "RankedGenes":
        """Rank `values` of shape ``(n_samples, n_genes)`` in blocks of genes, on all threads."""
        n_samples, n_genes = values.shape
        ranks = np.empty((n_genes, n_samples), np.float32)
        ties, unknown = np.zeros(n_genes), np.zeros(n_genes, bool)

        def rank(start: int) -> None:
            genes = slice(start, start + BLOCK_GENES)
            block = np.ascontiguousarray(values[:, genes].T)
            unknown[genes] = np.isnan(block).any(1)
            ranks[genes], ties[genes] = _mid_ranks(block)

        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            list(pool.map(rank, range(0, n_genes, BLOCK_GENES)))
        return cls(ranks, ties, unknown)

    def test(self, cases: np.ndarray) -> np.ndarray:
        """Two-sided asymptotic P with ties and continuity corrected, as SciPy's default.

        Parameters
        ----------
        cases
            Whether each sample is a case, shape ``(n_samples,)`` or ``(n_labels, n_samples)``,
            bool; at least one case and one control in each row.

        Returns
        -------
        np.ndarray
            Shape ``(n_genes,)`` or ``(n_labels, n_genes)``; NaN for a gene with a NaN.
        """
        p = np.clip(2 * ndtr(-self.deviates(cases, np.float64)), 0, 1)
        return np.where(self.unknown, np.nan, p)

    def deviates(self, cases: np.ndarray, dtype: type = np.float32) -> np.ndarray:
        """Return the normal deviates of `test`, larger where cases differ more from controls.

        Parameters
        ----------
        cases
            As there.
        dtype
            Of the result; float32 does for a null.

        Returns
        -------
        np.ndarray
            Shape of the P, which is twice the upper tail, at most 1.
        """
        labels = np.atleast_2d(cases)
        n_samples = labels.shape[1]
        n_cases = labels.sum(1, keepdims=True).astype(float)
        # Sums of half ranks stay exact in float32 up to 2^23, which some 4,000 samples reach.
        exact = np.float32 if n_samples < 4000 else np.float64
        rank_sum = labels.astype(exact) @ self.ranks.T.astype(exact, copy=False)
        z = rank_sum.astype(dtype, copy=False) - (n_cases * (n_samples + 1) / 2).astype(dtype)
        np.abs(z, out=z)
        z -= dtype(0.5)
        correction = self.ties / (n_samples * (n_samples - 1))
        variance = n_cases * (n_samples - n_cases) / 12 * ((n_samples + 1) - correction)
        with np.errstate(divide="ignore"):
            z /= np.sqrt(variance).astype(dtype)
        return z if cases.ndim == 2 else z[0]


def _mid_ranks(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rank each row; return mid-ranks of the shape of `block`, and the tie sum of each row."""
    n_rows, n_samples = block.shape
    # Positions in the flattened block: several times faster than take_along_axis.
    order = np.argsort(block, axis=1)
    order += n_samples * np.arange(n_rows)[:, None]
    ordered = block.take(order)
    starts = np.ones((n_rows, n_samples), bool)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=starts[:, 1:])
    ranked = np.broadcast_to(np.arange(1, n_samples + 1, dtype=np.float32), block.shape)
    ties = np.zeros(n_rows)
    tied = np.flatnonzero(~starts.all(1))
    if len(tied):
        ranked = ranked.copy()
        first = np.flatnonzero(starts[tied])
        size = np.diff(first, append=len(tied) * n_samples)
        mean_rank = first % n_samples + (size + 1) / 2
        ranked[tied] = np.repeat(mean_rank, size).reshape(-1, n_samples)
        cubes = size.astype(float) ** 3 - size
        ties[tied] = np.bincount(first // n_samples, cubes, len(tied))
    ranks = np.empty((n_rows, n_samples), np.float32)
    ranks.ravel()[order.ravel()] = ranked.ravel()
    return ranks, ties


def rank_sum(values: np.ndarray, case: np.ndarray) -> np.ndarray:
    """Two-sided P of cases against controls for every gene.

    Equals ``scipy.stats.mannwhitneyu(values[case], values[~case], method="asymptotic", axis=0)``.

    Parameters
    ----------
    values
        Shape ``(n_samples, n_genes)``.
    case
        Shape ``(n_samples,)``, bool.
    """
    return RankedGenes.of(values).test(case)
