"""The classifier of disease status: references by scikit-learn and by hand, planted truth."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.linear_model import LassoCV
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from mtm.analyses.disease.status_classifier import (
    GeneChoice,
    auroc,
    choose_penalty,
    cross_validate,
    run_tasks,
    standardised,
    tasks,
)
from mtm.settings.disease_status import ClassifierSettings
from mtm.statistics.testing import benjamini_hochberg

QUICK = ClassifierSettings(
    n_folds=4, repeats=2, inner_folds=3, n_penalties=8, patience=3, permutations=2, halvings=4
)


def two_groups(n=120, p=60, effect=1.0, seed=0):
    """Draw expression of two groups that differ in five genes."""
    rng = np.random.default_rng(seed)
    case = rng.permutation(np.arange(n) < 0.4 * n)
    values = rng.standard_normal((n, p)).astype(np.float32)
    values[case, :5] += effect
    return values, case


def test_auroc_is_scikit_learns_with_ties():
    rng = np.random.default_rng(1)
    score, case = rng.integers(0, 6, 40).astype(float), rng.random(40) < 0.4
    assert auroc(score, case) == pytest.approx(roc_auc_score(case, score))
    assert np.isnan(auroc(score, np.zeros(40, bool)))


def test_penalty_is_that_of_lasso_cv_on_the_same_path():
    values, case = two_groups(n=90, effect=0.7)
    rows = np.arange(90)
    x = np.asfortranarray(standardised(values, rows), np.float32)
    y = np.where(case, 1, -1).astype(np.float32)
    settings = ClassifierSettings(n_penalties=30, patience=30)
    penalty, tried = choose_penalty(x, y, settings, seed=4)
    splits = StratifiedKFold(4, shuffle=True, random_state=4).split(x, y)
    reference = LassoCV(eps=0.01, alphas=30, cv=splits).fit(x.astype(float), y.astype(float))
    assert tried == 30
    step = 0.01 ** (1 / 29)
    assert step - 1e-6 <= penalty / reference.alpha_ <= 1 / step + 1e-6
    early, fewer = choose_penalty(x, y, ClassifierSettings(n_penalties=30, patience=8), seed=4)
    assert fewer < tried
    assert early == penalty


def test_constant_genes_are_zero_and_training_rows_alone_set_the_scale():
    values = np.column_stack([np.full(6, 3.0), [1, 2, 3, 4, 100, -100]]).astype(np.float32)
    x = standardised(values, np.arange(4))
    assert (x[:, 0] == 0).all()
    expected = (values[:, 1] - 2.5) / np.std([1, 2, 3, 4])
    np.testing.assert_allclose(x[:, 1], expected, rtol=1e-6)


@pytest.mark.slow
def test_planted_status_is_found_and_permuted_labels_are_at_chance():
    values, case = two_groups()
    noise = np.random.default_rng(5).standard_normal(values.shape).astype(np.float32)
    settings = ClassifierSettings(
        n_folds=5, repeats=2, inner_folds=3, n_penalties=15, patience=5, permutations=10
    )
    wanted = list(tasks(case, np.empty((0, len(case)), bool), settings))
    inputs = {"telling": values, "noise": noise}
    runs = run_tasks(wanted, inputs, GeneChoice(np.ones(60, bool)), settings)
    told = pd.DataFrame([run.auroc(t.case) for t, run in zip(wanted, runs, strict=True)])
    means, null = told[:2].mean(), told[2:]
    assert means["telling"] > 0.8
    # 2.5 standard errors of an auROC of 48 cases and 72 controls without any information.
    chance = 2.5 * np.sqrt(121 / (12 * 48 * 72))
    assert abs(means["noise"] - 0.5) < chance
    assert (abs(null.mean() - 0.5) < chance / np.sqrt(len(null)) * 1.5).all()
    assert (abs(null - 0.5) < 1.7 * chance).all().all()


def test_every_input_sees_the_same_stratified_folds_and_repeats_differ():
    values, case = two_groups(n=50, p=10)
    choice = GeneChoice(np.ones(10, bool))
    runs = [
        cross_validate({"a": values, "b": values}, case, choice, QUICK, (0, 0, number))
        for number in range(2)
    ]
    for run in runs:
        np.testing.assert_array_equal(run.score["a"], run.score["b"])
        cases = [case[run.test_fold == fold].sum() for fold in range(4)]
        assert sorted(cases) == [5, 5, 5, 5]
    assert (runs[0].test_fold != runs[1].test_fold).any()
    again = run_tasks(
        list(tasks(case, np.empty((0, 50), bool), QUICK)), {"a": values}, choice, QUICK
    )
    np.testing.assert_array_equal(again[0].score["a"], runs[0].score["a"])


def test_auroc_is_the_mean_over_folds_not_pooled():
    values, case = two_groups(n=48, p=8)
    run = cross_validate({"a": values}, case, GeneChoice(np.ones(8, bool)), QUICK, (0,))
    folds = [run.test_fold == fold for fold in range(4)]
    by_fold = [roc_auc_score(case[rows], run.score["a"][rows]) for rows in folds]
    assert run.auroc(case)["a"] == pytest.approx(np.mean(by_fold))


def test_nested_genes_are_those_predictable_over_the_training_donors():
    rng = np.random.default_rng(3)
    observed = rng.standard_normal((60, 30))
    predicted = observed + np.linspace(0.3, 5, 30) * rng.standard_normal((60, 30))
    predicted[:, 4], observed[:, 5] = 1.0, 2.0
    fold = np.repeat([0, 1, 2], 20)
    training = np.sort(rng.permutation(60)[:45])
    choice = GeneChoice(None, predicted, observed, fold, 0.3, 0.05, 5)
    total_z, total, sizes = np.zeros(30), 0, []
    for index in range(3):
        rows = training[fold[training] == index]
        sizes.append(len(rows))
        rho = np.array([
            0.0 if np.ptp(predicted[rows, g]) == 0 or np.ptp(observed[rows, g]) == 0
            else stats.pearsonr(predicted[rows, g], observed[rows, g]).statistic
            for g in range(30)
        ])  # fmt: skip
        total_z, total = total_z + (len(rows) - 3) * np.arctanh(rho), total + len(rows) - 3
    mean_z = total_z / total
    mean_z[5] = np.nan
    # Of two folds of donors, this share of what a fold's sum is of stands in the other's.
    odds = np.sqrt(sizes) / np.sqrt(60 - np.array(sizes))
    root = np.sqrt(np.array(sizes) - 3)
    shared = np.outer(odds, odds) + np.diag(1 - odds**2)
    total /= root @ shared @ root / total
    p = np.where(np.isnan(mean_z), np.nan, stats.norm.sf(mean_z * total**0.5))
    q = benjamini_hochberg(p)
    expected = np.flatnonzero((np.tanh(mean_z) > 0.3) & (q < 0.05))
    assert 3 < len(expected) < 25
    np.testing.assert_array_equal(choice.of(training), expected)
    held_out = np.setdiff1d(np.arange(60), training)
    predicted[held_out] = 100 * rng.standard_normal((15, 30))
    np.testing.assert_array_equal(choice.of(training), expected)


def test_a_gene_that_one_donor_of_a_fold_expresses_is_not_chosen_for_it():
    # As of accuracy (methods 6.2): one coincidence of two donors would be a rho of 1.
    rng = np.random.default_rng(5)
    observed, predicted = rng.standard_normal((2, 60, 6))
    predicted[:, 0] = observed[:, 0]
    fold = np.repeat([0, 1, 2], 20)
    for side in (observed, predicted):
        side[:, 1:3] = -0.3
    # Gene 1 is expressed by one donor of each fold, gene 2 by two.
    observed[[3, 25, 47], 1] = predicted[[3, 25, 47], 1] = 4
    some = [3, 12, 25, 31, 47, 58]
    observed[some, 2] = predicted[some, 2] = 4
    choice = GeneChoice(None, predicted, observed, fold, 0.3, 0.05, 5)
    assert choice.of(np.arange(60)).tolist() == [0, 2]
