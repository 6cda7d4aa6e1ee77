import numpy as np
import pytest
import torch

from mtm.statistics.kernels import RunningMean


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
