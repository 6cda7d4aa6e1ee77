from itertools import permutations

import numpy as np

from mtm.statistics.resampling import donor_permutations


def test_factors_give_uniform_permutations():
    left, right = donor_permutations(4, 9_000_000, np.random.default_rng(2))
    pairing = np.empty((600, 600, 4), np.int64)
    np.put_along_axis(pairing, left[:600, None].repeat(600, 1), right[None, :600], axis=2)
    codes = pairing.reshape(-1, 4) @ [64, 16, 4, 1]
    expected = {np.dot(order, [64, 16, 4, 1]) for order in permutations(range(4))}
    values, counts = np.unique(codes, return_counts=True)
    assert set(values.tolist()) == expected
    assert counts.std() / counts.mean() < 0.03
