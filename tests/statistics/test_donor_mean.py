"""A mean over donors' samples against its formula and a plain t interval."""

import numpy as np
from scipy import stats

from mtm.statistics.donor_mean import donor_mean


def test_one_sample_each_is_a_plain_t_interval():
    values = np.random.default_rng(0).normal(3, 1, 20)
    found = donor_mean(values, np.arange(20))
    low, high = stats.t.interval(0.95, 19, values.mean(), stats.sem(values))
    np.testing.assert_allclose([found["ci_low"], found["ci_high"]], [low, high])
    assert found["n_donors"] == 20


def test_copies_of_samples_tell_nothing_more():
    values = np.random.default_rng(1).normal(0, 1, 8)
    once, thrice = (
        donor_mean(values, np.arange(8)),
        donor_mean(np.repeat(values, 3), np.repeat(np.arange(8), 3)),
    )
    assert once.keys() == thrice.keys()
    np.testing.assert_allclose([*once.values()], [*thrice.values()])


def test_weights_and_what_has_no_interval():
    assert donor_mean(np.array([0.0, 1.0]), np.array([1, 2]), np.array([1.0, 3.0]))["mean"] == 0.75
    alone = donor_mean(np.array([2.0, 4.0]), np.array([5, 5]))
    assert alone["mean"] == 3
    assert np.isnan(alone["ci_low"])
    assert np.isnan(donor_mean(np.empty(0), np.empty(0))["mean"])
