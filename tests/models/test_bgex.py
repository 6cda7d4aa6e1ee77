from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import BayesianRidge

from mtm.errors import InputError
from mtm.models.base import Requests, Training
from mtm.models.bgex import variable_genes
from mtm.models.registry import build
from mtm.settings.scaling import Scaling


@pytest.fixture
def sources(cohort):
    """Row of each donor's blood sample; every donor has one."""
    blood = cohort.tissue_index("Whole Blood")
    rows = np.flatnonzero(cohort.tissue == blood)
    return rows[np.argsort(cohort.donor[rows])]


def test_variable_genes_are_expressed_and_vary_most():
    expr_tpm = np.array(
        [
            [0.0, 10, 1, 100, 5, 0],
            [9.0, 11, 4, 100, 5, 0],
            [3.0, 12, 9, 101, 9, 0],
            [1.0, 13, 1, 100, 5, 0],
        ]
    )
    log_expr = np.log(1 + expr_tpm[:, 1:5])
    order = 1 + np.argsort(-(log_expr.std(0, ddof=1) / log_expr.mean(0)))
    assert variable_genes(expr_tpm, 0.5, 1.0).tolist() == sorted(order[:2].tolist())
    assert variable_genes(expr_tpm, 0.3, 1.0).tolist() == sorted(order[:2].tolist())
    assert 0 in variable_genes(expr_tpm, 1.0, 0.75)
    assert 5 not in variable_genes(expr_tpm, 1.0, 0.75)


def test_equals_the_published_recipe_with_scikit_learn(cohort, sources):
    expressed = cohort.expr_tpm + 0.5
    cohort = replace(cohort, expr_tpm=expressed)
    model = build("bgex", {"n_features": 3, "top_fraction": 0.5, "min_pairs": 5})
    blood, target = cohort.tissue_index("Whole Blood"), cohort.tissue_index("Lung")
    model.fit(Training(cohort, source=blood, scaling=Scaling(log2_clip=None), device="cpu"))
    target_rows = np.flatnonzero(cohort.tissue == target)
    paired = sources[cohort.donor[target_rows]]
    predicted = model.predict(cohort, Requests(sources[:, None], np.full(len(sources), target)))

    x, y = (
        np.log1p(expressed[paired].astype(float)),
        np.log1p(expressed[target_rows].astype(float)),
    )
    all_x = np.log1p(expressed[sources].astype(float))
    top = np.argsort(-(x.std(0, ddof=1) / x.mean(0)))[:6]
    mean, sd = x[:, top].mean(0), x[:, top].std(0, ddof=1)
    expected = np.empty_like(predicted)
    scaler = model.scaler
    for gene in range(cohort.n_genes):
        z = (y[:, gene] - y[:, gene].mean()) / y[:, gene].std(ddof=1)
        features = (x[:, top] - mean) / sd
        best = np.argsort(-np.abs(features.T @ z))[:3]
        fit = BayesianRidge().fit(features[:, best], z)
        log_expr = fit.predict(((all_x[:, top] - mean) / sd)[:, best])
        log_expr = log_expr * y[:, gene].std(ddof=1) + y[:, gene].mean()
        expected[:, gene] = (log_expr / np.log(2) - scaler.mean[target, gene]) / scaler.sd[
            target, gene
        ]
    np.testing.assert_allclose(predicted, expected, atol=2e-5)
    assert np.abs(expected).max() > 0.5


def test_blocks_of_genes_do_not_change_the_fit(cohort, sources):
    requests = Requests(sources[:, None], np.zeros(len(sources), int))
    predicted = []
    for memory_mb in (1024, 0.001):
        model = build("bgex", {"top_fraction": 1.0, "min_pairs": 5, "memory_mb": memory_mb})
        model.fit(Training(cohort, source=cohort.tissue_index("Whole Blood")))
        predicted.append(model.predict(cohort, requests))
    np.testing.assert_allclose(predicted[0], predicted[1], atol=1e-5)


def test_without_an_expressed_source_gene_the_tissue_is_not_fitted(cohort, sources):
    blood = cohort.tissue_index("Whole Blood")
    expr_tpm = cohort.expr_tpm.copy()
    expr_tpm[cohort.tissue == blood] *= np.arange((cohort.tissue == blood).sum())[:, None] % 2
    cohort = replace(cohort, expr_tpm=expr_tpm)
    model = build("bgex", {"min_pairs": 5})
    table = model.fit(Training(cohort, source=blood))
    assert table["reason"].str.contains("expressed").all()
    assert (table["n_genes_fitted"] == 0).all()
    requests = Requests(sources[:, None], np.zeros(len(sources), int))
    assert (model.predict(cohort, requests) == 0).all()


@pytest.mark.parametrize("parameters", [{"top_fraction": 0}, {"n_features": 0}])
def test_refuses_parameters(parameters):
    with pytest.raises(InputError, match=next(iter(parameters))):
        build("bgex", parameters)
