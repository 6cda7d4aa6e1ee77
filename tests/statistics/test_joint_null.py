import numpy as np
import pytest
from scipy import stats

from mtm.statistics.joint_null import PairProducts, mean_null, null_covariance, null_interval

N_DONORS, N_GENES = 24, 12
# Folds of one cohort; tissues of all donors, of most, and of few.
FOLDS = np.arange(N_DONORS) % 2
MEMBERS = (np.arange(N_DONORS), np.arange(5, N_DONORS), np.arange(12))


def unrelated(rng, covariate):
    """Mean rho of two folds and three tissues, and its pairs; sides share a factor of donors."""
    sides = [
        rng.standard_normal((N_DONORS, 1)) + 0.7 * rng.standard_normal((3, N_DONORS, N_GENES))
        for _ in range(2)
    ]
    means, tissues = [], []
    for tissue, members in enumerate(MEMBERS):
        mean, by_fold = 0.0, {}
        for fold in range(2):
            donors = members[FOLDS[members] == fold]
            basis = covariate[donors, None] - covariate[donors].mean()
            basis /= np.linalg.norm(basis)
            units = []
            for side in sides:
                values = side[tissue, donors] + 3 * covariate[donors, None]
                values = values - values.mean(0)
                values = values - basis @ (basis.T @ values)
                units.append(values / np.linalg.norm(values, axis=0))
            products = units[0] @ units[1].T / N_GENES / 2
            by_fold[fold] = PairProducts(donors, products, basis)
            mean += np.trace(products)
        means.append(mean)
        tissues.append(by_fold)
    return means, tissues


@pytest.fixture(scope="module")
def cohorts():
    rng = np.random.default_rng(0)
    covariate = rng.standard_normal(N_DONORS)
    return [unrelated(rng, covariate) for _ in range(500)]


def test_covariance_is_that_of_models_that_know_nothing(cohorts):
    true = np.cov(np.array([means for means, _ in cohorts]).T)
    found = np.mean([null_covariance(tissues) for _, tissues in cohorts], 0)
    np.testing.assert_allclose(found, true, atol=0.15 * true.max())
    assert found.sum() == pytest.approx(true.sum(), rel=0.15)
    assert np.trace(found) < 0.6 * found.sum()


def test_the_interval_holds_nineteen_of_twenty_means(cohorts):
    inside = 0
    for means, tissues in cohorts:
        ends = null_interval(tissues)
        inside += ends["null_low"] < np.mean(means) < ends["null_high"]
    assert stats.binom.ppf(1e-3, 500, 0.95) <= inside <= stats.binom.ppf(1 - 1e-3, 500, 0.95)
    assert np.isnan(list(null_interval([{}]).values())).all()


def test_variance_is_that_of_permutations_and_strangers_have_no_covariance():
    rng = np.random.default_rng(1)
    matrix = np.eye(6) - 1 / 6
    products = matrix @ rng.standard_normal((6, 6)) @ matrix
    orders = rng.permuted(np.tile(np.arange(6), (20_000, 1)), axis=1)
    sums = products[np.arange(6), orders].sum(1)
    a = {0: PairProducts(np.arange(6), products)}
    other = {0: PairProducts(np.arange(6, 12), products)}
    other_fold = {1: PairProducts(np.arange(6), products)}
    covariance = null_covariance([a, other, other_fold, {}])
    off = covariance - np.diag(np.diag(covariance))
    assert (off == 0).all()
    apart = (products**2).sum() - (np.diag(products) ** 2).sum()
    assert covariance[0, 0] == pytest.approx(6 / 25 * apart)
    assert sums.var() == pytest.approx((products**2).sum() / 5, rel=0.05)
    # The permutations' own variance has the diagonal too, a sixth of all products.
    assert covariance[0, 0] == pytest.approx(sums.var(), rel=0.35)


def test_the_mean_is_as_wide_as_tissues_vary_together():
    rng = np.random.default_rng(2)
    draws = rng.standard_normal((3, 4000))
    related = np.full((3, 3), 0.5) + 0.5 * np.eye(3)
    assert mean_null(draws, related).std() == pytest.approx((6 / 9) ** 0.5, rel=0.03)
    assert mean_null(draws, np.eye(3)).std() == pytest.approx((1 / 3) ** 0.5, rel=0.03)
    copies = np.tile(draws[:1], (3, 1))
    np.testing.assert_allclose(mean_null(copies, np.ones((3, 3))), draws[0])
    draws[1] = np.nan
    assert mean_null(draws, related).std() == pytest.approx(0.75**0.5, rel=0.03)
    assert np.isnan(mean_null(draws[1:2], related[:1, :1])).all()
