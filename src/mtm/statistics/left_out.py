"""Means and variances of samples with some groups of them left out, from one pass over all."""

from dataclasses import dataclass

import numpy as np

# A variance below this share of the squared distance from the mean of all is rounding.
ROUNDING = 1e-10


@dataclass(frozen=True)
class GroupSums:
    """What groups of samples add up to, about the mean of all.

    Parameters
    ----------
    counts
        Samples of each group, ``(n_groups,)``.
    centre
        Mean of all samples, ``(n_genes,)``.
    sums, squares
        Of distances from the centre, ``(n_groups, n_genes)``.
    """

    counts: np.ndarray
    centre: np.ndarray
    sums: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, group: np.ndarray, n_groups: int) -> "GroupSums":
        """Add up samples, ``(n_samples, n_genes)``, each of a group below `n_groups`."""
        centre = values.mean(0, dtype=np.float64)
        apart = values - centre
        member = (group == np.arange(n_groups)[:, None]).astype(np.float64)
        sums = member @ apart
        return cls(member.sum(1), centre, sums, member @ np.square(apart, out=apart))

    def count(self, kept: np.ndarray) -> int:
        """Count the samples of the groups `kept`, ``(n_groups,)``, bool."""
        return int(self.counts[kept].sum())

    def moments(self, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance (of the population) over the groups `kept`, ``(n_genes,)`` each."""
        n = self.counts[kept].sum()
        mean = self.sums[kept].sum(0) / n
        variance = self.squares[kept].sum(0) / n - mean**2
        variance[variance <= ROUNDING * mean**2] = 0
        return self.centre + mean, variance
