"""Pearson correlations of many genes at once: as they are, with donors permuted, and resampled.

Everything here works on torch tensors, on the device they come from. A constant prediction has
correlation 0; a constant observation has correlation NaN (docs/contracts.md).
"""

import numpy as np
import torch

# Of float32 values, what varies by less than this share of the largest is rounding alone.
CONSTANT_TOLERANCE = 1e-6
# Weighted variances are differences of float32 sums; the tolerance is on their relative size.
WEIGHTED_TOLERANCE = 1e-6
FISHER_LIMIT = 1 - 1e-7


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
        Same shape; 0 where the values are constant along `dim`.
    torch.Tensor
        Whether the values are constant along `dim`, shape of `values` without `dim`.
    """
    centred = values - values.mean(dim, keepdim=True)
    norm = torch.linalg.vector_norm(centred, dim=dim, keepdim=True)
    largest = values.abs().amax(dim, keepdim=True)
    constant = norm <= CONSTANT_TOLERANCE * values.shape[dim] ** 0.5 * largest
    unit = centred.div_(norm.masked_fill_(constant, 1)).masked_fill_(constant, 0)
    return unit, constant.squeeze(dim)


def pearson(predicted: torch.Tensor, observed: torch.Tensor, dim: int) -> torch.Tensor:
    """Pearson's rho along `dim`, both of the same shape.

    Returns
    -------
    torch.Tensor
        Shape without `dim`; 0 for a constant prediction, NaN for a constant observation.
    """
    unit_predicted, _ = standardise(predicted, dim)
    unit_observed, constant = standardise(observed, dim)
    return (unit_predicted * unit_observed).sum(dim).masked_fill(constant, torch.nan)


def fisher_z(rho: torch.Tensor) -> torch.Tensor:
    """Fisher's z of correlations, those of size 1 taken as 1 - 1e-7."""
    return torch.atanh(rho.clamp(-FISHER_LIMIT, FISHER_LIMIT))


def donor_permutations(
    n_donors: int, n_permutations: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the two factors of random permutations of donors.

    Permutation ``(a, b)`` pairs the prediction for donor ``left[a, k]`` with the observation of
    donor ``right[b, k]``. Every pair of factors is a uniform permutation, and any two of them
    are independent, so shares of permutations have the mean and the variance that independent
    draws give; but only the factors must be gathered, the rest is matrix products.

    Returns
    -------
    np.ndarray, np.ndarray
        Shape ``(n_left, n_donors)`` and ``(n_right, n_donors)``, int64, with
        ``n_left * n_right >= n_permutations``.
    """
    n_left = int(np.ceil(np.sqrt(n_permutations)))
    n_right = int(np.ceil(n_permutations / n_left))
    order = np.tile(np.arange(n_donors), (n_left + n_right, 1))
    order = rng.permuted(order, axis=1)
    return order[:n_left], order[n_left:]


def induced_permutations(permutations: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Restrict permutations of all donors to those who have a tissue, skipping the others.

    A member goes to the first member on its cycle. The result is again uniform, and two tissues
    that share donors share much of their permutation.

    Parameters
    ----------
    permutations
        Shape ``(n_permutations, n_donors)``.
    members
        Distinct donors, shape ``(n_members,)``.

    Returns
    -------
    np.ndarray
        Positions in `members`, shape ``(n_permutations, n_members)``, int64.
    """
    position = np.full(permutations.shape[1], -1, np.int64)
    position[members] = np.arange(len(members))
    image = permutations[:, members]
    outside = position[image] < 0
    while outside.any():
        image = np.where(outside, np.take_along_axis(permutations, image, axis=1), image)
        outside = position[image] < 0
    return position[image]


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
        Shape ``(n_genes, n_permutations)``; 0 where prediction or observation are constant.
    """
    # Several times faster than indexing with a matrix.
    predicted = unit_predicted.T.contiguous().index_select(1, left.flatten())
    observed = unit_observed.T.contiguous().index_select(1, right.flatten())
    rho = torch.bmm(
        predicted.unflatten(1, left.shape), observed.unflatten(1, right.shape).transpose(1, 2)
    )
    return rho.flatten(1)[:, :n_permutations]


def donor_weights(n_donors: int, n_bootstraps: int, rng: np.random.Generator) -> np.ndarray:
    """How often each donor is drawn in each bootstrap sample of `n_donors` donors.

    Returns
    -------
    np.ndarray
        Shape ``(n_bootstraps, n_donors)``, float32, whole numbers; rows add up to `n_donors`.
    """
    share = np.full(n_donors, 1 / n_donors)
    return rng.multinomial(n_donors, share, size=n_bootstraps).astype(np.float32)


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
