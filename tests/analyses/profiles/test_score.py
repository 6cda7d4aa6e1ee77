import numpy as np
import pytest

from mtm.analyses.profiles import score


def test_sums_are_the_measures_of_all_values_together():
    rng = np.random.default_rng(0)
    true = rng.standard_normal((20, 5))
    told, base = true + rng.standard_normal((20, 5)), rng.standard_normal((20, 1)) * np.ones(5)
    hidden = rng.random((20, 5)) < 0.6
    r = score.pooled_r(score.pooled_sums(told, true, base, hidden).sum(0))
    by_hand = np.corrcoef((told - base)[hidden], (true - base)[hidden])[0, 1]
    assert r == pytest.approx(by_hand)
    r2 = score.r2(score.r2_sums(told, true, base, hidden).sum(0))
    errors = [((one - true)[hidden] ** 2).sum() for one in (told, base)]
    assert r2 == pytest.approx(1 - errors[0] / errors[1])
    each = score.row_sums(told, true, np.ones((20, 5), bool))
    by_hand = [np.corrcoef(a, b)[0, 1] for a, b in zip(told, true, strict=True)]
    assert score.mean(each.sum(0)) == pytest.approx(np.mean(by_hand))


def test_flat_profiles_have_no_shape_and_flat_predictions_tell_nothing():
    true = np.array([[1.0, 1, 1, 1, 1], [1, 2, 3, 4, 5]])
    sums = score.row_sums(np.ones((2, 5)), true, np.ones((2, 5), bool))
    assert sums.tolist() == [[0, 0], [0, 1]]


def test_interval_over_chromosomes_widens_where_they_differ():
    rng = np.random.default_rng(1)
    chrom = np.repeat(np.arange(8), 30)
    own = np.stack([rng.standard_normal(240), np.ones(240)], 1)
    apart = own + np.repeat(rng.standard_normal(8), 30)[:, None] * [1, 0]
    narrow, wide = (score.over_chromosomes(sums, chrom, score.mean) for sums in (own, apart))
    assert narrow["value"] == pytest.approx(own[:, 0].mean())
    widths = [one["ci_high"] - one["ci_low"] for one in (narrow, wide)]
    assert widths[1] > 2 * widths[0] > 0
    two = score.over_chromosomes(own, chrom // 4, score.mean)
    assert np.isnan(two["ci_low"])
