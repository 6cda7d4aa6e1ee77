import numpy as np
import pytest

from mtm.statistics.deconvolution import mixing_weights


def test_true_values_are_found_behind_noise():
    rng = np.random.default_rng(0)
    true = np.where(rng.random(20_000) < 0.5, 0.0, 1.0)
    grid = np.linspace(-1, 2, 31)
    weights = mixing_weights(true + 0.3 * rng.standard_normal(len(true)), 0.3, grid)
    assert weights.sum() == pytest.approx(1)
    assert weights[np.abs(grid) < 0.25].sum() > 0.45
    assert weights[np.abs(grid - 1) < 0.25].sum() > 0.45
    # What spreads the values is noise; the true ones have a spread of their own.
    spread = np.sqrt(weights @ (grid - weights @ grid) ** 2)
    assert abs(spread - 0.5) < 0.02
