"""Rank values against a slow reference, and what leaves them alone."""

import numpy as np
import pytest
from scipy.stats import norm

from mtm.cohort.ranks import RankScaler, deviations, normal_scores, tissue_medians


def slow_scores(row):
    """Count the genes below each, half of the equal ones, among those there are."""
    there = [value for value in row if not np.isnan(value)]
    scores = []
    for value in row:
        below = sum(other < value for other in there)
        equal = sum(other == value for other in there)
        share = (below + equal / 2) / len(there) if there else np.nan
        scores.append(np.nan if np.isnan(value) else norm.ppf(share))
    return scores


@pytest.mark.parametrize("held", [1, 10_000])
def test_scores_are_those_of_a_slow_count(held, monkeypatch):
    monkeypatch.setattr("mtm.cohort.ranks.HELD_VALUES", held)
    rng = np.random.default_rng(0)
    values = rng.integers(0, 6, (7, 9)).astype(np.float32)
    values[1, 3] = values[4] = np.nan
    expected = [slow_scores(row) for row in values]
    np.testing.assert_allclose(normal_scores(values), expected, rtol=1e-5, atol=1e-6)


def test_a_tissues_median_is_taken_off():
    expr_tpm = np.array([[1, 7], [3, 7], [7, 7], [1, 3]], np.float32)
    tissue = np.array([0, 0, 0, 2])
    medians = tissue_medians(expr_tpm, tissue, 3)
    np.testing.assert_array_equal(medians[[0, 2]], [[2, 3], [1, 2]])
    assert np.isnan(medians[1]).all()
    np.testing.assert_array_equal(deviations(expr_tpm[:1], tissue[:1], medians), [[-1, 0]])


def test_what_moves_all_genes_alike_leaves_a_sample_as_it_was():
    rng = np.random.default_rng(1)
    expr_log2 = rng.normal(5, 1, (30, 40)).astype(np.float32)
    expr_z = expr_log2 - expr_log2.mean(0)
    ranks = RankScaler.fit(expr_log2, expr_z, 0, "own")
    seen = ranks.transform(expr_log2)
    np.testing.assert_allclose(seen.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(seen.std(0), 1, atol=1e-4)
    np.testing.assert_allclose(ranks.transform(expr_log2 + 3), seen, atol=1e-4)
    fit = np.polynomial.polynomial.polyfit(seen[:, 2], expr_z[:, 2], 1)
    np.testing.assert_allclose(ranks.slope[2], fit[1], rtol=1e-4)


def test_no_bundle_has_the_value_of_one_training_sample():
    expr_log2 = np.random.default_rng(3).normal(5, 1, (31, 200)).astype(np.float32)
    expr_log2[:, 7] = 5
    exact = tissue_medians(expr_log2, np.zeros(31, int), 1, "own")[0]
    assert (exact == expr_log2).any(0).all()
    medians = RankScaler.fit(expr_log2, expr_log2, 0, "own").medians
    varies = expr_log2.std(0) > 0
    assert (np.abs(medians - expr_log2) < 1e-5)[:, varies].any(0).mean() < 0.05
    assert (np.abs(medians - exact) <= 0.13 * expr_log2.std(0) + 1e-5).all()


def test_ranks_are_among_the_genes_that_there_are():
    rng = np.random.default_rng(2)
    expr_log2 = rng.normal(5, 1, (30, 6)).astype(np.float32)
    ranks = RankScaler.fit(expr_log2, expr_log2, 0, "own")
    lacking = expr_log2[:1].copy()
    lacking[0, 4] = np.nan
    some = np.delete(expr_log2[0] - ranks.medians, 4)
    seen = ranks.transform(lacking)[0]
    assert np.isnan(seen[4])
    expected = (np.array(slow_scores(some)) - np.delete(ranks.mean, 4)) / np.delete(ranks.sd, 4)
    np.testing.assert_allclose(np.delete(seen, 4), expected, atol=1e-5)
