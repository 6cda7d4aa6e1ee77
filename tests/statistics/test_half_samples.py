import numpy as np
import pytest

from mtm.statistics.half_samples import half_sample_interval, null_band


def gaps_of(statistic, n, n_halvings, rng):
    """Difference of a statistic of rows between two halves, over halvings."""
    halves = (rng.permutation(n).reshape(2, -1) for _ in range(n_halvings))
    return np.array([statistic(first) - statistic(second) for first, second in halves])


def test_of_a_mean_it_is_the_standard_error_of_the_mean():
    rng = np.random.default_rng(0)
    values = rng.normal(3, 2, 80)
    gaps = gaps_of(lambda rows: values[rows].mean(), 80, 4000, rng)
    interval = half_sample_interval(np.array([values.mean()]), gaps, expected=3.0)
    assert interval["se"] == pytest.approx(values.std(ddof=1) / np.sqrt(80), rel=0.05)
    assert interval["ci_low"] < values.mean() < interval["ci_high"]
    assert interval["p"] > 0.05
    assert half_sample_interval(np.array([values.mean()]), gaps)["p"] < 1e-6


def test_the_noise_of_folds_counts_as_often_as_it_was_averaged():
    rng = np.random.default_rng(1)
    values, folds_sd = rng.normal(0, 1, 100), 0.05
    repeats = values.mean() + folds_sd * rng.standard_normal(2000)
    # Half as many donors, twice the variance.
    noise = np.sqrt(2) * folds_sd * rng.standard_normal((2, 4000))
    gaps = gaps_of(lambda rows: values[rows].mean(), 100, 4000, rng) + noise[0] - noise[1]
    expected = np.sqrt(values.var(ddof=1) / 100)
    assert half_sample_interval(repeats, gaps)["se"] == pytest.approx(expected, rel=0.05)
    one = half_sample_interval(repeats[:1], gaps)["se"]
    assert one == pytest.approx(np.sqrt(values.var(ddof=1) / 100 + folds_sd**2), rel=0.05)


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
        interval = half_sample_interval(np.array([score.mean()]), gaps)
        held.append(interval["ci_low"] <= truth <= interval["ci_high"])
        frozen.append(abs(score.mean() - truth) < 2.02 * score.std(ddof=1) / np.sqrt(n))
    # Two standard errors of a share of 300 about 95%, and what overestimates are for.
    assert 0.92 < np.mean(held) < 0.99
    assert np.mean(frozen) < 0.9


def test_without_halvings_there_is_no_interval():
    gaps = np.array([np.nan, 0.1, np.nan])
    assert np.isnan(list(half_sample_interval(np.array([0.6, 0.7]), gaps).values())).all()


def test_the_null_band_is_of_a_mean_of_as_many_repeats():
    rng = np.random.default_rng(3)
    labels_sd, folds_sd, n_repeats = 0.03, 0.05, 50
    inside = []
    for _ in range(1000):
        permuted = 0.5 + labels_sd * rng.standard_normal((10, 1))
        permuted = permuted + folds_sd * rng.standard_normal((10, 2))
        band = null_band(permuted, n_repeats)
        new = 0.5 + np.hypot(labels_sd, folds_sd / np.sqrt(n_repeats)) * rng.standard_normal()
        inside.append(band["null_low"] <= new <= band["null_high"])
    assert 0.92 < np.mean(inside) < 0.98
    wide, narrow = (
        null_band(0.5 + folds_sd * rng.standard_normal((2000, 2)), n) for n in (1, n_repeats)
    )
    # Nothing but folds: of the variance of two repeats, half may be taken off.
    ratio = (wide["null_high"] - wide["null_mean"]) / (narrow["null_high"] - narrow["null_mean"])
    assert ratio == pytest.approx(2, rel=0.05)
