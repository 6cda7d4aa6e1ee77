import warnings

import numpy as np
import pytest
import torch
from marks import slow
from sklearn.linear_model import BayesianRidge, LassoCV
from sklearn.linear_model import Lasso as SklearnLasso
from sklearn.linear_model import Ridge as SklearnRidge

from mtm.errors import InputError
from mtm.models.solvers.arrays import gene_blocks
from mtm.models.solvers.bayesian_ridge import bayesian_ridge
from mtm.models.solvers.lasso import COLUMNS, duality_gap, lasso_cv, lasso_descent
from mtm.models.solvers.ridge import gcv_ridge, least_gcv, mean_eigenvalue, reduced_rank


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.mark.slow
@pytest.mark.parametrize(("n_samples", "n_features"), [(80, 10), (15, 10), (12, 20)])
def test_bayesian_ridge_equals_scikit_learn(rng, n_samples, n_features):
    n_genes = 170
    x = rng.normal(size=(n_genes, n_samples, n_features))
    x[::3, :, 1] = x[::3, :, 0]
    x[::5, :, 2] = 7.0
    signal = rng.choice([0.0, 0.3, 3.0], n_genes)
    y = signal[:, None] * x.sum(2) + rng.normal(size=(n_genes, n_samples))
    y[4] = 2.5
    x_centred, y_centred = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    coef = bayesian_ridge(
        torch.from_numpy(np.einsum("gni,gnj->gij", x_centred, x_centred)),
        torch.from_numpy(np.einsum("gni,gn->gi", x_centred, y_centred)),
        torch.from_numpy((y_centred**2).sum(1)),
        n_samples,
    ).numpy()
    expected = [BayesianRidge().fit(x[g], y[g]).coef_ for g in range(n_genes)]
    np.testing.assert_allclose(coef, expected, atol=1e-6)
    assert np.abs(coef).max() > 0.5


def _lasso_data(rng, n_samples=60, n_features=8, n_genes=25):
    mixing = np.eye(n_features) + 0.2 * rng.normal(size=(n_features, n_features))
    x = rng.normal(size=(n_samples, n_features)) @ mixing
    y = x @ rng.normal(size=(n_features, n_genes)) * rng.choice([0, 0.3], n_genes)
    y += 3 * rng.normal(size=(n_samples, n_genes))
    return x, y


@pytest.mark.slow
def test_lasso_equals_scikit_learn(rng):
    x, y = _lasso_data(rng)
    y[:, 1] = 4.0
    fit = lasso_cv(x, y, tol=1e-13, max_iter=10_000)
    assert fit.converged.all()
    for gene in range(y.shape[1]):
        model = LassoCV(alphas=100, cv=5, tol=1e-13, max_iter=10_000).fit(x, y[:, gene])
        np.testing.assert_allclose(fit.coef[:, gene], model.coef_, atol=1e-6)
        if gene != 1:
            assert fit.penalty[gene] == pytest.approx(model.alpha_, rel=1e-12)
    assert (fit.coef[:, 1] == 0).all()
    assert 0 < (fit.coef != 0).mean() < 1


@pytest.mark.slow
def test_lasso_with_constant_and_duplicated_features_fits_as_scikit_learn(rng):
    x, y = _lasso_data(rng)
    x[:, 2], x[:, 4] = 1.5, x[:, 3]
    fit = lasso_cv(x, y, tol=1e-12, max_iter=10_000)
    assert (fit.coef[2] == 0).all()
    for gene in range(8):
        model = LassoCV(alphas=100, cv=5, tol=1e-12, max_iter=10_000).fit(x, y[:, gene])
        np.testing.assert_allclose(x @ fit.coef[:, gene], x @ model.coef_, atol=1e-5)


@pytest.mark.slow
def test_lasso_default_tolerance_is_close_to_scikit_learn(rng):
    x, y = _lasso_data(rng)
    fit = lasso_cv(x, y)
    for gene in range(8):
        model = LassoCV(alphas=100, cv=5).fit(x, y[:, gene])
        centred = x - x.mean(0)
        spread = (centred @ (fit.coef[:, gene] - model.coef_)).std()
        assert spread < 0.05 * y[:, gene].std()


def test_lasso_on_orthogonal_features_is_soft_thresholding(rng):
    x = np.linalg.qr(rng.normal(size=(40, 6)))[0] * np.array([1, 2, 3, 4, 5, 6])
    y = rng.normal(size=(40, 9))
    l1 = rng.uniform(0.1, 2, 9)
    gram, xty = x.T @ x, x.T @ y
    coef, converged = lasso_descent(
        torch.from_numpy(gram)[None],
        torch.from_numpy(xty)[None],
        torch.from_numpy((y**2).sum(0))[None],
        torch.from_numpy(l1)[None],
        torch.zeros(1, 6, 9, dtype=torch.float64),
        1e-14,
        100,
    )
    expected = np.sign(xty) * np.maximum(np.abs(xty) - l1, 0) / np.diag(gram)[:, None]
    np.testing.assert_allclose(coef[0].numpy(), expected, atol=1e-12)
    assert converged.all()


