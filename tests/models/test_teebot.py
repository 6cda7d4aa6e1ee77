from dataclasses import replace

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LassoCV

from mtm.errors import InputError
from mtm.models.base import Requests, Training
from mtm.models.registry import build
from mtm.models.teebot import principal_axes
from mtm.settings.scaling import Scaling


def test_principal_axes_equal_scikit_learn():
    values = np.random.default_rng(0).normal(size=(15, 40)) * np.geomspace(1, 9, 40)
    axes = principal_axes(values, 4)
    expected = PCA(4, svd_solver="full").fit(values).components_
    np.testing.assert_allclose(np.abs(axes.T), np.abs(expected), atol=1e-9)
    assert principal_axes(values, 100).shape == (40, 14)
    assert principal_axes(np.ones((5, 3)), 2).shape == (3, 0)


@pytest.mark.slow
@pytest.mark.parametrize("standardise", [False, True])
def test_equals_the_recipe_with_scikit_learn(cohort, standardise):
    tight = {"tol": 1e-12, "max_iter": 10_000}
    parameters = {"n_components": 3, "min_pairs": 5, "standardise_genes": standardise} | tight
    model = build("teebot", parameters)
    blood, target = cohort.tissue_index("Whole Blood"), cohort.tissue_index("Lung")
    model.fit(Training(cohort, source=blood, scaling=Scaling(log2_clip=None), device="cpu"))
    sources = np.flatnonzero(cohort.tissue == blood)
    sources = sources[np.argsort(cohort.donor[sources])]
    target_rows = np.flatnonzero(cohort.tissue == target)
    predicted = model.predict(cohort, Requests(sources[:, None], np.full(len(sources), target)))

    values = np.log2(1 + cohort.expr_tpm[sources].astype(float))
    if standardise:
        values = (values - values.mean(0)) / values.std(0)
    scores = PCA(3, svd_solver="full").fit_transform(values)
    paired = scores[cohort.donor[target_rows]]
    observed_z = model.scaler.transform(cohort.expr_tpm[target_rows], cohort.tissue[target_rows])
    mean, sd = paired.mean(0), paired.std(0)
    for gene in range(cohort.n_genes):
        lasso = LassoCV(alphas=100, cv=5, **tight).fit((paired - mean) / sd, observed_z[:, gene])
        expected = lasso.predict((scores - mean) / sd)
        np.testing.assert_allclose(predicted[:, gene], expected, atol=2e-4)
    assert np.abs(predicted).max() > 0.3


def test_covariates_help_where_they_drive_expression(cohort):
    from dataclasses import replace

    female = (cohort.donors["sex"] == 2).to_numpy()[cohort.donor]
    blood = cohort.tissue_index("Whole Blood")
    expr_tpm = cohort.expr_tpm.copy()
    expr_tpm[:, 0] = np.where(female, 100, 5) + np.arange(len(female)) % 3
    expr_tpm[cohort.tissue == blood, 0] = 3
    cohort = replace(cohort, expr_tpm=expr_tpm)
    sources = np.flatnonzero(cohort.tissue == blood)
    requests = Requests(sources[:, None], np.full(len(sources), cohort.tissue_index("Lung")))
    rho = {}
    for columns in ((), ("sex", "absent")):
        model = build("teebot", {"covariate_columns": columns, "n_components": 2})
        model.fit(Training(cohort, source=blood))
        predicted = model.predict(cohort, requests)[:, 0]
        rho[columns] = np.nan_to_num(
            np.corrcoef(predicted + 1e-9 * np.arange(len(sources)), female[sources])[0, 1]
        )
    assert model.provenance.notes["covariates"] == ["sex"]
    assert rho["sex", "absent"] > 0.99 > rho[()] + 0.1


@pytest.mark.parametrize("parameters", [{"n_components": 0}, {"min_pairs": 4}])
def test_refuses_parameters(parameters):
    with pytest.raises(InputError, match=next(iter(parameters))):
        build("teebot", parameters)


def test_a_source_that_does_not_vary_tells_the_training_mean(cohort):
    source = cohort.tissue_index("Whole Blood")
    expr_tpm = np.where((cohort.tissue == source)[:, None], 0, cohort.expr_tpm)
    silent = replace(cohort, expr_tpm=expr_tpm)
    model = build("teebot")
    table = model.fit(Training(silent, source=source, device="cpu"))
    assert set(table["reason"]) == {"neither the source nor a covariate varies"}
    assert not model.fits
