"""How far a cross-validated estimate would move with other donors, and so with other fits.

Donors that are drawn anew with the fits as they are leave out what the fits owe to the donors they
were trained on. Two halves of the donors share neither: what their estimates differ by has four
times the variance of an estimate from all donors, as long as variances go with 1 / donors. A
halving is one draw of it; many random halvings are averaged (methods 3, disease status).

An estimate is the mean of repeats of the cross-validation, that of a half is of one: the noise of
its folds is left in. A LASSO on half the donors may find no gene, and its auROC is 0.5 whoever
they are; so halves differ by no less than auROCs of fixed scores would (`at_least`).
"""

import numpy as np
from scipy import stats

from mtm.statistics.testing import LIMITS, t_limits

# What folds alone make of a null's variance is taken off, at most this share of it: few
# permutations tell it too badly for more.
MOST_OF_FOLDS = 0.5


def half_sample_interval(
    estimate: float, gaps: np.ndarray, expected: float = 0.0
) -> dict[str, float]:
    """Interval of an estimate, and its test, by Student's t.

    Parameters
    ----------
    estimate
        From all donors.
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
    if len(known) < 2 or not np.isfinite(estimate):
        return dict.fromkeys(("se", "ci_low", "ci_high", "p"), np.nan)
    se = float(np.sqrt((known**2).mean() / 4))
    limits = t_limits(estimate - expected, se, len(known))
    ends = {end: limits[end] + expected for end in ("ci_low", "ci_high")}
    return {"se": se, **ends, "p": limits["p"]}


def at_least(gaps: np.ndarray, least_se: np.ndarray) -> np.ndarray:
    """Stretch differences of halves so that no standard error is below the least.

    Parameters
    ----------
    gaps
        Shape ``(..., n_halvings)``; NaN is left out. Where all are 0 they become `least_se` twice,
        with signs in turn.
    least_se
        Shape ``(...)``.
    """
    known = np.isfinite(gaps)
    squares = np.where(known, gaps, 0) ** 2
    se = np.sqrt(squares.sum(-1) / np.maximum(known.sum(-1), 1) / 4)
    flat = (se == 0)[..., None] & known
    signs = np.where(np.arange(gaps.shape[-1]) % 2, -1.0, 1.0)
    gaps = np.where(flat, 2 * signs * np.asarray(least_se)[..., None], gaps)
    stretch = np.divide(least_se, se, out=np.ones_like(se), where=(se > 0) & (se < least_se))
    return gaps * stretch[..., None]


def between(
    first: np.ndarray, second: np.ndarray, least_first: np.ndarray, least_second: np.ndarray
) -> np.ndarray:
    """Differences of halves of the difference of two estimates of the same halves.

    Each is stretched as in `at_least` where it moves at all; where neither does, the larger of the
    two least standard errors stands for the difference, as nothing tells how they go together.

    Parameters
    ----------
    first, second
        Shape ``(..., n_halvings)``.
    least_first, least_second
        Shape ``(...)``.
    """
    still = [(np.nan_to_num(gaps) == 0).all(-1) for gaps in (first, second)]
    first = at_least(first, np.where(still[0], 0, least_first))
    second = at_least(second, np.where(still[1], 0, least_second))
    least = np.where(still[0] & still[1], np.maximum(least_first, least_second), 0)
    return at_least(first - second, least)


def auroc_se(auroc: np.ndarray, n_cases: np.ndarray, n_controls: np.ndarray) -> np.ndarray:
    """Hanley and McNeil's standard error of an auROC of given scores, shape of the arguments.

    Of an auROC of 0 or 1 it is that of half a pair of case and control in the wrong order, as
    scores that separate one sample need not separate the next.
    """
    half = 0.5 / (n_cases * n_controls)
    auroc = np.clip(auroc, half, 1 - half)
    of_cases, of_controls = auroc / (2 - auroc), 2 * auroc**2 / (1 + auroc)
    variance = (
        auroc * (1 - auroc)
        + (n_cases - 1) * (of_cases - auroc**2)
        + (n_controls - 1) * (of_controls - auroc**2)
    ) / (n_cases * n_controls)
    return np.sqrt(variance)


def null_band(permuted: np.ndarray, n_repeats: int, least_se: float) -> dict[str, float]:
    """Mean and 95% band, without signal, of an estimate that is a mean of repeats.

    Parameters
    ----------
    permuted
        The estimate with permuted labels, shape ``(n_permutations, 2)``: two repeats each, so
        that the noise of folds, which repeats average away, is told from that of labels.
    n_repeats
        Repeats of the estimate that the band is for.
    least_se
        Standard error that stands where the permuted values do not vary at all.

    Returns
    -------
    dict
        ``null_mean``, ``null_low``, ``null_high``, for one more draw of labels.
    """
    n, mean = len(permuted), float(permuted.mean())
    folds = float(((permuted[:, 0] - permuted[:, 1]) ** 2).mean() / 2)
    of_two = float(permuted.mean(axis=1).var(ddof=1))
    variance = _without_folds(of_two, folds * (1 / 2 - 1 / n_repeats)) or least_se**2
    half = stats.t.ppf(LIMITS[1], n - 1) * np.sqrt(variance * (1 + 1 / n))
    return {"null_mean": mean, "null_low": mean - half, "null_high": mean + half}


def _without_folds(total: float, folds: float) -> float:
    """Take off what folds make of a variance; where that is below 0, it is added."""
    return total - min(folds, MOST_OF_FOLDS * total)
