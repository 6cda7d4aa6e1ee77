"""Calibration against brute force, and against people who are in no table."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from cohorts import simulated_cohort
from scipy import stats

from mtm.analyses.intervals.calibration import (
    N_CELLS,
    Residuals,
    interval_quantiles,
    score_tissue,
)
from mtm.analyses.intervals.coverage import coverage_table
from mtm.models.base import Requests, Training
from mtm.models.registry import build
from mtm.settings.intervals import IntervalSettings
from mtm.statistics.moderation import VariancePrior
from mtm.vocabulary import TERTILES

SETTINGS = IntervalSettings()


def residuals(
    n_samples=60, n_genes=90, seed=0, tissue="Lung", own_sd=None, n_sources=1, scale=1.0
):
    rng = np.random.default_rng(seed)
    sds = np.sqrt(12 / rng.chisquare(12, n_genes))
    values = (sds * rng.standard_normal((n_samples, n_genes))).astype(np.float32)
    rows = pd.DataFrame({"donor": [f"D{i:03d}" for i in range(n_samples)], "n_sources": 1})
    return Residuals(tissue, rows, values, own_sd, np.arange(n_genes) % len(TERTILES))


def groups(given, n_groups=3):
    return np.arange(len(given.values)) % n_groups


def test_each_calibration_is_as_if_the_others_were_not_there():
    given = residuals()
    group = groups(given)
    scores = score_tissue(given, group, 3)
    for number in range(3):
        values = given.values[group != number].astype(float)
        squares, n = (values**2).sum(0), len(values)
        prior = VariancePrior.of(squares / n, n)
        expected = np.sqrt(prior.moderated(squares, n))
        np.testing.assert_allclose(scores.sd[number], expected, rtol=1e-5)
        # Scored without the sample itself.
        others = np.stack([(np.delete(values, i, 0) ** 2).sum(0) for i in range(n)])
        score = np.abs(values) / np.sqrt(prior.moderated(others, n - 1))
        for place in range(3):
            below = (
                score[:, given.tertile == place] / (1 + score[:, given.tertile == place])
            ) < 0.5
            assert scores.cumulated[number, place, N_CELLS // 2] == pytest.approx(below.mean())
        # Another residual of the judged samples changes nothing.
        moved = given.values.copy()
        moved[group == number] *= 7
        again = score_tissue(replace(given, values=moved), group, 3)
        np.testing.assert_array_equal(again.sd[number], scores.sd[number])
        np.testing.assert_array_equal(again.cumulated[number], scores.cumulated[number])
        assert (again.sd[3] > scores.sd[3]).all()


def test_coverage_and_width_are_those_of_the_intervals_themselves():
    own_sd = np.random.default_rng(4).uniform(0.5, 2, (60, 90)).astype(np.float32)
    given = residuals(own_sd=own_sd)
    group = groups(given)
    scores = score_tissue(given, group, 3)
    quantiles = interval_quantiles([scores], SETTINGS.levels, SETTINGS.common_donors)[0]
    half = quantiles[group][:, given.tertile, 2] * scores.sd[group] * own_sd
    held = np.abs(given.values * own_sd) <= half
    covered = scores.covered(quantiles[..., 2])
    for place in range(3):
        mine = given.tertile == place
        np.testing.assert_allclose(covered[:, place], held[:, mine].mean(1), atol=1 / mine.sum())
        unit = quantiles[group, place, 2] * scores.unit[:, place]
        np.testing.assert_allclose(unit, half[:, mine].mean(1), rtol=1e-5)
    table = coverage_table("m", [scores], [scores], SETTINGS)
    row = table[(table["tissue"] == "Lung") & (table["level"] == 0.9)].iloc[0]
    assert row["coverage"] == pytest.approx(held.mean(), abs=0.002)
    assert row["width"] == pytest.approx(2 * half.mean(), rel=1e-5)
    assert row["width_ratio"] == 1
    assert row["ci_low"] < 0.9 < row["ci_high"]


def test_quantiles_of_normal_residuals_are_normal_and_allow_for_one_more_sample():
    scores = score_tissue(residuals(n_samples=400, n_genes=600), np.zeros(400, int), 1)
    quantiles = interval_quantiles([scores], (0.5, 0.9), 100)[0, -1]
    expected = stats.norm.ppf((1 + np.array([0.5, 0.9]) * 501 / 500) / 2)
    np.testing.assert_allclose(quantiles, np.broadcast_to(expected, (3, 2)), rtol=0.03)


def test_a_small_tissue_leans_on_all_others():
    def heavy(seed):
        rng = np.random.default_rng(seed)
        given = residuals(n_samples=12, tissue="Small")
        return replace(given, values=rng.standard_t(2.2, given.values.shape).astype(np.float32))

    many = [score_tissue(residuals(200, seed=s), np.zeros(200, int), 1) for s in range(4)]
    small = score_tissue(heavy(9), np.zeros(12, int), 1)
    alone, shared = (
        interval_quantiles([*many, small], (0.5,), weight)[-1, -1] for weight in (10.0, 1e6)
    )
    normal = interval_quantiles(many, (0.5,), 10.0)[0, -1]
    assert (np.abs(shared - normal) < np.abs(alone - normal)).all()
    # Twenty-two samples cannot tell where 99% of the next ones lie.
    assert (interval_quantiles([small], (0.9, 0.99), 10.0)[0, -1] > [[1, 1000]]).all()


def test_genes_that_never_vary_are_neither_calibrated_nor_judged():
    given = residuals()
    given.values[:, given.tertile == 1] = 0
    given.values[:, 0] = 0
    scores = score_tissue(given, groups(given), 3)
    assert scores.n_genes.tolist() == [29, 0, 30]
    assert np.isnan(scores.sd[:, 0]).all()
    table = coverage_table("m", [scores], [scores], SETTINGS)
    assert set(table.loc[table["by"] == "expression", "group"]) == {"low", "high"}
    assert table["coverage"].between(0.45, 0.95).all()


def test_own_sds_carry_over_to_people_with_other_sources():
    n_sources = np.repeat([1, 12], 60)
    truth = np.where(n_sources == 1, 1.4, 0.7)[:, None] * np.ones((1, 90))
    plain = residuals(n_samples=120)
    errors = (plain.values * truth).astype(np.float32)
    rows = plain.rows.assign(n_sources=n_sources)
    given = replace(plain, rows=rows, own_sd=truth.astype(np.float32))
    blind = replace(given, values=errors, own_sd=None)
    found = {}
    for name, one in {"own": given, "blind": blind}.items():
        scores = score_tissue(one, groups(one), 3)
        table = coverage_table("m", [scores], [scores], SETTINGS)
        rows = table[(table["by"] == "sources") & (table["level"] == 0.9)]
        found[name] = rows.set_index("group")["coverage"]
    assert found["own"].between(0.88, 0.92).all()
    assert found["blind"]["1"] < 0.85
    assert found["blind"]["10 and more"] > 0.95


def predict(model, cohort, tissue):
    """Return predictions from blood and observations, on the model's scale."""
    rows = np.flatnonzero(cohort.tissue == tissue)
    source = cohort.row_of()[cohort.donor[rows], cohort.tissue_index("Whole Blood")]
    predicted = model.predict(cohort, Requests(source[:, None], np.full(len(rows), tissue)))
    return predicted, model.scaler.transform(cohort.expr_tpm[rows], cohort.tissue[rows]), rows


