"""True values behind noisy ones, many together."""

import numpy as np
from scipy import stats

# More iterations follow the noise of few values, fewer do not reach a spike (methods 6.17).
N_BINS, ITERATIONS = 100, 200


def mixing_weights(values: np.ndarray, sd: float, grid: np.ndarray) -> np.ndarray:
    """Estimate how often each value of a grid stands behind values with normal noise.

    The nonparametric maximum likelihood of a mixture (Kiefer and Wolfowitz 1956) by expectation
    maximisation; no form of the distribution is assumed.

    Parameters
    ----------
    values
        Shape ``(n_values,)``.
    sd
        Of the noise, above 0.
    grid
        Possible true values, shape ``(n_grid,)``.

    Returns
    -------
    np.ndarray
        Shape ``(n_grid,)``, adding up to 1.
    """
    count, edges = np.histogram(values, N_BINS)
    middle, share = (edges[:-1] + edges[1:]) / 2, count / count.sum()
    middle, share = middle[share > 0], share[share > 0]
    log = stats.norm.logpdf(middle[:, None], grid, sd)
    likelihood = np.exp(log - log.max(1, keepdims=True))
    weights = np.full(len(grid), 1 / len(grid))
    for _ in range(ITERATIONS):
        weights = weights * (likelihood.T @ (share / (likelihood @ weights)))
    return weights / weights.sum()
