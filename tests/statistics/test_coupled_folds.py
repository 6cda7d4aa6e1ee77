import numpy as np
import pytest

from mtm.models.solvers.ridge import gcv_ridge
from mtm.statistics.coupled_folds import coupling


def test_one_fold_has_nobody_to_learn_from_and_equal_folds_double_the_variance():
    assert coupling([40], [37], 40) == 1
    assert coupling([], [], 0) == 1
    assert coupling([20] * 5, [17] * 5, 100) == pytest.approx(2**0.5)
    assert coupling([50, 50], [47, 47], 100) == pytest.approx(2**0.5)
    # Two of five folds: their correlation is a fourth.
    assert coupling([20, 20], [17, 17], 100) == pytest.approx((1 + 1 / 4) ** 0.5)


@pytest.mark.parametrize("sizes", [(30, 30, 30, 30), (60, 35, 25)])
def test_spread_of_cross_validated_ridge_without_signal(sizes):
    rng = np.random.default_rng(0)
    folds, n_genes = np.repeat(np.arange(len(sizes)), sizes), 3000
    source, target = rng.standard_normal((120, 40)), rng.standard_normal((120, n_genes))
    total = np.zeros(n_genes)
    for fold in np.unique(folds):
        held_out = folds == fold
        kernel = source[~held_out] @ source[~held_out].T
        fit = gcv_ridge(kernel, target[~held_out], penalties=(1.0,))
        told = source[held_out] @ source[~held_out].T @ fit.dual
        told, seen = (v - v.mean(0) for v in (told, target[held_out]))
        rho = (told * seen).sum(0) / np.sqrt((told**2).sum(0) * (seen**2).sum(0))
        total += (held_out.sum() - 3) * np.arctanh(rho)
    weights = np.array(sizes) - 3
    spread = total.std() / weights.sum() ** 0.5
    assert spread == pytest.approx(coupling(sizes, weights, 120), rel=0.08)