def fitted(cohort, donors):
    model = build("ridge")
    training = cohort.of_donors(cohort.donors.index[donors])
    model.fit(Training(training, source=cohort.tissue_index("Whole Blood"), device="cpu"))
    return model


def test_cross_validation_tells_the_coverage_of_people_who_are_in_no_fold():
    """Folds' models have seen the donors on whom other folds are judged: it does not matter."""
    everyone = simulated_cohort(n_donors=400, n_genes=60, keep=0.9, seed=3)
    cohort = everyone.of_donors(everyone.donors.index[:80])
    fresh = everyone.of_donors(everyone.donors.index[80:])
    fold = np.arange(len(cohort.donors)) % 4
    models = [fitted(cohort, fold != number) for number in range(4)]
    final = fitted(cohort, fold >= 0)
    scores, judged = [], []
    for tissue in range(3):
        rows = np.flatnonzero(cohort.tissue == tissue)
        values, group = np.empty((len(rows), 60), np.float32), fold[cohort.donor[rows]]
        for number, model in enumerate(models):
            predicted, observed, _ = predict(model, cohort, tissue)
            values[group == number] = (observed - predicted)[group == number]
        of_rows = pd.DataFrame({"donor": cohort.donors.index[cohort.donor[rows]], "n_sources": 1})
        given = Residuals(cohort.tissues[tissue], of_rows, values, None, np.arange(60) % 3)
        scores.append(score_tissue(given, group, 4))
        judged.append(np.subtract(*predict(final, fresh, tissue)[:2]))
    quantiles = interval_quantiles(scores, SETTINGS.levels, SETTINGS.common_donors)[:, -1]
    table = coverage_table("ridge", scores, scores, SETTINGS)
    told = table[(table["by"] == "all") & table["tissue"].str.startswith("(")]
    for index, level in enumerate(SETTINGS.levels):
        half = [
            q[np.arange(60) % 3, index] * one.sd[-1]
            for q, one in zip(quantiles, scores, strict=True)
        ]
        held = [(np.abs(left) <= h).mean() for left, h in zip(judged, half, strict=True)]
        assert np.mean(held) == pytest.approx(level, abs=0.025)
        assert told["coverage"].iloc[index] == pytest.approx(np.mean(held), abs=0.025)
