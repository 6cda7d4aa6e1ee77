import numpy as np
import pytest
from scipy import stats

from mtm.statistics.jackknife import JackknifeError, LeftOut, error_of_median, fisher_interval


def weighted_mean(values, left_out):
    weights = left_out.weights.astype(float)
    return weights @ values / weights.sum(1)


def test_a_mean_has_the_textbooks_error():
    values = np.random.default_rng(0).normal(0.3, 2, 30)
    error = LeftOut.of(30, [1]).error(weighted_mean(values, LeftOut.of(30, [1])))
    assert error.se == pytest.approx(stats.sem(values), rel=1e-5)
    np.testing.assert_allclose(error.influence, values - values.mean(), rtol=1e-4)
    low, high = stats.t.interval(0.95, error.degrees, values.mean(), stats.sem(values))
    assert error.interval(values.mean()) == pytest.approx((low, high), rel=1e-5)


def test_products_of_errors_are_counted_once():
    # The product of two means that are 0 has the variance of a product, which the plain jackknife
    # gives twice.
    n, rng = 25, np.random.default_rng(0)
    left_out = LeftOut.of(n, [0])
    estimates, corrected, plain = [], [], []
    for _ in range(400):
        a, b = rng.standard_normal((2, n))
        values = weighted_mean(a, left_out) * weighted_mean(b, left_out)
        estimates.append(values[0])
        corrected.append(left_out.error(values).se ** 2)
        one = values[1 : 1 + n]
        plain.append((n - 1) / n * ((one - one.mean()) ** 2).sum())
    true = np.var(estimates)
    assert np.mean(plain) / true > 1.6
    # Never below half of the plain one, which makes it a little large where it is all products.
    assert 0.9 < np.mean(corrected) / true < 1.35


def test_uneven_influence_leaves_fewer_degrees_of_freedom():
    left_out = LeftOut.of(40, [0])
    values = np.zeros(40)
    values[:2] = 9, -9
    few = left_out.error(weighted_mean(values, left_out)).degrees
    even = left_out.error(weighted_mean(np.tile([1.0, -1], 20), left_out)).degrees
    assert few < 6
    assert even == 39


def test_weights_and_positions_name_the_same_donors():
    left_out = LeftOut.of(7, [3])
    padded = np.pad(left_out.weights, ((0, 0), (0, 1)))
    for row, gone in zip(padded, left_out.gone, strict=True):
        assert row.sum() == 7 - len(set(gone) - {7})
        assert (row[gone] == 0).all()
    assert (left_out.pairs[:, 0] != left_out.pairs[:, 1]).all()


@pytest.mark.parametrize("n", [1, 2, 12])
def test_what_is_not_known_has_no_interval(n):
    left_out = LeftOut.of(n, [0])
    values = np.full(len(left_out.gone), 0.1)
    values[n] = np.nan
    assert np.isnan(fisher_interval(0.3, left_out.error(values))).all()


def test_a_statistic_that_no_donor_moves_has_no_width():
    left_out = LeftOut.of(9, [0])
    assert left_out.error(np.full(len(left_out.gone), 0.4)).interval(0.4) == (0.4, 0.4)


def test_fisher_interval_is_symmetric_on_the_scale_of_z():
    low, high = fisher_interval(np.tanh(0.6), JackknifeError(np.zeros(50), 0.1, 48))
    half = 0.1 * stats.t.ppf(0.975, 48)
    assert (low, high) == pytest.approx((np.tanh(0.6 - half), np.tanh(0.6 + half)))


def test_the_median_of_statistics_of_the_same_donors_keeps_their_error():
    rng = np.random.default_rng(0)
    values = rng.normal(size=60)
    left_out = LeftOut.of(60, [0])
    error = left_out.error(weighted_mean(values, left_out))
    everyone = np.arange(60)
    same = error_of_median([0.1] * 5, [error] * 5, [everyone] * 5, 60, [0])
    assert same.se == pytest.approx(error.se, rel=0.1)
    # Of disjoint donors: that of the median of five means.
    apart = error_of_median(
        [0.0] * 5, [error] * 5, [everyone + 60 * k for k in range(5)], 300, [0]
    )
    assert apart.se == pytest.approx(0.536 * error.se, rel=0.1)
    unknown = JackknifeError(np.full(60, np.nan), np.nan, np.nan)
    assert np.isnan(error_of_median([0.1], [unknown], [everyone], 60, [0]).se)
