from itertools import permutations

import numpy as np
from scipy.stats import chisquare

from mtm.statistics.resampling import donor_permutations, induced_permutations


def test_factors_give_uniform_permutations():
    left, right = donor_permutations(4, 9_000_000, np.random.default_rng(2))
    pairing = np.empty((600, 600, 4), np.int64)
    np.put_along_axis(pairing, left[:600, None].repeat(600, 1), right[None, :600], axis=2)
    codes = pairing.reshape(-1, 4) @ [64, 16, 4, 1]
    expected = {np.dot(order, [64, 16, 4, 1]) for order in permutations(range(4))}
    values, counts = np.unique(codes, return_counts=True)
    assert set(values.tolist()) == expected
    assert counts.std() / counts.mean() < 0.03


def test_induced_permutation_follows_cycles():
    # 0 -> 3 -> 1 -> 4 -> 0 and 2 -> 5 -> 2; members 0, 1, 2.
    permutation = np.array([[3, 4, 5, 1, 0, 2]])
    assert induced_permutations(permutation, np.array([0, 1, 2])).tolist() == [[1, 0, 2]]


def test_induced_permutations_are_uniform_and_shared():
    order, _ = donor_permutations(7, 20_000**2, np.random.default_rng(3))
    induced = induced_permutations(order, np.array([1, 3, 6]))
    assert (np.sort(induced, 1) == np.arange(3)).all()
    _, counts = np.unique(induced @ [9, 3, 1], return_counts=True)
    assert len(counts) == 6
    assert chisquare(counts).pvalue > 1e-3
    assert (induced_permutations(order, np.arange(7)) == order).all()
