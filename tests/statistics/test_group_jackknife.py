import numpy as np
import pytest
from scipy import stats

from mtm.statistics.group_jackknife import donor_groups, jackknife_interval, jackknife_variance


def test_groups_are_as_equal_as_can_be():
    groups = donor_groups(47, 20, seed=1)
    assert sorted(np.bincount(groups)) == [2] * 13 + [3] * 7
    assert not np.array_equal(groups, donor_groups(47, 20, seed=2))


def test_variance_of_a_mean_is_the_textbook_one():
    values = np.random.default_rng(0).normal(size=30)
    alone = np.array([np.delete(values, place).mean() for place in range(30)])
    sizes = np.ones(30, int)
    variance = jackknife_variance(values.mean(), alone, sizes)
    assert variance == pytest.approx(values.var(ddof=1) / 30)
    # A group without donors changes nothing.
    padded = np.append(alone, values.mean())
    assert jackknife_variance(values.mean(), padded, np.append(sizes, 0)) == pytest.approx(
        variance
    )
    low, high = jackknife_interval(values.mean(), alone, sizes)
    half = stats.t.ppf(0.975, 29) * np.sqrt(variance)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half))


def test_groups_of_unequal_size_give_the_variance_on_average():
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(8), [2, 4, 6, 8, 10, 12, 14, 16])
    values = rng.normal(size=(2000, len(groups)))
    left_out = np.array([values[:, groups != group].mean(1) for group in range(8)])
    found = jackknife_variance(values.mean(1), left_out, np.bincount(groups))
    assert found.mean() == pytest.approx(1 / len(groups), rel=0.05)
