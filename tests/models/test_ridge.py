from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge as SklearnRidge

from mtm.errors import InputError
from mtm.models.base import Requests, Training
from mtm.models.registry import build


def _wide(cohort, n_genes):
    """Repeat the cohort's genes with noise until there are more genes than donors."""
    rng = np.random.default_rng(1)
    picked = rng.integers(0, cohort.n_genes, n_genes)
    noise = np.exp2(0.5 * rng.normal(size=(cohort.n_samples, n_genes))).astype(np.float32)
    genes = pd.DataFrame(
        {"symbol": "G"}, index=pd.Index([f"g{i}" for i in range(n_genes)], name="gene_id")
    )
    return replace(cohort, expr_tpm=cohort.expr_tpm[:, picked] * noise, genes=genes)


def _fit_predict(cohort, parameters):
    blood, target = cohort.tissue_index("Whole Blood"), cohort.tissue_index("Lung")
    model = build("ridge", parameters)
    model.fit(Training(cohort, source=blood, device="cpu"))
    sources = np.flatnonzero(cohort.tissue == blood)
    sources = sources[np.argsort(cohort.donor[sources])]
    predicted = model.predict(cohort, Requests(sources[:, None], np.full(len(sources), target)))
    source_z = model.scaler.transform(cohort.expr_tpm[sources], cohort.tissue[sources])
    rows = np.flatnonzero(cohort.tissue == target)
    target_z = model.scaler.transform(cohort.expr_tpm[rows], cohort.tissue[rows])
    return model, predicted, source_z.astype(float), cohort.donor[rows], target_z.astype(float)


def _scikit_ridge(features, targets, paired, penalty):
    x = features[paired]
    alpha = penalty * ((x - x.mean(0)) ** 2).sum() / (len(x) - 1)
    return SklearnRidge(alpha=alpha).fit(x, targets).predict(features)


@pytest.mark.parametrize("n_genes", [8, 60])
def test_equals_scikit_learn_in_either_form(cohort, n_genes):
    cohort = _wide(cohort, n_genes)
    model, predicted, x, paired, y = _fit_predict(cohort, {"penalties": (0.7,)})
    assert ("source" in model.shared) == (n_genes == 60)
    np.testing.assert_allclose(predicted, _scikit_ridge(x, y, paired, 0.7), atol=1e-5)
    assert np.abs(predicted).max() > 0.3


def _design(donors):
    columns = [donors["sex"] == 2, donors["age"]]
    columns += [donors["hardy"] == level for level in sorted(donors["hardy"].unique())]
    raw = np.stack([np.asarray(column, float) for column in columns], axis=1)
    return (raw - raw.mean(0)) / raw.std(0)


@pytest.mark.parametrize("n_genes", [8, 60])
def test_covariates_together_are_further_columns(cohort, n_genes):
    cohort = _wide(cohort, n_genes)
    options = {"penalties": (0.7,), "covariates": "together"}
    _, predicted, x, paired, y = _fit_predict(cohort, options)
    features = np.hstack([x, _design(cohort.donors)])
    np.testing.assert_allclose(predicted, _scikit_ridge(features, y, paired, 0.7), atol=1e-5)


@pytest.mark.parametrize("n_genes", [8, 60])
def test_covariates_separate_come_first(cohort, n_genes):
    cohort = _wide(cohort, n_genes)
    options = {"penalties": (0.7,), "covariates": "separate"}
    _, predicted, x, paired, y = _fit_predict(cohort, options)
    first = _scikit_ridge(_design(cohort.donors), y, paired, 0.7)
    second = _scikit_ridge(x, y - first[paired], paired, 0.7)
    np.testing.assert_allclose(predicted, first + second, atol=1e-5)


@pytest.mark.parametrize("n_genes", [8, 60])
def test_reduced_rank_is_the_truncated_fit(cohort, n_genes):
    cohort = _wide(cohort, n_genes)
    _, full, _, paired, _ = _fit_predict(cohort, {})
    _, reduced, _, _, _ = _fit_predict(cohort, {"rank": 2})
    fitted = full[paired] - full[paired].mean(0)
    directions = np.linalg.svd(fitted.astype(float))[2][:2]
    mean = full[paired].mean(0)
    np.testing.assert_allclose(
        reduced, (full - mean) @ directions.T @ directions + mean, atol=1e-4
    )
    assert np.abs(reduced - full).max() > 1e-3


def test_penalties_choice_reaches_the_solver(cohort):
    per_gene = _fit_predict(cohort, {})[1]
    shared = _fit_predict(cohort, {"penalty_choice": "shared"})[1]
    assert np.abs(per_gene - shared).max() > 1e-3


@pytest.mark.parametrize(
    "parameters", [{"covariates": "some"}, {"rank": 0}, {"penalty_choice": "x"}]
)
def test_refuses_parameters(cohort, parameters):
    with pytest.raises(InputError, match=next(iter(parameters))):
        _fit_predict(cohort, parameters)
