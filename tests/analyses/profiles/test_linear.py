import numpy as np
import pytest
from sklearn.linear_model import Ridge
from tests.analyses.profiles.made_up import table

from mtm.analyses.profiles.features import FLOOR, Shapes, Surroundings
from mtm.analyses.profiles.linear import filled, fit_linear


def test_ridge_is_that_of_scikit_learn():
    rng = np.random.default_rng(1)
    values = table().expr_log2
    blocks = [rng.standard_normal((len(values), 4)), 5 * rng.standard_normal((len(values), 9))]
    fit = fit_linear(values, blocks)
    own = Shapes.of(values - values.mean(0))
    targets = np.hstack([own.shape, own.level[:, None], own.sd[:, None]])
    # A block's features have unit variance together.
    x = np.hstack([block / block.std(0) / block.shape[1] ** 0.5 for block in blocks])
    kernel = np.trace((x - x.mean(0)).T @ (x - x.mean(0))) / (len(x) - 1)
    told = fit.ridge.predict(np.hstack(blocks) / fit.scale)
    for column in range(targets.shape[1]):
        penalty = fit.ridge.penalty[column] * kernel
        theirs = Ridge(alpha=penalty).fit(x, targets[:, column]).predict(x)
        np.testing.assert_allclose(told[:, column], theirs, atol=1e-8)
    mean = told[:, [-2]] + fit.spread * (told[:, [-1]].clip(0) + FLOOR) * told[:, :-2]
    np.testing.assert_allclose(fit.mean(np.hstack(blocks)), mean)


def test_holes_are_filled_by_what_is_expected_given_what_is_seen():
    rng = np.random.default_rng(2)
    root = rng.standard_normal((4, 4))
    covariance, mean = root @ root.T + np.eye(4), rng.standard_normal((3, 4))
    values = rng.standard_normal((3, 4))
    holes = np.array([[0, 1, 0, 1], [1, 1, 1, 1], [0, 0, 0, 0]], bool)
    told, sd = filled(np.where(holes, np.nan, values), mean, covariance, with_sd=True)
    seen, hole = ~holes[0], holes[0]
    across = covariance[np.ix_(hole, seen)] @ np.linalg.inv(covariance[np.ix_(seen, seen)])
    by_hand = mean[0, hole] + across @ (values[0] - mean[0])[seen]
    left = covariance[np.ix_(hole, hole)] - across @ covariance[np.ix_(seen, hole)]
    np.testing.assert_allclose(told[0, hole], by_hand)
    np.testing.assert_allclose(sd[0, hole], np.diag(left) ** 0.5)
    np.testing.assert_allclose(told[1], mean[1])
    np.testing.assert_allclose(sd[1], np.diag(covariance) ** 0.5)
    np.testing.assert_array_equal(told[2], values[2])
    assert not sd[2].any()


def test_holes_in_training_genes_change_the_covariance_little():
    whole = table(2000).expr_log2
    rng = np.random.default_rng(3)
    holes = np.where(rng.random(whole.shape) < 0.2, np.nan, whole)
    full, partly = (fit_linear(values, []).covariance for values in (whole, holes))
    np.testing.assert_allclose(partly, full, atol=0.12 * full.max())
    # Means in the holes would lose a fifth of the variance.
    mean_filled = np.where(np.isfinite(holes), holes, np.nanmean(holes, 0))
    assert np.trace(partly) > 1.1 * np.trace(np.cov(mean_filled.T))


def test_features_of_a_gene_have_nothing_of_its_own_expression():
    genes = table()
    around = Surroundings(genes, ("neighbours", "family"), {}, [""] * genes.n_genes)
    symbols = [f"AB{chr(65 + i % 40 // 2)}{chr(65 + i % 26)}{i}" for i in range(genes.n_genes)]
    genes.genes["symbol"] = symbols
    mean = genes.expr_log2.mean(0)
    before = around.features(genes.expr_log2, mean)
    changed = genes.expr_log2.copy()
    changed[30] += 3 * np.arange(6)
    after = around.features(changed, mean)
    for part in ("neighbours", "family"):
        np.testing.assert_allclose(after[part][30], before[part][30], atol=1e-9)
    assert np.abs(after["neighbours"][31] - before["neighbours"][31]).max() > 0.1


def test_a_pair_back_to_back_is_told_from_its_partner():
    genes = table()
    assert genes.shares_promoter().sum() == 0
    genes.genes["tss"] = 100_000 * (np.arange(240) // 2) + 800 * (np.arange(240) % 2)
    assert genes.shares_promoter().all()
    around = Surroundings(genes, ("neighbours",), {}, [""] * 240)
    features = around.features(genes.expr_log2, genes.expr_log2.mean(0))["neighbours"]
    fit = fit_linear(genes.expr_log2[:160], [features[:160]])
    told = fit.mean(features[160:])
    true = genes.expr_log2[160:] - fit.tissue_mean
    shapes = [one - one.mean(1, keepdims=True) for one in (told, true)]
    assert np.corrcoef(*(one.ravel() for one in shapes))[0, 1] == pytest.approx(0.75, abs=0.15)
