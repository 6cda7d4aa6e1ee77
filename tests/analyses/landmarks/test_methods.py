"""What each method tells of genes that landmarks are known to decide."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor

from mtm.analyses.landmarks.methods import METHODS, Samples
from mtm.models.solvers.primal_ridge import primal_ridge
from mtm.settings.landmarks import DGEXSettings, Landmarks, MLPOnRidgeSettings

SMALL = Landmarks(
    components=(3,),
    neighbours=(4,),
    dgex=DGEXSettings(widths=(32,), epochs=30, batch_size=64, learning_rate=0.01),
    mlp_on_ridge=MLPOnRidgeSettings(widths=(64,), epochs=40, batch_size=64, learning_rate=0.01),
)


def population(n_donors, seed, curved=0.0):
    """Donors with two tissues, whose genes follow five landmarks otherwise in each."""
    rng, planted = np.random.default_rng(seed), np.random.default_rng(9)
    loading = planted.standard_normal((2, 5, 12))
    bend = planted.standard_normal((5, 12))
    tissue = np.tile([0, 1], n_donors)
    landmarks = rng.standard_normal((len(tissue), 5))
    genes = np.einsum("nl,nlg->ng", landmarks, loading[tissue])
    genes += curved * (landmarks**2 - 1) @ bend + rng.standard_normal(genes.shape)
    arrays = (landmarks.astype(np.float32), genes.astype(np.float32))
    return Samples(arrays[0], tissue, np.repeat(np.arange(n_donors), 2), arrays[1])


def accuracy(told, samples):
    """Share of variance told."""
    return 1 - ((told - samples.genes) ** 2).sum() / (samples.genes**2).sum()


@pytest.fixture(scope="module")
def people():
    """Training samples and others."""
    return population(150, 1), population(60, 2)


def told_by(method, train, asked, how=SMALL):
    """Tell the genes of `asked`, of which nothing but landmarks and tissue is given."""
    blind = replace(asked, genes=np.full_like(asked.genes, np.nan))
    return METHODS[method](train, blind, how, 0, "cpu")


def test_ridge_is_scikit_learns_of_each_tissue(people):
    train, asked = people
    told = told_by("ridge", train, asked)
    for tissue in (0, 1):
        rows, wanted = train.tissue == tissue, asked.tissue == tissue
        x, y = train.landmarks[rows].astype(float), train.genes[rows].astype(float)
        unit = ((x - x.mean(0)) ** 2).sum() / (len(x) - 1)
        alpha = primal_ridge(x, y).penalty * unit
        theirs = Ridge(alpha=alpha).fit(x, y).predict(asked.landmarks[wanted].astype(float))
        np.testing.assert_allclose(told[wanted], theirs, atol=1e-4)


def test_components_and_neighbours_are_those_of_scikit_learn(people):
    train, asked = people
    components, alike = (told_by(method, train, asked) for method in ("pcr", "nearest"))
    for tissue in (0, 1):
        rows, wanted = train.tissue == tissue, asked.tissue == tissue
        axes = PCA(3).fit(train.landmarks[rows])
        fit = LinearRegression().fit(axes.transform(train.landmarks[rows]), train.genes[rows])
        theirs = fit.predict(axes.transform(asked.landmarks[wanted]))
        np.testing.assert_allclose(components[wanted], theirs, atol=1e-3)
        near = KNeighborsRegressor(4).fit(train.landmarks[rows], train.genes[rows])
        np.testing.assert_allclose(alike[wanted], near.predict(asked.landmarks[wanted]), atol=1e-4)


@pytest.mark.slow
def test_tissues_that_differ_need_to_be_given(people):
    train, asked = people
    told = {name: accuracy(told_by(name, train, asked), asked) for name in METHODS}
    assert told["ridge"] > 0.75
    assert told["one_ridge"] < told["ridge"] - 0.2
    assert 0.1 < told["dgex"] < told["ridge"] - 0.2
    assert told["mlp_on_ridge"] > told["ridge"] - 0.02


def test_network_tells_what_is_curved():
    train, asked = population(400, 3, curved=1.0), population(60, 4, curved=1.0)
    straight = accuracy(told_by("ridge", train, asked), asked)
    assert accuracy(told_by("mlp_on_ridge", train, asked), asked) > straight + 0.1


def test_network_is_silent_where_there_is_nothing_to_tell():
    rng = np.random.default_rng(5)
    train = population(60, 5)
    train = replace(train, genes=rng.standard_normal(train.genes.shape).astype(np.float32))
    how = SMALL.with_(dgex=SMALL.dgex.with_(learning_rate=1e-9, patience=1))
    told = told_by("dgex", train, population(5, 6), how)
    assert np.abs(told).max() < 1e-3


def test_choices_are_made_on_training_donors():
    train, asked = population(150, 7), population(40, 8)
    how = SMALL.with_(components=(1, 5))
    wide = told_by("pcr", train, asked, how)
    np.testing.assert_array_equal(wide, told_by("pcr", train, asked, SMALL.with_(components=(5,))))
    assert accuracy(wide, asked) > 0.7


def test_a_tissue_of_few_samples_is_told_by_its_mean(people):
    train, asked = people
    few = train.of(np.flatnonzero((train.tissue == 0) | (train.donor < 3)))
    for name in ("pcr", "nearest", "ridge"):
        assert not told_by(name, few, asked)[asked.tissue == 1].any()


def test_the_same_seed_gives_the_same_bits(people):
    train, asked = people
    first, again = (told_by("dgex", train, asked) for _ in range(2))
    np.testing.assert_array_equal(first, again)
