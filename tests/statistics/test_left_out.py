import numpy as np
import pytest

from mtm.statistics.left_out import GroupSums


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    values = rng.normal(5, 2, (60, 9))
    group = rng.integers(0, 4, 60)
    # Never expressed but in group 2; the same in everybody; varying beside a far larger mean.
    values[:, 0] = np.where(group == 2, values[:, 0], 0)
    values[:, 1] = 3.7
    values[:, 2] = 1e6 + rng.normal(size=60)
    return values, group


@pytest.mark.parametrize("kept", [[0, 1, 3], [2], [0, 1, 2, 3]])
def test_moments_are_those_of_the_samples_that_are_left(samples, kept):
    values, group = samples
    sums = GroupSums.of(values, group, 5)
    kept = np.isin(np.arange(5), kept)
    rest = values[kept[group]]
    mean, variance = sums.moments(kept)
    assert sums.count(kept) == len(rest)
    np.testing.assert_allclose(mean, rest.mean(0), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(variance, rest.var(0), rtol=1e-9, atol=1e-18)


def test_a_gene_that_others_alone_express_does_not_vary(samples):
    values, group = samples
    _, variance = GroupSums.of(values, group, 4).moments(np.arange(4) != 2)
    assert variance[0] == 0