def test_duality_gap_bounds_the_distance_to_the_optimum(rng):
    x, y = _lasso_data(rng)
    arrays = [
        torch.from_numpy(array)[None]
        for array in (x.T @ x, x.T @ y, (y**2).sum(0), np.full(y.shape[1], 20.0))
    ]
    start = torch.zeros_like(arrays[1])

    def objective(coef):
        residual = y - x @ coef[0].numpy()
        return (residual**2).sum(0) / 2 + 20 * np.abs(coef[0].numpy()).sum(0)

    best = lasso_descent(*arrays, start, 1e-14, 10_000)[0]
    rough = lasso_descent(*arrays, start, 0.0, 1)[0]
    above = objective(rough) - objective(best)
    gap = duality_gap(*arrays, rough)[0].numpy()
    assert above.max() > 1e-3
    assert (gap >= above - 1e-9).all()


@pytest.mark.slow
def test_lasso_does_not_depend_on_blocks(rng, monkeypatch):
    x, y = _lasso_data(rng, n_genes=4)
    whole = lasso_cv(x, y, tol=1e-12, max_iter=10_000)
    split = lasso_cv(x, y, tol=1e-12, max_iter=10_000, memory_mb=0.01)
    monkeypatch.setitem(COLUMNS, "cpu", 1)
    one_by_one = lasso_cv(x, y, tol=1e-12, max_iter=10_000)
    for other in (split, one_by_one):
        np.testing.assert_allclose(other.coef, whole.coef, atol=1e-7)
        np.testing.assert_allclose(other.penalty, whole.penalty)


def test_lasso_says_what_did_not_converge(rng):
    x, y = _lasso_data(rng)
    y[:, 0] = 1
    assert lasso_cv(x, y, tol=1e-12, max_iter=1).converged.tolist() == [True] + [False] * 24


def test_lasso_refuses_more_folds_than_samples(rng):
    with pytest.raises(InputError, match="inner folds"):
        lasso_cv(rng.normal(size=(4, 2)), rng.normal(size=(4, 3)))


def _brute_force_gcv(x, y, penalties):
    """Ridge by the normal equations and the hat matrix, gene by gene."""
    n = len(x)
    centred = x - x.mean(0)
    unit = np.trace(centred @ centred.T) / (n - 1)
    errors, coefs = [], []
    for penalty in penalties:
        inverse = np.linalg.inv(centred.T @ centred + penalty * unit * np.eye(x.shape[1]))
        hat = centred @ inverse @ centred.T + 1 / n
        errors.append(((y - hat @ y) ** 2).sum(0) / (n - np.trace(hat)) ** 2)
        coefs.append(inverse @ centred.T @ (y - y.mean(0)))
    return np.array(errors), np.array(coefs)


@pytest.mark.parametrize("n_features", [5, 90])
@pytest.mark.parametrize("choice", ["per_gene", "shared"])
def test_gcv_ridge_equals_brute_force(rng, n_features, choice):
    x = rng.normal(size=(40, n_features)) + 3
    y = x[:, :4] @ rng.normal(size=(4, 30)) * rng.choice([0, 0.1, 2], 30)
    y += rng.normal(size=y.shape) + 5
    penalties = (0.01, 0.1, 1.0, 10.0, 100.0)
    errors, coefs = _brute_force_gcv(x, y, penalties)
    best = errors.argmin(0) if choice == "per_gene" else np.full(30, errors.sum(1).argmin())
    fit = gcv_ridge(x @ x.T, y, penalties, choice, memory_mb=0.02)
    np.testing.assert_array_equal(fit.penalty, np.array(penalties)[best])
    coef = x.T @ fit.dual
    np.testing.assert_allclose(coef, coefs[best, :, np.arange(30)].T, atol=1e-9)
    np.testing.assert_allclose(fit.intercept, y.mean(0) - x.mean(0) @ coef, atol=1e-9)
    assert choice == "shared" or len(np.unique(best)) > 1


@pytest.mark.parametrize("choice", ["per_gene", "shared"])
def test_least_gcv_equals_brute_force(rng, choice):
    penalties, weights = (0.01, 0.1, 1.0, 10.0), (0.0, 0.1, 1.0, 10.0, 1000.0)
    x, columns = rng.normal(size=(40, 90)), rng.normal(size=(40, 3)) + 2
    found = set()
    for effect in (0.0, 0.5, 4.0):
        y = x @ rng.normal(size=(90, 30)) + effect * columns @ rng.normal(size=(3, 30)) * 9
        blocks = [np.hstack([x, np.sqrt(weight) * columns]) for weight in weights]
        errors = [_brute_force_gcv(block, y, penalties)[0] for block in blocks]
        sums = [e.sum(1).min() if choice == "shared" else e.min(0).sum() for e in errors]
        kernels = (block @ block.T for block in blocks)
        best = least_gcv(kernels, y, penalties, choice, memory_mb=0.02)
        assert best == np.argmin(sums)
        found.add(best)
    assert len(found) == 3


