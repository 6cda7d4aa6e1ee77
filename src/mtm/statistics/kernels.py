"""Correlations of many genes at once: as they are, with donors permuted, and resampled.

Everything here works on torch tensors, on the device they come from. A fixed prediction has
correlation 0; a fixed observation has correlation NaN (docs/contracts.md). Fixed is what has
fewer than `LEAST_APART` values that differ from the commonest one.
"""

from collections.abc import Sequence

import numpy as np
import torch

from mtm.statistics.correlation import CONSTANT_TOLERANCE, fisher_z

# Weighted variances are differences of float32 sums; the tolerance is on their relative size.
WEIGHTED_TOLERANCE = 1e-6
# With a single value apart on both sides, one coincidence of two donors would be a rho of 1.
LEAST_APART = 2
# Values that mostly tell already whether two are apart.
HEAD = 8


def standardise(values: torch.Tensor, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Centre along `dim` and divide by the norm, so that products add up to Pearson's rho.

    Sums are float64 whatever the type of the values.

    Parameters
    ----------
    values
        Any shape, finite.
    dim
        Dimension that correlations run along.

    Returns
    -------
    torch.Tensor
        Same shape; 0 where the values are fixed along `dim`.
    torch.Tensor
        Whether the values are fixed along `dim`, shape of `values` without `dim`.
    """
    n = values.shape[dim]
    highest, lowest = values.amax(dim, keepdim=True), values.amin(dim, keepdim=True)
    tolerance = CONSTANT_TOLERANCE * torch.maximum(highest.abs(), lowest.abs())
    unit = values - summed(values, dim, keepdim=True).div_(n).to(values)
    norm = summed(unit * unit, dim, keepdim=True).sqrt_().to(values)
    fixed = norm <= tolerance * n**0.5
    alike = _alike(values.movedim(dim, 0).reshape(n, -1), tolerance.flatten())
    fixed |= alike.reshape(fixed.shape)
    unit *= norm.masked_fill_(fixed, torch.inf).reciprocal_()
    return unit, fixed.squeeze(dim)


def summed(values: torch.Tensor, dim: int, keepdim: bool = False) -> torch.Tensor:
    """Sum along `dim` in float64, without a copy of float32 values."""
    if values.device.type == "cpu":
        sums = np.add.reduce(values.numpy(), axis=dim, dtype=np.float64, keepdims=keepdim)
        return torch.from_numpy(np.asarray(sums))
    return values.sum(dim, keepdim=keepdim, dtype=torch.float64)


def _alike(values: torch.Tensor, tolerance: torch.Tensor) -> torch.Tensor:
    """Whether fewer than `LEAST_APART` values of each column differ from its commonest."""
    # Where all values but one are equal, so are two of any three: their median.
    commonest = _median_of_three(values) if len(values) > 2 else values.amin(0)
    alike = ((values[:HEAD] - commonest).abs_() > tolerance).float().sum(0) < LEAST_APART
    some = alike.nonzero().flatten()
    if len(some):
        apart = (values[:, some] - commonest[some]).abs_() > tolerance[some]
        alike[some] = apart.sum(0) < LEAST_APART
    return alike


def _median_of_three(values: torch.Tensor) -> torch.Tensor:
    """Median of the first three rows; several times faster than torch's."""
    first, second, third = values[:3]
    low, high = torch.minimum(first, second), torch.maximum(first, second)
    return torch.maximum(low, torch.minimum(high, third))


def pearson(predicted: torch.Tensor, observed: torch.Tensor, dim: int) -> torch.Tensor:
    """Pearson's rho along `dim`, both of the same shape.

    Returns
    -------
    torch.Tensor
        Shape without `dim`; 0 for a fixed prediction, NaN for a fixed observation.
    """
    unit_predicted, _ = standardise(predicted, dim)
    unit_observed, fixed = standardise(observed, dim)
    return summed(unit_predicted * unit_observed, dim).masked_fill(fixed, torch.nan)


def pearson_without(
    predicted: torch.Tensor, observed: torch.Tensor, parts: Sequence[slice]
) -> torch.Tensor:
    """Pearson's rho over all rows but those of each part, as `pearson` would have it.

    Parameters
    ----------
    predicted, observed
        Shape ``(n_rows, n_genes)``.
    parts
        Slices that make up all rows.

    Returns
    -------
    torch.Tensor
        Shape ``(n_parts, n_genes)``.
    """
    # Where one value is far from all others, their squares about its mean do not fit float32.
    p, o = (side.double() - summed(side, 0) / len(side) for side in (predicted, observed))
    sums = torch.stack(
        [torch.stack([summed(x[part], 0) for part in parts]) for x in (p, o, p * p, o * o, p * o)]
    )
    n_rows = len(predicted) - torch.tensor([part.stop - part.start for part in parts]).to(sums)
    mean_p, mean_o, square_p, square_o, product = (sums.sum(1, keepdim=True) - sums) / n_rows[
        :, None
    ]
    variance = (square_p - mean_p**2) * (square_o - mean_o**2)
    rho = (product - mean_p * mean_o) / variance.clamp_min(0).sqrt()
    # What is fixed without a part is so in each of the others, by a tolerance for all of them.
    doubtful = torch.zeros_like(predicted[0], dtype=torch.bool)
    for side in (predicted, observed):
        tolerance = 2 * len(side) ** 0.5 * CONSTANT_TOLERANCE * side.abs().amax(0)
        for part in parts:
            doubtful |= _alike(side[part], tolerance)
    some = doubtful.nonzero().flatten()
    for index, part in enumerate(parts) if len(some) else ():
        others = torch.cat([torch.arange(len(predicted))[rest] for rest in parts if rest != part])
        rho[index, some] = pearson(predicted[others][:, some], observed[others][:, some], 0)
    return rho


def third_moment(unit_predicted: torch.Tensor, unit_observed: torch.Tensor) -> torch.Tensor:
    """Mean over all permutations of donors of the third power of every gene's rho.

    Parameters
    ----------
    unit_predicted, unit_observed
        From `standardise`, shape ``(n_donors, n_genes)``.

    Returns
    -------
    torch.Tensor
        Shape ``(n_genes,)``; 0 for fewer than three donors.
    """
    n = len(unit_predicted)
    cubes = summed(unit_predicted**3, 0) * summed(unit_observed**3, 0)
    return cubes * (n / ((n - 1) * (n - 2)) if n > 2 else 0)


def permuted_correlations(
    unit_predicted: torch.Tensor,
    unit_observed: torch.Tensor,
    left: torch.Tensor,
    right: torch.Tensor,
    n_permutations: int,
) -> torch.Tensor:
    """Correlate every gene under every permutation of the donors.

    Parameters
    ----------
    unit_predicted, unit_observed
        From `standardise`, shape ``(n_donors, n_genes)``.
    left, right
        Factors of the permutations, int64, shapes ``(n_left, n_donors)`` and
        ``(n_right, n_donors)``.
    n_permutations
        Number of permutations kept, at most ``n_left * n_right``.

    Returns
    -------
    torch.Tensor
        Shape ``(n_genes, n_permutations)``; 0 where prediction or observation are fixed.
    """
    # Several times faster than indexing with a matrix.
    predicted = unit_predicted.T.contiguous().index_select(1, left.flatten())
    observed = unit_observed.T.contiguous().index_select(1, right.flatten())
    rho = torch.bmm(
        predicted.unflatten(1, left.shape), observed.unflatten(1, right.shape).transpose(1, 2)
    )
    return rho.flatten(1)[:, :n_permutations]


def weighted_correlations(
    unit_predicted: torch.Tensor, unit_observed: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Pearson's rho of every gene in every bootstrap sample.

    Parameters
    ----------
    unit_predicted, unit_observed
        From `standardise`, shape ``(n_donors, n_genes)``.
    weights
        Draws of each donor, shape ``(n_bootstraps, n_donors)``.

    Returns
    -------
    torch.Tensor
        Shape ``(n_bootstraps, n_genes)``; 0 where the drawn predictions are constant, NaN where
        the drawn observations are constant or fewer than three donors are drawn.
    """
    n_donors, n_genes = unit_predicted.shape
    # Variance 1 over the donors, so that the sums below are of order 1. Genes come first, as then
    # all that is done with the sums runs along memory.
    values = torch.stack([unit_predicted.T, unit_observed.T]) * n_donors**0.5
    squares = values.square()
    drawn = weights.sum(1, keepdim=True).clamp_min(1)
    stacked = torch.cat([values, squares, values[:1] * values[1:]])
    sums = (stacked.flatten(0, 1) @ (weights / drawn).T).unflatten(0, (5, n_genes))
    means, variances, covariance = sums[:2], sums[2:4], sums[4]
    variances.addcmul_(means, means, value=-1)
    covariance.addcmul_(means[0], means[1], value=-1)
    # No share-weighted square is above the largest: which genes could be constant in a draw.
    doubtful = (variances.amin(2) <= WEIGHTED_TOLERANCE * squares.amax(2)).any(0)
    some = doubtful.nonzero().flatten()
    exact = _with_constants(*sums[:, some]) if len(some) else None
    rho = variances[0].mul_(variances[1]).rsqrt_().mul_(covariance).clamp_(-1, 1)
    if exact is not None:
        rho[some] = exact
    # Two points are on a line, whatever they are.
    few = (2 * weights.amax(1) >= drawn.flatten()).nonzero().flatten()
    rho[:, few[(weights[few] > 0).sum(1) == 2]] = torch.nan
    return rho.T


def _with_constants(
    mean_p: torch.Tensor,
    mean_o: torch.Tensor,
    variance_p: torch.Tensor,
    variance_o: torch.Tensor,
    covariance: torch.Tensor,
) -> torch.Tensor:
    """Correlate genes some of whose draws are constant, each side ``(n_genes, n_bootstraps)``."""
    constant_p = variance_p <= WEIGHTED_TOLERANCE * (variance_p + mean_p**2)
    constant_o = variance_o <= WEIGHTED_TOLERANCE * (variance_o + mean_o**2)
    scale = (variance_p * variance_o).masked_fill_(constant_p | constant_o, 1).sqrt_()
    rho = (covariance / scale).clamp_(-1, 1)
    return rho.masked_fill_(constant_p, 0).masked_fill_(constant_o, torch.nan)


def mean_over_folds(rho: Sequence[torch.Tensor], weights: Sequence[float]) -> torch.Tensor:
    """Average correlations of folds as Fisher z.

    Parameters
    ----------
    rho
        Of each fold, one or more, shape ``(n_draws, n_genes)``.
    weights
        Of each fold.

    Returns
    -------
    torch.Tensor
        Shape ``(n_draws, n_genes)``, over the folds that have a correlation; NaN where none has.
    """
    statistic = torch.zeros_like(rho[0])
    for of_fold, weight in zip(rho, weights, strict=True):
        statistic.add_(fisher_z(of_fold), alpha=weight)
    mean = statistic.div_(sum(weights)).tanh_()
    # Masks cost more than all else, and few genes lack a correlation, or few draws of all genes.
    if mean.sum(0).isnan().any():
        unknown = mean.isnan()
        n_unknown = unknown.sum(0)
        genes = (n_unknown > n_unknown.median()).nonzero().flatten()
        unknown[:, genes] = False
        draws = unknown.any(1).nonzero().flatten()
        for dim, some in ((1, genes), (0, draws)):
            known = _mean_of_known([of_fold.index_select(dim, some) for of_fold in rho], weights)
            mean.index_copy_(dim, some, known)
    return mean


def _mean_of_known(rho: Sequence[torch.Tensor], weights: Sequence[float]) -> torch.Tensor:
    """Average over the folds that have a correlation, each value by itself."""
    stacked = torch.stack(list(rho))
    share = torch.tensor(weights).to(stacked)[:, None, None]
    total = (share * ~stacked.isnan()).sum(0)
    mean_z = (share * fisher_z(stacked.nan_to_num())).sum(0) / total
    return torch.tanh(mean_z).masked_fill_(total == 0, torch.nan)


class RunningMean:
    """Mean along a dimension, NaN aside, of tensors that arrive one block after the other.

    Parameters
    ----------
    shape
        Of the mean.
    device
        Of the tensors.
    """

    def __init__(self, shape: Sequence[int], device: torch.device):
        self._sum = torch.zeros(shape, dtype=torch.float64, device=device)
        self._count = torch.zeros_like(self._sum)

    def add(self, values: torch.Tensor, dim: int) -> None:
        """Add a block, of the shape of the mean and `dim` besides."""
        sums = values.sum(dim)
        if sums.isnan().any():
            self._sum += values.nansum(dim)
            self._count += (~values.isnan()).sum(dim)
        else:
            self._sum += sums
            self._count += values.shape[dim]

    @property
    def count(self) -> np.ndarray:
        """How many known values each mean is of, float64."""
        return self._count.cpu().numpy()

    def mean(self) -> np.ndarray:
        """Mean of all blocks; NaN where nothing was known."""
        return torch.where(self._count > 0, self._sum / self._count, torch.nan).cpu().numpy()
