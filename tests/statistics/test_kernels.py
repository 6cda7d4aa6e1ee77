import itertools

import numpy as np
import pytest
import torch

from mtm.statistics.kernels import RunningMean, pearson, standardise, third_moment


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


def test_third_moment_is_that_of_all_permutations():
    rng = np.random.default_rng(0)
    units = [standardise(torch.from_numpy(rng.lognormal(size=(5, 3))), 0)[0] for _ in range(2)]
    orders = torch.tensor(list(itertools.permutations(range(5))))
    rho = torch.einsum("dg,pdg->pg", units[0], units[1][orders])
    np.testing.assert_allclose(third_moment(*units), (rho**3).mean(0))
