from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from cohorts import simulated_cohort
from sklearn.linear_model import Ridge as SklearnRidge

from mtm.errors import InputError
from mtm.models.base import Requests, Training
from mtm.models.registry import build, load
from mtm.predictions.monitoring import held_out_accuracy


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
def test_own_penalty_weighs_two_kernels_of_one_mean_eigenvalue(cohort, n_genes, tmp_path):
    cohort = _wide(cohort, n_genes)
    options = {"penalties": (0.7,), "covariates": "own_penalty", "covariate_weights": (5.0,)}
    model, predicted, x, paired, y = _fit_predict(cohort, options)
    blocks = []
    for block, weight in ((x, 1), (_design(cohort.donors), 5)):
        variance = ((block[paired] - block[paired].mean(0)) ** 2).sum() / (len(paired) - 1)
        blocks.append(block * np.sqrt(weight / variance))
    expected = _scikit_ridge(np.hstack(blocks), y, paired, 0.7)
    np.testing.assert_allclose(predicted, expected, atol=1e-5)
    without = _fit_predict(cohort, {"penalties": (0.7,)})[1]
    assert np.abs(predicted - without).max() > 0.1
    model.save(tmp_path / "bundle")
    fit = load(tmp_path / "bundle").fits[cohort.tissue_index("Lung")]
    assert fit["covariate_weight"] == 5


def _planted(effect, seed):
    """300 donors, 2,000 genes; in the lung every covariate moves every gene by `effect`."""
    cohort = simulated_cohort(300, 2000, 2, seed, keep=1)
    rng = np.random.default_rng(seed)
    lung = cohort.tissue == cohort.tissue_index("Lung")
    change = 2 * rng.normal(size=(300, 2000))
    columns = _design(cohort.donors)[cohort.donor[lung]]
    change += effect * columns @ rng.normal(size=(columns.shape[1], 2000))
    cohort.expr_tpm[lung] *= np.exp2(change).astype(np.float32)
    return cohort


def _held_out_rho(cohort, covariates, **options):
    """Fit on 200 donors; return mean rho of genes on 100 others, and the lung's weight."""
    lung, blood = cohort.tissue_index("Lung"), cohort.tissue_index("Whole Blood")
    model = build("ridge", {"covariates": covariates} | options)
    training = cohort.of_donors(cohort.donors.index[:200])
    table = model.fit(Training(training, source=blood, device="cpu")).set_index("tissue")
    rows = cohort.row_of()[200:]
    predicted = model.predict(cohort, Requests(rows[:, [blood]], np.full(100, lung)))
    observed = model.scaler.transform(cohort.expr_tpm[rows[:, lung]], np.full(100, lung))
    accuracy = held_out_accuracy(predicted, observed, np.full(100, lung))
    return accuracy["gene_wise"], table.loc["Lung", "covariate_weight"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_own_penalty_finds_covariates_beside_thousands_of_genes(seed):
    cohort = _planted(0.4, seed)
    none, together, own = (
        _held_out_rho(cohort, kind) for kind in ("none", "together", "own_penalty")
    )
    # Seeds 0 to 9: 0.14 to 0.17 above `together`, 0.18 to 0.21 above `none`.
    assert own[0] > together[0] + 0.1
    assert own[0] > none[0] + 0.1
    assert own[1] > 100 * together[1]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_own_penalty_equals_ridge_where_covariates_carry_nothing(seed):
    cohort = _planted(0.0, seed)
    none, own = (_held_out_rho(cohort, kind)[0] for kind in ("none", "own_penalty"))
    assert none > 0.2
    assert own == pytest.approx(none, abs=0.005)


@pytest.mark.parametrize("n_genes", [8, 60])
def test_covariates_that_do_not_vary_leave_the_ridge_as_it_is(cohort, n_genes):
    cohort = _wide(cohort, n_genes)
    options = {"covariates": "own_penalty", "covariate_columns": ("sex", "hardy", "unknown")}
    of_lung = np.isin(
        np.arange(len(cohort.donors)), cohort.donor[cohort.tissue == cohort.tissue_index("Lung")]
    )
    expected = _fit_predict(cohort, {})[1]
    for sex in (1, np.where(of_lung, 1, 2)):
        cohort.donors["sex"], cohort.donors["hardy"] = sex, 0.0
        model, predicted = _fit_predict(cohort, options)[:2]
        assert len(model.provenance.notes["covariates"]) == np.ptp(sex)
        np.testing.assert_allclose(predicted[of_lung], expected[of_lung], atol=1e-5)


@pytest.mark.parametrize("covariates", ["none", "own_penalty"])
@pytest.mark.parametrize("n_genes", [8, 60])
def test_reduced_rank_is_the_truncated_fit(cohort, n_genes, covariates):
    cohort = _wide(cohort, n_genes)
    options = {"covariates": covariates, "covariate_weights": (1.0,)}
    _, full, _, paired, _ = _fit_predict(cohort, options)
    _, reduced, _, _, _ = _fit_predict(cohort, options | {"rank": 2})
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
    "parameters",
    [{"covariates": "some"}, {"covariate_weights": (-1.0,)}, {"rank": 0}, {"penalty_choice": "x"}],
)
def test_refuses_parameters(cohort, parameters):
    with pytest.raises(InputError, match=next(iter(parameters))):
        _fit_predict(cohort, parameters)
