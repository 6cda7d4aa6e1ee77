"""Ridge by its primal form against scikit-learn, its dual form, and fits without a sample."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from mtm.models.solvers.primal_ridge import primal_ridge
from mtm.models.solvers.ridge import gcv_ridge

PENALTIES = (0.01, 0.3, 2.0)


@pytest.fixture(params=[(40, 6), (12, 20)], ids=["tall", "wide"])
def made(request):
    """Features and targets."""
    n, p = request.param
    rng = np.random.default_rng(3)
    x = rng.standard_normal((n, p)) * rng.uniform(0.5, 2, p) + 3
    return x, x[:, :3] @ rng.standard_normal((3, 9)) + 2 * rng.standard_normal((n, 9)) - 1


def test_coefficients_are_those_of_scikit_learn(made):
    x, y = made
    fit = primal_ridge(x, y, (0.3,))
    unit = ((x - x.mean(0)) ** 2).sum() / (len(x) - 1)
    theirs = Ridge(alpha=0.3 * unit).fit(x, y)
    np.testing.assert_allclose(fit.coef, theirs.coef_.T, atol=1e-9)
    np.testing.assert_allclose(fit.predict(x), theirs.predict(x), atol=1e-9)


def test_penalties_and_fits_are_those_of_the_dual_form(made):
    x, y = made
    fit, dual = primal_ridge(x, y, PENALTIES, memory_mb=1e-3), gcv_ridge(x @ x.T, y, PENALTIES)
    assert len(set(dual.penalty)) > 1
    np.testing.assert_array_equal(fit.penalty, dual.penalty)
    np.testing.assert_allclose(fit.coef, x.T @ dual.dual, atol=1e-9)
    np.testing.assert_allclose(fit.intercept, dual.intercept, atol=1e-8)


def test_left_out_samples_are_told_by_a_fit_without_them(made):
    x, y = made
    fit = primal_ridge(x, y, PENALTIES, leave_one_out=True)
    unit = ((x - x.mean(0)) ** 2).sum() / (len(x) - 1)
    others = np.arange(len(x)) != 4
    for gene in range(y.shape[1]):
        model = Ridge(alpha=fit.penalty[gene] * unit).fit(x[others], y[others, gene])
        assert fit.left_out[4, gene] == pytest.approx(model.predict(x[[4]])[0], abs=1e-5)


def test_features_without_variance_tell_the_mean():
    y = np.random.default_rng(0).standard_normal((8, 3))
    fit = primal_ridge(np.ones((8, 2)), y)
    np.testing.assert_allclose(fit.predict(np.zeros((1, 2)))[0], y.mean(0), atol=1e-12)


@pytest.mark.parametrize("n_samples", [7, 30, 51, 64, 93])
def test_rounding_is_no_variance(n_samples):
    y = np.random.default_rng(0).standard_normal((n_samples, 3))
    x = np.tile([-0.7312345, 0.318271], (n_samples, 1))
    fit = primal_ridge(x, y)
    np.testing.assert_allclose(fit.predict(np.zeros((1, 2)))[0], y.mean(0), atol=1e-9)
