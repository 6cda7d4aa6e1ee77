"""How far a cross-validated estimate would move with other donors, and so with other fits.

Donors that are drawn anew with the fits as they are leave out what the fits owe to the donors they
were trained on. Two halves of the donors share neither: what their estimates differ by has four
times the variance of an estimate from all donors, as long as variances go with 1 / donors. A
halving is one draw of it; many random halvings are averaged (methods 3, disease status).

An estimate is the mean of repeats of the cross-validation with other folds. That of a half is of
one repeat, and twice the noise of its folds is taken for that of all donors'.
"""

import numpy as np
from scipy import stats

from mtm.statistics.testing import LIMITS, t_limits

# What folds alone make of a variance is taken off, at most this share of it: few halvings or
# permutations tell both too badly for more.
MOST_OF_FOLDS = 0.5


def half_sample_interval(
    repeats: np.ndarray, gaps: np.ndarray, expected: float = 0.0
) -> dict[str, float]:
    """Interval of the mean over repeats, and its test, by Student's t.

    Parameters
    ----------
    repeats
        The estimate in each repeat with all donors, shape ``(n_repeats,)``.
    gaps
        Estimate in one half less that in the other, shape ``(n_halvings,)``; NaN is left out.
    expected
        Value under the null hypothesis.

    Returns
    -------
    dict
        ``se``, ``ci_low``, ``ci_high`` (95%), ``p`` (two-sided); NaN with fewer than 2 halvings.
    """
    known = gaps[np.isfinite(gaps)]
    if len(known) < 2 or not np.isfinite(repeats).all():
        return dict.fromkeys(("se", "ci_low", "ci_high", "p"), np.nan)
    total = float((known**2).mean()) / 4
    folds = float(repeats.var(ddof=1)) * (1 - 1 / len(repeats)) if len(repeats) > 1 else 0.0
    se = np.sqrt(_without_folds(total, folds))
    limits = t_limits(float(repeats.mean()) - expected, se, len(known))
    ends = {end: limits[end] + expected for end in ("ci_low", "ci_high")}
    return {"se": se, **ends, "p": limits["p"]}


def null_band(permuted: np.ndarray, n_repeats: int) -> dict[str, float]:
    """Mean and 95% band, without signal, of an estimate that is a mean of repeats.

    Parameters
    ----------
    permuted
        The estimate with permuted labels, shape ``(n_permutations, 2)``: two repeats each, so
        that the noise of folds, which repeats average away, is told from that of labels.
    n_repeats
        Repeats of the estimate that the band is for.

    Returns
    -------
    dict
        ``null_mean``, ``null_low``, ``null_high``, for one more draw of labels.
    """
    n, mean = len(permuted), float(permuted.mean())
    folds = float(((permuted[:, 0] - permuted[:, 1]) ** 2).mean() / 2)
    of_two = float(permuted.mean(axis=1).var(ddof=1))
    variance = _without_folds(of_two, folds * (1 / 2 - 1 / n_repeats))
    half = stats.t.ppf(LIMITS[1], n - 1) * np.sqrt(variance * (1 + 1 / n))
    return {"null_mean": mean, "null_low": mean - half, "null_high": mean + half}


def _without_folds(total: float, folds: float) -> float:
    """Take off what folds make of a variance; where that is below 0, it is added."""
    return total - min(folds, MOST_OF_FOLDS * total)