def test_mean_eigenvalue_is_that_of_centred_features(rng):
    x = rng.normal(size=(12, 30)) + 4
    centred = x - x.mean(0)
    values = np.linalg.eigvalsh(centred @ centred.T)
    np.testing.assert_allclose(mean_eigenvalue(x @ x.T), values.sum() / 11)
    constant = np.full((12, 30), 0.1) + np.arange(30)
    assert mean_eigenvalue(constant @ constant.T) == 0


def test_gcv_ridge_equals_scikit_learn_at_one_penalty(rng):
    x, y = rng.normal(size=(30, 6)), rng.normal(size=(30, 4))
    centred = x - x.mean(0)
    unit = (centred**2).sum() / 29
    model = SklearnRidge(alpha=2 * unit).fit(x, y)
    fit = gcv_ridge(x @ x.T, y, (2.0,))
    np.testing.assert_allclose(x.T @ fit.dual, model.coef_.T, atol=1e-10)
    np.testing.assert_allclose(fit.intercept, model.intercept_, atol=1e-10)


def test_gcv_ridge_without_variance_predicts_the_mean(rng):
    x = np.full((20, 3), 2.0)
    y = rng.normal(size=(20, 5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = gcv_ridge(x @ x.T, y)
    np.testing.assert_allclose(x @ (x.T @ fit.dual) + fit.intercept, np.tile(y.mean(0), (20, 1)))


@pytest.mark.parametrize("n_samples", [7, 30, 51, 64, 93])
def test_gcv_ridge_takes_rounding_for_no_variance(rng, n_samples):
    x = np.tile([-0.7312345, 0.318271], (n_samples, 1))
    y = rng.normal(size=(n_samples, 3))
    fit = gcv_ridge(x @ x.T, y)
    elsewhere = np.array([[1.0, 2.0]])
    told = elsewhere @ (x.T @ fit.dual) + fit.intercept
    np.testing.assert_allclose(told[0], y.mean(0), atol=1e-9)


def test_gcv_ridge_of_a_constant_target_is_that_constant(rng):
    x, y = rng.normal(size=(20, 30)), np.full((20, 2), 1.5)
    fit = gcv_ridge(x @ x.T, y)
    np.testing.assert_allclose(x @ (x.T @ fit.dual) + fit.intercept, 1.5, atol=1e-12)


@pytest.mark.parametrize("penalties", [(), (0.0, 1.0)])
def test_gcv_ridge_refuses_penalties(rng, penalties):
    with pytest.raises(InputError, match="penalties"):
        gcv_ridge(np.eye(4), rng.normal(size=(4, 2)), penalties)


def test_gcv_ridge_refuses_an_unknown_choice(rng):
    with pytest.raises(InputError, match="penalty_choice"):
        gcv_ridge(np.eye(4), rng.normal(size=(4, 2)), penalty_choice="best")


def test_reduced_rank_keeps_the_leading_directions_of_the_fit(rng):
    x, y = rng.normal(size=(30, 50)), rng.normal(size=(30, 20))
    kernel = x @ x.T
    dual = gcv_ridge(kernel, y).dual
    fitted = kernel @ dual
    fitted -= fitted.mean(0)
    left, values, right = np.linalg.svd(fitted, full_matrices=False)
    weights, directions = reduced_rank(kernel, dual, 3)
    assert weights.shape == (30, 3)
    low = kernel @ weights @ directions
    expected = left[:, :3] * values[:3] @ right[:3]
    np.testing.assert_allclose(low - low.mean(0), expected, atol=1e-9)
    everything = reduced_rank(kernel, dual, 500)
    np.testing.assert_allclose(everything[0] @ everything[1], dual, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("n_features", [12, slow(30)])
def test_lasso_of_nearly_dependent_features_needs_few_sweeps(rng, n_features):
    """Coordinate descent alone takes thousands of sweeps here, with more features than samples."""
    factor = rng.normal(size=(20, 3))
    x = factor @ rng.normal(size=(3, n_features)) + 0.02 * rng.normal(size=(20, n_features))
    y = factor @ rng.normal(size=(3, 15)) + rng.normal(size=(20, 15))
    fit = lasso_cv(x, y, tol=1e-8, max_iter=100)
    assert fit.converged.all()
    x, y = x - x.mean(0), y - y.mean(0)
    for gene in range(15):
        alpha = fit.penalty[gene]
        model = SklearnLasso(alpha=alpha, tol=1e-8, max_iter=1_000_000).fit(x, y[:, gene])

        def objective(coef, gene=gene, alpha=alpha):
            return ((y[:, gene] - x @ coef) ** 2).sum() / 40 + alpha * np.abs(coef).sum()

        total = (y[:, gene] ** 2).sum() / 20
        assert objective(fit.coef[:, gene]) <= objective(model.coef_) + 1e-8 * total


def test_blocks_fit_the_memory_that_is_free(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (8 * 2**20, 64 * 2**20))
    on_cpu = list(gene_blocks(1000, 1024, 1))
    on_gpu = list(gene_blocks(1000, 1024, 1, "cuda"))
    assert {block.stop - block.start for block in on_cpu[:-1]} == {128}
    assert {block.stop - block.start for block in on_gpu[:-1]} == {512}
    assert [i for block in on_gpu for i in range(1000)[block]] == list(range(1000))
