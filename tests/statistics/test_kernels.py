import itertools

import numpy as np
import pytest
import torch

from mtm.statistics.kernels import (
    RunningMean,
    mean_over_folds,
    pearson,
    pearson_without,
    standardise,
    summed,
    third_moment,
    weighted_correlations,
)


@pytest.mark.parametrize("dim", [0, 1])
def test_blocks_give_the_mean_of_the_whole(dim):
    values = np.random.default_rng(0).normal(size=(7, 5))
    values[2, :] = values[1:4, 3] = np.nan
    values = np.moveaxis(values, 0, dim)
    mean = RunningMean((5,), torch.device("cpu"))
    for block in np.array_split(values, 3, axis=dim):
        mean.add(torch.from_numpy(block), dim)
    np.testing.assert_allclose(mean.mean(), np.nanmean(values, axis=dim))
    np.testing.assert_array_equal(mean.count, np.isfinite(values).sum(dim))


def test_nothing_known_has_no_mean():
    mean = RunningMean((2,), torch.device("cpu"))
    assert np.isnan(mean.mean()).all()
    mean.add(torch.tensor([[torch.nan, 2], [torch.nan, 4]]), 0)
    np.testing.assert_array_equal(mean.mean(), [np.nan, 3])


@pytest.mark.parametrize("place", [0, 1, 2, 6])
def test_a_single_value_apart_tells_nothing(place):
    one = torch.full((7,), 0.3, dtype=torch.float64)
    one[place] = 9
    two = one.clone()
    two[place - 1] = 5
    two_groups = torch.tensor([1.0, 1, 1, 2, 2, 2, 2]).double()
    values = torch.stack([one, two, two_groups], 1)
    assert standardise(values, 0)[1].tolist() == [True, False, False]
    assert standardise(values.T, 1)[1].tolist() == [True, False, False]
    coincident = pearson(one[:, None], one[:, None], 0)
    assert coincident.isnan().all()
    assert pearson(one[:, None], two[:, None], 0).item() == 0


def test_rho_without_a_part_is_that_of_the_rest():
    rng = np.random.default_rng(5)
    values = torch.from_numpy(rng.normal(3, 1, (2, 13, 7)).astype(np.float32))
    parts = [slice(0, 4), slice(4, 9), slice(9, 13)]
    values[0, 4:, 1] = 1.5  # a prediction that is fixed without the first part
    values[1, :9, 2] = 0.25  # an observation that is fixed without the last one
    values[1, :, 3], values[1, [2, 10], 3] = 0, 4  # one donor apart without the first or the last
    values[0, :, 4] = 1e4 + values[0, :, 4]
    values[:, 2, 5] += 3e4  # one donor of the first part far from all others
    found = pearson_without(*values, parts)
    for rho, part in zip(found, parts, strict=True):
        rest = np.setdiff1d(np.arange(13), np.arange(13)[part])
        np.testing.assert_allclose(rho, pearson(*values[:, rest], 0), atol=1e-6)
    assert found.isnan().sum() == 3
    assert (found == 0).sum() == 1


def test_third_moment_is_that_of_all_permutations():
    rng = np.random.default_rng(0)
    units = [standardise(torch.from_numpy(rng.lognormal(size=(5, 3))), 0)[0] for _ in range(2)]
    orders = torch.tensor(list(itertools.permutations(range(5))))
    rho = torch.einsum("dg,pdg->pg", units[0], units[1][orders])
    np.testing.assert_allclose(third_moment(*units), (rho**3).mean(0))


def test_sparse_draws_are_constant_or_have_the_rho_of_who_was_drawn():
    rng = np.random.default_rng(1)
    values = [rng.normal(size=(9, 4)), rng.normal(size=(9, 4))]
    values[0][:, 1] = values[1][:, 2] = np.repeat([0.0, 3.0, 1.0], [7, 1, 1])
    values[0][:, 3] = 2.0
    drawn = rng.multinomial(9, [1 / 9] * 9, 40)
    drawn[0, :7], drawn[0, 7:] = 1, 0
    units = [standardise(torch.from_numpy(of), 0)[0].float() for of in values]
    rho = weighted_correlations(*units, torch.from_numpy(drawn).float()).numpy()
    for weights, found in zip(drawn, rho, strict=True):
        a, b = (np.repeat(of, weights, axis=0) for of in values)
        for gene in range(4):
            fixed_a, fixed_b = (np.ptp(of[:, gene]) == 0 for of in (a, b))
            expected = np.nan if fixed_b else 0.0
            if not fixed_a and not fixed_b:
                expected = np.corrcoef(a[:, gene], b[:, gene])[0, 1]
            np.testing.assert_allclose(found[gene], expected, atol=2e-5)


def test_a_draw_of_two_donors_has_no_correlation():
    units = [standardise(torch.rand(7, 5), 0)[0] for _ in range(2)]
    drawn = torch.tensor([[5, 2, 0, 0, 0, 0, 0], [0, 0, 4, 2, 1, 0, 0], [7, 0, 0, 0, 0, 0, 0]])
    rho = weighted_correlations(*units, drawn.float())
    assert rho.isnan().all(1).tolist() == [True, False, True]
    assert rho[1].isfinite().all()


def test_draws_of_folds_of_five_are_hardly_further_apart_than_cohorts_are():
    rng = np.random.default_rng(7)
    # Without signal the sd over genes that tell nothing of each other is that over cohorts.
    sides = rng.normal(size=(5, 2, 5, 2000)).astype(np.float32)
    folds = [[standardise(torch.from_numpy(side), 0)[0] for side in fold] for fold in sides]
    one = torch.ones(1, 5)
    found = mean_over_folds([weighted_correlations(*fold, one) for fold in folds], [2] * 5)
    drawn = torch.from_numpy(rng.multinomial(5, [0.2] * 5, (5, 300))).float()
    of_draws = [
        weighted_correlations(*fold, weights) for fold, weights in zip(folds, drawn, strict=True)
    ]
    draws = mean_over_folds(of_draws, [2] * 5).numpy()
    assert np.nanstd(draws, 0).mean() < 1.5 * found.std()


def test_folds_without_a_correlation_are_left_out_of_the_mean():
    rho = np.random.default_rng(2).uniform(-0.9, 0.9, (3, 5, 4)).astype(np.float32)
    rho[1, 2, 1] = rho[:, 3, 2] = rho[0, 4] = rho[2, :3, 3] = np.nan
    weights = [4.0, 9.0, 2.0]
    found = mean_over_folds(list(torch.from_numpy(rho)), weights).numpy()
    share = np.array(weights)[:, None, None] * np.isfinite(rho)
    with np.errstate(invalid="ignore"):
        expected = np.tanh((share * np.arctanh(np.nan_to_num(rho))).sum(0) / share.sum(0))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.isnan(found).sum() == 1


def test_sums_of_float32_are_those_of_float64():
    values = torch.from_numpy(np.random.default_rng(3).lognormal(9, 1, (5000, 2))).float()
    np.testing.assert_allclose(summed(values, 0), values.double().sum(0), rtol=1e-14)
    assert summed(values, 1).dtype == torch.float64
