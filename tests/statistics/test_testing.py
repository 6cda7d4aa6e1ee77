import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from mtm.statistics.testing import (
    benjamini_hochberg,
    permutation_p,
    quantile_interval,
    rank_sum_p,
    t_interval,
    t_interval_of_mean,
    t_limits,
    with_degrees,
    within_correlations,
)


def test_benjamini_hochberg_is_statsmodels():
    p = np.random.default_rng(0).random(200) ** 2
    p[[3, 50]] = np.nan
    p[10:20] = p[9]
    known = ~np.isnan(p)
    q = benjamini_hochberg(p)
    np.testing.assert_allclose(q[known], multipletests(p[known], method="fdr_bh")[1], rtol=1e-12)
    assert np.isnan(q[[3, 50]]).all()
    assert np.isnan(benjamini_hochberg(np.full(3, np.nan))).all()


def test_q_values_leave_out_what_is_not_known():
    p = np.array([0.01, np.nan, 0.04, 0.03, 0.5])
    # By hand: 0.01 * 4 / 1; 0.03 * 4 / 2 = 0.06, but 0.04 * 4 / 3 is less; 0.5.
    expected = [0.04, np.nan, 0.16 / 3, 0.16 / 3, 0.5]
    np.testing.assert_allclose(benjamini_hochberg(p), expected)


def test_t_interval_with_every_degree_of_freedom_is_the_t_test_of_a_mean():
    rng = np.random.default_rng(0)
    n = 25
    values = rng.normal(0.3, 1, n)
    draws = values[rng.integers(0, n, (40_000, n))].mean(1)
    found = t_interval(values.mean(), draws, n, 1)
    assert found["se"] == pytest.approx(stats.sem(values), rel=0.02)
    assert found["p"] == pytest.approx(stats.ttest_1samp(values, 0).pvalue, rel=0.1)
    low, high = stats.t.interval(0.95, n - 1, values.mean(), found["se"])
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((low, high))


def test_fitted_numbers_widen_the_interval():
    draws = np.array([0.1, 0.5, np.nan, 0.3])
    sd = np.std([0.1, 0.5, 0.3], ddof=1)
    assert t_interval(0.3, draws, 12, 3)["se"] == pytest.approx(sd * np.sqrt(12 / 9))


def test_a_mean_of_estimates_leaves_out_what_each_of_them_fitted():
    rng = np.random.default_rng(4)
    draws = [rng.standard_normal(4000), 5 + 2 * rng.standard_normal(4000), np.full(4000, np.nan)]
    sizes = [(12, 3), (40, 8), (0, 0)]
    found = t_interval_of_mean(0.3, draws, sizes, 30)
    assert found["se"] == pytest.approx(np.sqrt(12 / 9 + 4 * 40 / 32) / 2, rel=0.03)
    assert found["ci_high"] - 0.3 == pytest.approx(stats.t.ppf(0.975, 30) * found["se"])
    assert np.isnan(t_interval_of_mean(0.3, draws, sizes, 0)["se"])


@pytest.mark.parametrize(
    ("estimate", "draws", "n_units"),
    [(np.nan, [0.1, 0.2], 9), (0.1, [0.1, np.nan], 9), (0.1, [0.1, 0.2], 2)],
)
def test_t_interval_without_degrees_of_freedom_is_nan(estimate, draws, n_units):
    assert np.isnan(list(t_interval(estimate, np.array(draws), n_units, 2).values())).all()


def test_without_spread_p_says_whether_the_estimate_is_zero():
    assert t_limits(0.0, 0.0, 5) == {"ci_low": 0, "ci_high": 0, "p": 1}
    assert t_limits(0.2, 0.0, 5)["p"] == 0
    assert np.isnan(list(t_limits(0.2, np.nan, 5).values())).all()
    assert np.isnan(t_limits(np.nan, 0.0, 5)["p"])
    assert t_limits(-2.0, 1.0, 7)["p"] == pytest.approx(2 * stats.t.cdf(-2, 7))


def test_rank_sum_p_is_scipys_without_nan():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=20).round(1), rng.normal(0.5, 1, 30).round(1)
    expected = stats.mannwhitneyu(a, b, method="asymptotic").pvalue
    assert rank_sum_p(np.append(a, np.nan), np.append(np.nan, b)) == expected
    assert rank_sum_p(np.ones(4), np.ones(5)) == 1
    assert np.isnan(rank_sum_p(np.array([np.nan]), b))


def test_permutation_p_counts_itself_and_ties():
    null = np.array([0.1, 0.5, np.nan, 0.7])
    assert permutation_p(0.5, null) == 3 / 4
    assert permutation_p(0.8, null) == 1 / 4
    assert np.isnan(permutation_p(np.nan, null))
    rounded = np.array([0.5 - 1e-8, 0.4])
    assert permutation_p(0.5, rounded) == 1 / 3
    assert permutation_p(0.5, rounded, rounding=1e-6) == 2 / 3


def test_quantile_interval_is_of_finite_values():
    values = np.append(np.arange(101.0), [np.nan, np.inf])
    assert quantile_interval(values) == pytest.approx((2.5, 97.5))
    assert np.isnan(quantile_interval(np.array([np.nan]))).all()


def test_ends_of_correlations_are_limited_and_nothing_else():
    fields = {"mean_rho": 0.9, "ci_low": -1.3, "ci_high": 1.2, "null_low": np.nan, "se": 2.0}
    found = within_correlations(fields)
    np.testing.assert_equal(found, fields | {"ci_low": -1.0, "ci_high": 1.0})


def test_draws_of_which_none_is_known_stay_unknown():
    assert np.isnan(with_degrees(np.full(3, np.nan), 5, 1)).all()
    np.testing.assert_allclose(with_degrees(np.array([1.0, np.nan, 3]), 4, 3), [-2, np.nan, 2])
