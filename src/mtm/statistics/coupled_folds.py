"""How folds of a cross-validation vary together, as they learn from each other (methods 6.18)."""

import numpy as np


def coupling(sizes: np.ndarray, weights: np.ndarray, n_donors: int) -> float:
    """By how much fits on each other's donors widen null and error of a mean over folds.

    The fit that predicts one fold has learned from the donors of the others. A chance likeness of
    donor i's and donor k's samples therefore counts twice in cross-validation, where i is told
    from k and where k is told from i, and once where held-out donors are permuted or resampled,
    as predictions stand. A model that is linear in its training targets counts both alike.
    Networks are mostly below this; a model of one covariate in ten folds or more is above. Where
    there is signal, less of the error is due to the fits, and this is too much.

    Parameters
    ----------
    sizes
        Donors of each fold that counts, shape ``(n_folds,)``.
    weights
        Of the folds' Fisher z, shape ``(n_folds,)``; their variances are the inverse.
    n_donors
        Donors of all folds.

    Returns
    -------
    float
        Ratio of standard deviations: 1 for one fold, the root of 2 for equal folds that all count.
    """
    sizes, weights = np.asarray(sizes, float), np.asarray(weights, float)
    if len(sizes) < 2 or not weights.sum() > 0:
        return 1.0
    # Products of donors that a fold's correlation adds up, and those that two folds share.
    odds = np.sqrt(sizes / np.maximum(n_donors - sizes, 1))
    together = np.minimum(np.outer(odds, odds), 1)
    np.fill_diagonal(together, 1)
    spread = np.sqrt(weights)
    return float(np.sqrt(spread @ together @ spread / weights.sum()))
