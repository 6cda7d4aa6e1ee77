import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mtm.statistics.half_samples import (
    at_least,
    auroc_se,
    between,
    half_sample_interval,
    null_band,
)


def gaps_of(statistic, n, n_halvings, rng):
    """Difference of a statistic of rows between two halves, over halvings."""
    halves = (rng.permutation(n).reshape(2, -1) for _ in range(n_halvings))
    return np.array([statistic(first) - statistic(second) for first, second in halves])


def test_of_a_mean_it_is_the_standard_error_of_the_mean():
    rng = np.random.default_rng(0)
    values = rng.normal(3, 2, 80)
    gaps = gaps_of(lambda rows: values[rows].mean(), 80, 4000, rng)
    interval = half_sample_interval(values.mean(), gaps, expected=3.0)
    assert interval["se"] == pytest.approx(values.std(ddof=1) / np.sqrt(80), rel=0.05)
    assert interval["ci_low"] < values.mean() < interval["ci_high"]
    assert interval["p"] > 0.05
    assert half_sample_interval(values.mean(), gaps)["p"] < 1e-6


def test_halves_differ_by_no_less_than_the_least():
    gaps = np.array([[0.02, -0.02, np.nan, 0.02], [0.4, 0.4, 0.4, -0.4], [0.0, 0.0, 0.0, 0.0]])
    stretched = at_least(gaps, np.array([0.05, 0.05, 0.05]))
    np.testing.assert_allclose(stretched[0], [0.1, -0.1, np.nan, 0.1])
    np.testing.assert_allclose(stretched[1], gaps[1])
    np.testing.assert_allclose(np.abs(stretched[2]), 0.1)
    for row in stretched[::2]:
        assert half_sample_interval(0.5, row)["se"] == pytest.approx(0.05)


def test_what_stands_still_in_all_halves_is_not_certain():
    for auroc in (0.0, 1.0):
        least = auroc_se(np.array([auroc]), 20, 25)
        interval = half_sample_interval(auroc, at_least(np.zeros((1, 9)), least)[0], expected=0.5)
        assert 0.002 < interval["se"] < 0.03
        assert 0 < interval["p"] < 1e-6
    still, moving = np.zeros((1, 9)), np.linspace(-0.2, 0.3, 9)[None]
    least = np.array([0.05])
    gaps = between(still, still, least, least + 0.02)
    assert half_sample_interval(0.1, gaps[0])["se"] == pytest.approx(0.07)
    np.testing.assert_allclose(between(moving, still, least, least), at_least(moving, least))
    np.testing.assert_allclose(between(moving, moving, least, least), 0)


@pytest.mark.parametrize("shift", [0.0, 1.0])
@pytest.mark.slow
def test_the_least_is_how_much_an_auroc_of_given_scores_varies(shift):
    rng = np.random.default_rng(1)
    case = np.arange(70) < 30
    aurocs = [roc_auc_score(case, rng.standard_normal(70) + shift * case) for _ in range(800)]
    expected = auroc_se(np.mean(aurocs), 30, 40)
    assert np.std(aurocs) == pytest.approx(expected, rel=0.1)


def test_intervals_of_a_fitted_direction_hold_the_truth_where_frozen_ones_do_not():
    """Cases lie along a direction that is fitted to the other fold: a cross-validated mean."""
    rng = np.random.default_rng(2)
    n, effect, held, frozen = 40, 0.45, [], []

    def told(x):
        first, second = x[: len(x) // 2], x[len(x) // 2 :]
        sides = [(second, first.mean(0)), (first, second.mean(0))]
        return np.concatenate([side @ (w / np.linalg.norm(w)) for side, w in sides])

    def draw():
        x = rng.standard_normal((n, 6))
        x[:, 0] += effect
        return x

    truth = np.mean([told(draw()).mean() for _ in range(2000)])
    for _ in range(300):
        x = draw()
        score = told(x)
        gaps = gaps_of(lambda rows, x=x: told(x[rows]).mean(), n, 16, rng)
        interval = half_sample_interval(score.mean(), gaps)
        held.append(interval["ci_low"] <= truth <= interval["ci_high"])
        frozen.append(abs(score.mean() - truth) < 2.02 * score.std(ddof=1) / np.sqrt(n))
    # Two standard errors of a share of 300 about 95%, and what overestimates are for.
    assert 0.92 < np.mean(held) < 0.99
    assert np.mean(frozen) < 0.9


def test_without_halvings_there_is_no_interval():
    gaps = np.array([np.nan, 0.1, np.nan])
    assert np.isnan(list(half_sample_interval(0.6, gaps).values())).all()


def test_the_null_band_is_of_a_mean_of_as_many_repeats():
    rng = np.random.default_rng(3)
    labels_sd, folds_sd, n_repeats = 0.03, 0.05, 50
    inside = []
    for _ in range(1000):
        permuted = 0.5 + labels_sd * rng.standard_normal((10, 1))
        permuted = permuted + folds_sd * rng.standard_normal((10, 2))
        band = null_band(permuted, n_repeats, 0.05)
        new = 0.5 + np.hypot(labels_sd, folds_sd / np.sqrt(n_repeats)) * rng.standard_normal()
        inside.append(band["null_low"] <= new <= band["null_high"])
    assert 0.92 < np.mean(inside) < 0.98
    wide, narrow = (
        null_band(0.5 + folds_sd * rng.standard_normal((2000, 2)), n, 0.05) for n in (1, n_repeats)
    )
    # Nothing but folds: of the variance of two repeats, half may be taken off.
    ratio = (wide["null_high"] - wide["null_mean"]) / (narrow["null_high"] - narrow["null_mean"])
    assert ratio == pytest.approx(2, rel=0.05)
