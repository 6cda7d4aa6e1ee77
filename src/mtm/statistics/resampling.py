"""Draws of donors: permutations and bootstrap samples."""

import numpy as np

# Genes resampled at a time on a CPU, so that their permutations stay in its cache.
CPU_RESAMPLING_BLOCK = 256


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


def donor_weights(n_donors: int, n_bootstraps: int, rng: np.random.Generator) -> np.ndarray:
    """How often each donor is drawn in each bootstrap sample of `n_donors` donors.

    Returns
    -------
    np.ndarray
        Shape ``(n_bootstraps, n_donors)``, float32, whole numbers; rows add up to `n_donors`.
    """
    share = np.full(n_donors, 1 / n_donors)
    return rng.multinomial(n_donors, share, size=n_bootstraps).astype(np.float32)
