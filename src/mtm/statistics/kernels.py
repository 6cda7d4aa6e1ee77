"""Correlations of many genes at once: as they are, with donors permuted, and resampled.

Everything here works on torch tensors, on the device they come from. A fixed prediction has
correlation 0; a fixed observation has correlation NaN (docs/contracts.md). Fixed is what has
fewer than `LEAST_APART` values that differ from the commonest one.
"""

from collections.abc import Sequence

import numpy as np
import torch

from mtm.statistics.correlation import CONSTANT_TOLERANCE

# Weighted variances are differences of float32 sums; the tolerance is on their relative size.
WEIGHTED_TOLERANCE = 1e-6
# With a single value apart on both sides, one coincidence of two donors would be a rho of 1.
LEAST_APART = 2


def standardise(values: torch.Tensor, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Centre along `dim` and divide by the norm, so that products add up to Pearson's rho.

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
    centred = values - values.mean(dim, keepdim=True)
    norm = torch.linalg.vector_norm(centred, dim=dim, keepdim=True)
    tolerance = CONSTANT_TOLERANCE * values.abs().amax(dim, keepdim=True)
    fixed = norm <= tolerance * values.shape[dim] ** 0.5
    # Where all values but one are equal, so are two of any three: their median.
    commonest = values.narrow(dim, 0, min(3, values.shape[dim])).median(dim, keepdim=True).values
    apart = (values - commonest).abs_() > tolerance
    fixed |= apart.sum(dim, keepdim=True) < LEAST_APART
    unit = centred.div_(norm.masked_fill_(fixed, 1)).masked_fill_(fixed, 0)
    return unit, fixed.squeeze(dim)


def pearson(predicted: torch.Tensor, observed: torch.Tensor, dim: int) -> torch.Tensor:
    """Pearson's rho along `dim`, both of the same shape.

    Returns
    -------
    torch.Tensor
        Shape without `dim`; 0 for a fixed prediction, NaN for a fixed observation.
    """
    unit_predicted, _ = standardise(predicted, dim)
    unit_observed, fixed = standardise(observed, dim)
    return (unit_predicted * unit_observed).sum(dim).masked_fill(fixed, torch.nan)


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
    cubes = (unit_predicted**3).sum(0) * (unit_observed**3).sum(0)
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
        the drawn observations are constant or no donor is drawn.
    """
    n_donors, n_genes = unit_predicted.shape
    # Variance 1 over the donors, so that the sums below are of order 1.
    predicted, observed = unit_predicted * n_donors**0.5, unit_observed * n_donors**0.5
    shares = weights / weights.sum(1, keepdim=True).clamp_min(1)
    values = torch.cat([predicted, observed, predicted**2, observed**2, predicted * observed], 1)
    mean_p, mean_o, square_p, square_o, product = (shares @ values).split(n_genes, 1)
    variance_p = square_p - mean_p**2
    variance_o = square_o - mean_o**2
    constant_p = variance_p <= WEIGHTED_TOLERANCE * square_p
    constant_o = variance_o <= WEIGHTED_TOLERANCE * square_o
    scale = (variance_p * variance_o).masked_fill_(constant_p | constant_o, 1).sqrt_()
    rho = ((product - mean_p * mean_o) / scale).clamp_(-1, 1)
    return rho.masked_fill_(constant_p, 0).masked_fill_(constant_o, torch.nan)


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
        self._sum += values.nansum(dim)
        self._count += (~values.isnan()).sum(dim)

    @property
    def count(self) -> np.ndarray:
        """How many known values each mean is of, float64."""
        return self._count.cpu().numpy()

    def mean(self) -> np.ndarray:
        """Mean of all blocks; NaN where nothing was known."""
        return torch.where(self._count > 0, self._sum / self._count, torch.nan).cpu().numpy()
