"""Two groups of people compared in many genes, covariates taken out, as linear models do.

The difference of a gene is the coefficient of the group beside an intercept and covariates. What
the group explains of a set of genes is tested by permuting residuals (Freedman and Lane 1983, J.
Bus. Econ. Stat. 1:292) within strata; how large the differences are has an interval that leaves
people out (`mtm.statistics.jackknife`).
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy import stats

from mtm.statistics.jackknife import LeftOut
from mtm.statistics.testing import LIMITS, permutation_p, quantile_interval

# Of the group's variance, what covariates must leave of it.
LEAST_APART = 1e-6
CHUNK = 200


@dataclass(frozen=True)
class GroupDifferences:
    """What of genes goes with the group.

    Parameters
    ----------
    difference, se, p
        Of each gene: cases minus controls, its standard error, and the two-sided P of Student's
        t; shape ``(n_genes,)``.
    degrees
        Degrees of freedom.
    """

    difference: np.ndarray
    se: np.ndarray
    p: np.ndarray
    degrees: int

    @property
    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        """95% limits of each difference."""
        half = self.se * stats.t.ppf(LIMITS[1], self.degrees)
        return self.difference - half, self.difference + half


@dataclass(frozen=True)
class AdjustedGroups:
    """A comparison of people: groups, covariates, permutations and people left out.

    Parameters
    ----------
    case
        Shape ``(n_people,)``, bool.
    covariates
        Shape ``(n_people, n_covariates)``; an intercept is added.
    strata
        Whole numbers, shape ``(n_people,)``: people are permuted within each.
    n_permutations, seed
        Of the null.
    """

    case: np.ndarray
    covariates: np.ndarray
    strata: np.ndarray
    n_permutations: int
    seed: int
    basis: np.ndarray = field(init=False, repr=False)
    group: np.ndarray = field(init=False, repr=False)
    order: np.ndarray = field(init=False, repr=False)

    def __post_init__(self):
        basis, group = _design(self.case, self.covariates)
        rng = np.random.default_rng([self.seed, len(self.case)])
        order = np.tile(np.arange(len(self.case)), (self.n_permutations, 1))
        for stratum in np.unique(self.strata):
            rows = np.flatnonzero(self.strata == stratum)
            order[:, rows] = rng.permuted(order[:, rows], axis=1)
        for name, value in (("basis", basis), ("group", group), ("order", order)):
            object.__setattr__(self, name, value)

    @property
    def degrees(self) -> int:
        """Degrees of freedom that are left to the error."""
        return len(self.case) - self.basis.shape[1] - 1

    @property
    def can_tell(self) -> bool:
        """Whether the group is more than a covariate, and there is an error to hold it against."""
        apart = np.square(self.group).sum() > LEAST_APART * len(self.case)
        return bool(apart) and self.degrees >= 2

    def differences(self, values: np.ndarray) -> GroupDifferences:
        """Compare the groups, gene by gene.

        Parameters
        ----------
        values
            Shape ``(n_people, n_genes)``.
        """
        residual = self._residual(values)
        difference, square = _coefficient(self.group, residual, np.square(residual).sum(0))
        size = np.square(self.group).sum()
        se = np.sqrt(np.maximum(square, 0) / self.degrees / size)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(se > 0, difference / se, 0.0)
        return GroupDifferences(difference, se, 2 * stats.t.sf(np.abs(t), self.degrees),
                                self.degrees)  # fmt: skip

    def explained(self, values: np.ndarray) -> tuple[float, np.ndarray]:
        """Share of what covariates leave of a gene that the group explains, mean over genes.

        Returns
        -------
        float, np.ndarray
            The mean, and the same of permuted residuals, shape ``(n_permutations,)``. A gene that
            covariates alone tell whole is left out.
        """
        residual = self._residual(values).astype(np.float32)
        square = np.square(residual).sum(0)
        varying = square > 1e-10 * np.maximum(np.square(values).sum(0), 1e-30)
        residual, square = residual[:, varying], square[varying]
        if not varying.any():
            return np.nan, np.full(self.n_permutations, np.nan)
        group = (self.group / np.sqrt(np.square(self.group).sum())).astype(np.float32)
        basis = self.basis.astype(np.float32)
        shares = []
        for start in range(-1, self.n_permutations, CHUNK):
            order = self.order[max(start, 0) : start + CHUNK]
            if start < 0:
                order = np.concatenate([np.arange(len(group))[None], self.order[: CHUNK - 1]])
            mine = np.square(_placed(group, order) @ residual)
            left = square - sum(np.square(_placed(column, order) @ residual) for column in basis.T)
            shares.append((mine / np.maximum(left, 1e-6 * square)).mean(1))
        found = np.concatenate(shares).astype(float)
        return float(found[0]), found[1:]

    def size(self, values: np.ndarray) -> tuple[float, float, float]:
        """Root mean square over genes of the differences, what chance adds to it taken off.

        Returns
        -------
        float, float, float
            The estimate, and its 95% limits with people left out; 0 where chance would do.
        """
        left_out, weights, groups, bases = self._without
        values = values - values.mean(0, dtype=np.float64)
        size = np.square(groups).sum(1, keepdims=True)
        degrees = (
            weights.sum(1, keepdims=True)
            - (np.square(bases).sum(2).T > 0.5).sum(1, keepdims=True)
            - 1
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            difference = np.square(groups @ values / size)
            error = weights @ np.square(values) - sum(np.square(one @ values) for one in bases)
            error = np.maximum(error - difference * size, 0) / degrees / size
        told = (size > LEAST_APART * weights.sum(1, keepdims=True)) & (degrees > 0)
        squares = np.where(told[:, 0], (difference - error).mean(1), np.nan)
        limits = left_out.error(squares).interval(squares[0])
        return tuple(float(np.sqrt(max(value, 0))) if np.isfinite(value) else np.nan
                     for value in (squares[0], *limits))  # fmt: skip

    @cached_property
    def _without(self) -> tuple[LeftOut, np.ndarray, np.ndarray, np.ndarray]:
        """Designs with people left out, 0 where they were: who stays, groups, columns of bases."""
        left_out = LeftOut.of(len(self.case), [self.seed, len(self.case), 1])
        weights = left_out.weights.astype(float)
        groups = np.zeros(weights.shape)
        bases = np.zeros((1 + self.covariates.shape[1], *weights.shape))
        for place, row in enumerate(weights):
            who = np.flatnonzero(row)
            basis, groups[place, who] = _design(self.case[who], self.covariates[who])
            bases[: basis.shape[1], place, who] = basis.T
        return left_out, weights, groups, bases

    def summary(self, values: np.ndarray) -> dict[str, float]:
        """Test and measure a set of genes: `explained`, its null and P; `size` with limits."""
        explained, null = self.explained(values)
        low, high = quantile_interval(null)
        change, ci_low, ci_high = self.size(values)
        return {
            "change": change,
            "ci_low": ci_low,
            "ci_high": ci_high,
            "explained": explained,
            "null_low": low,
            "null_high": high,
            "p": permutation_p(explained, null),
        }

    def _residual(self, values: np.ndarray) -> np.ndarray:
        """Return what covariates leave of the genes."""
        values = values.astype(np.float64)
        return values - self.basis @ (self.basis.T @ values)


def _design(case: np.ndarray, covariates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal basis of intercept and covariates, and what they leave of the group."""
    fixed = np.column_stack([np.ones(len(case)), covariates - covariates.mean(0)])
    scale = np.sqrt(np.square(fixed).sum(0))
    left, value, _ = np.linalg.svd(fixed / np.where(scale > 0, scale, 1), full_matrices=False)
    basis = left[:, value > 1e-8 * value.max()]
    group = case.astype(float)
    return basis, group - basis @ (basis.T @ group)


def _coefficient(
    group: np.ndarray, residual: np.ndarray, square: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficient of the group, and the sum of squares that is left."""
    size = np.square(group).sum()
    difference = group @ residual / size
    return difference, square - np.square(difference) * size


def _placed(column: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Rows that take the products of `column` with permuted rows: ``column @ values[order]``."""
    placed = np.zeros(order.shape, column.dtype)
    np.put_along_axis(placed, order, np.broadcast_to(column, order.shape), axis=1)
    return placed
