"""Intervals of statistics of donors: everything repeated with one donor left out, or two.

The statistics here are made of many genes at once: correlations over genes of associations that
are themselves measured on the donors. Their errors are products of the donors' chance as much as
sums of it, and each simple way fails for that (methods 6.17). The bootstrap adds to the chance of
the data its own, and its intervals are too short; the delete-one jackknife counts products twice
(Efron and Stein 1981, Ann. Stat. 9:586), and its intervals are too wide. So what the products add
is measured by leaving out pairs of donors, and counted once.

What an interval speaks of is the mean of the statistic over samples of as many donors from the
same population, on the scale of the values given: models, genes and folds as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from mtm.statistics.correlation import fisher_z
from mtm.statistics.testing import LIMITS

# Pairs of donors left out; the interval's width is known to some 5% then.
N_PAIRS = 200


@dataclass(frozen=True)
class LeftOut:
    """Which donors are left out: none, then each, then pairs at random.

    Parameters
    ----------
    n_units
        Number of donors.
    pairs
        Two different donors each, shape ``(n_pairs, 2)``.
    """

    n_units: int
    pairs: np.ndarray

    @classmethod
    def of(cls, n_units: int, seed: Sequence[int]) -> "LeftOut":
        """Draw the pairs; none of fewer than four donors."""
        rng = np.random.default_rng(seed)
        n_pairs = N_PAIRS if n_units > 3 else 0
        first = rng.integers(0, max(n_units, 1), n_pairs)
        second = (first + rng.integers(1, max(n_units, 2), n_pairs)) % max(n_units, 1)
        return cls(n_units, np.stack([first, second], 1))

    @property
    def weights(self) -> np.ndarray:
        """1 for who stays and 0 for who is left out, ``(1 + n_units + n_pairs, n_units)``."""
        weights = np.ones((1 + self.n_units + len(self.pairs), self.n_units), np.float32)
        np.fill_diagonal(weights[1:], 0)
        rows = 1 + self.n_units + np.arange(len(self.pairs))
        weights[rows[:, None], self.pairs] = 0
        return weights

    @property
    def gone(self) -> np.ndarray:
        """Who is left out in every row of `weights`: two positions; `n_units` is nobody."""
        nobody = self.n_units
        alone = np.stack([np.arange(self.n_units), np.full(self.n_units, nobody)], 1)
        return np.concatenate([[[nobody, nobody]], alone, self.pairs])

    def error(self, values: np.ndarray) -> "JackknifeError":
        """Give a statistic its standard error.

        Parameters
        ----------
        values
            The statistic for every row of `weights`, shape ``(1 + n_units + n_pairs,)``.
        """
        n = self.n_units
        whole, one, two = values[0], values[1 : 1 + n], values[1 + n :]
        if n < 3 or not np.isfinite(values[: 1 + n]).all():
            return JackknifeError(np.full(n, np.nan), np.nan, np.nan)
        deviations = (n - 1) * (one.mean() - one)
        square = deviations**2
        variance = square.sum() / (n * (n - 1))
        first, second = self.pairs.T
        products = n * whole - (n - 1) * (one[first] + one[second]) + (n - 2) * two
        known = products[np.isfinite(products)]
        twice = (n - 1) / (2 * n) * (known**2).mean() if len(known) else 0.0
        # A variance of products alone is counted twice, no variance more often.
        corrected = max(variance - twice, variance / 2)
        # Satterthwaite's, from the spread of the squares that are added up.
        uneven = (square**2).mean() / square.mean() ** 2 - 1 if variance > 0 else 0.0
        degrees = min(n - 1.0, 2 * n / uneven) if uneven > 0 else n - 1.0
        return JackknifeError(
            deviations * np.sqrt(corrected / variance) if variance > 0 else deviations,
            float(np.sqrt(corrected)),
            degrees,
        )


@dataclass(frozen=True)
class JackknifeError:
    """Standard error of a statistic.

    Parameters
    ----------
    influence
        What each donor does to the statistic, times the number of donors, shape ``(n_units,)``;
        its variance over ``n_units`` is the square of `se`.
    se, degrees
        Standard error, and the degrees of freedom that it is estimated with; NaN where the
        statistic is not known with every donor left out.
    """

    influence: np.ndarray
    se: float
    degrees: float

    def interval(self, estimate: float) -> tuple[float, float]:
        """95% limits of an estimate by Student's t."""
        half = self.se * stats.t.ppf(LIMITS[1], self.degrees) if self.se > 0 else 0 * self.se
        return float(estimate - half), float(estimate + half)


def fisher_interval(rho: float, error: JackknifeError) -> tuple[float, float]:
    """95% limits of a correlation; `error` is that of its Fisher z."""
    low, high = error.interval(float(fisher_z(float(rho))))
    return float(np.tanh(low)), float(np.tanh(high))


def error_of_median(
    estimates: Sequence[float],
    errors: Sequence[JackknifeError],
    donors: Sequence[np.ndarray],
    n_donors: int,
    seed: Sequence[int],
    n_draws: int = 1000,
) -> JackknifeError:
    """Give the median of some statistics of overlapping donors its standard error.

    The median is no smooth function of donors. So the statistics are moved together as the donors'
    influence on each says, by one normal number a donor, and the medians' spread is taken.

    Parameters
    ----------
    estimates, errors
        Of every statistic.
    donors
        Of every statistic, who they are, positions among `n_donors`.
    seed, n_draws
        Of the normal numbers.
    """
    known = np.isfinite(estimates) & np.isfinite([error.se for error in errors])
    if not known.any():
        return JackknifeError(np.full(n_donors, np.nan), np.nan, np.nan)
    moves = np.zeros((len(known), n_donors))
    for move, error, members in zip(moves, errors, donors, strict=True):
        move[members] = error.influence / len(members)
    normal = np.random.default_rng(seed).standard_normal((n_draws, n_donors))
    medians = np.median(np.asarray(estimates)[known] + normal @ moves[known].T, axis=1)
    degrees = float(np.nanmedian([error.degrees for error in errors]))
    return JackknifeError(np.full(n_donors, np.nan), float(medians.std(ddof=1)), degrees)
