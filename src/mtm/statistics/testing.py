"""Tests, their P values and intervals, whatever they are about."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

# Quantiles at the ends of a 95% interval.
LIMITS = (0.025, 0.975)
# What float32 may change of a correlation; a null is made of these.
ROUNDING = 1e-6
NORMAL_LIMIT = float(stats.norm.ppf(LIMITS[1]))
# What the ends of intervals and null bands are called in tables.
ENDS = ("ci_low", "ci_high", "null_low", "null_high")


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Benjamini and Hochberg's q-values, shape of `p`; NaN stays NaN and is not counted."""
    q = np.full(p.shape, np.nan)
    known = np.isfinite(p)
    q[known] = stats.false_discovery_control(p[known], method="bh")
    return q


def t_interval(
    estimate: float, draws: np.ndarray, n_units: int, n_fitted: int
) -> dict[str, float]:
    """Test an estimate against 0 by its bootstrap standard error and Student's t.

    Resampling n units leaves out the degrees of freedom that fold means and covariates took;
    ``sqrt(n_units / (n_units - n_fitted))`` puts them back.

    Parameters
    ----------
    estimate
        The estimate from the data.
    draws
        The estimate in each bootstrap sample, shape ``(n_bootstraps,)``; NaN is left out.
    n_units, n_fitted
        Donors, and how many numbers were fitted to them (folds, covariates).

    Returns
    -------
    dict
        ``se``, ``ci_low``, ``ci_high`` (95%), ``p`` (two-sided); NaN without degrees of freedom.
    """
    return t_interval_of_mean(estimate, [draws], [(n_units, n_fitted)], n_units - n_fitted)


def t_interval_of_mean(
    estimate: float,
    draws: Sequence[np.ndarray],
    sizes: Sequence[tuple[int, int]],
    degrees: int,
) -> dict[str, float]:
    """Test a mean of several estimates, resampled together, as `t_interval` tests one.

    Parameters
    ----------
    estimate
        The mean.
    draws
        Of each estimate, in the same bootstrap samples; NaN is left out.
    sizes
        ``n_units`` and ``n_fitted`` of each estimate; one without degrees of freedom is left out.
    degrees
        Degrees of freedom of all units together.
    """
    spread = [
        with_degrees(values, *size)
        for values, size in zip(draws, sizes, strict=True)
        if size[0] > size[1] and np.isfinite(values).any()
    ]
    drawn = np.stack(spread)[:, np.isfinite(spread).any(0)] if spread else np.empty((1, 0))
    if not np.isfinite(estimate) or drawn.shape[1] < 2 or degrees < 1:
        return dict.fromkeys(("se", "ci_low", "ci_high", "p"), np.nan)
    se = float(np.nanmean(drawn, 0).std(ddof=1))
    return {"se": se} | t_limits(estimate, se, degrees)


def with_degrees(draws: np.ndarray, n_units: int, n_fitted: int) -> np.ndarray:
    """Bootstrap draws about their mean, as wide as the degrees of freedom left to them ask.

    NaN stays NaN, where nothing else stands too.
    """
    known = draws[np.isfinite(draws)]
    centre = known.mean() if len(known) else np.nan
    return (draws - centre) * np.sqrt(n_units / (n_units - n_fitted))


def t_limits(estimate: float, se: float, degrees: int) -> dict[str, float]:
    """Test an estimate with a standard error by Student's t: ``ci_low``, ``ci_high``, ``p``."""
    half = se * stats.t.ppf(LIMITS[1], degrees)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.divide(abs(estimate), se)
    p = 1.0 if estimate == se == 0 else 2 * stats.t.sf(statistic, degrees)
    return {"ci_low": estimate - half, "ci_high": estimate + half, "p": float(p)}


def within_correlations(fields: Mapping[str, float]) -> dict[str, float]:
    """Limit what is called as `ENDS` to what a correlation can be; all else stays, NaN too.

    Few donors make standard errors with which symmetric ends lie beyond.
    """
    ends = {name: float(np.clip(fields[name], -1, 1)) for name in ENDS if name in fields}
    return {**fields, **ends}


def rank_sum_p(a: np.ndarray, b: np.ndarray) -> float:
    """Two-sided P of the unpaired Wilcoxon rank-sum test, corrected for ties; NaN left out."""
    a, b = a[np.isfinite(a)], b[np.isfinite(b)]
    if not len(a) or not len(b):
        return np.nan
    if (np.concatenate([a, b]) == a[0]).all():
        return 1.0
    return float(stats.mannwhitneyu(a, b, method="asymptotic").pvalue)


def permutation_p(value: float, null: np.ndarray, rounding: float = 0.0) -> float:
    """One-sided P: (1 + null values at or above) / (1 + null values); NaN for no value.

    Null values that are below by no more than `rounding` count too: a permutation that changes
    nothing has the value itself, and where the null is not computed to its last digit, nearly so.
    """
    if not np.isfinite(value):
        return np.nan
    known = null[np.isfinite(null)]
    return float((1 + (known >= value - rounding).sum()) / (1 + len(known)))


def quantile_interval(values: np.ndarray) -> tuple[float, float]:
    """Return the ends of the central 95% of the finite values; NaN where there is none."""
    finite = values[np.isfinite(values)]
    return tuple(np.quantile(finite, LIMITS)) if len(finite) else (np.nan, np.nan)
