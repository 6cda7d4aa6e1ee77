"""Reliability of genes against what further people show, and the whole pass over a cohort."""

import numpy as np
import pandas as pd
import pytest

from mtm.analyses.accuracy.score import score_predictions
from mtm.analyses.intervals.reliability import reliability, reliability_class
from mtm.analyses.intervals.score import calibrate_intervals
from mtm.predictions.held_out import read_held_out
from mtm.predictions.tissues import tissues
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.intervals import IntervalSettings
from mtm.vocabulary import RELIABILITY

SETTINGS = IntervalSettings()
ACCURACY = AccuracySettings(permutations=100, bootstraps=20)


def held_out(cohort, predicted):
    cohort.write()
    files = cohort.write_predictions(predicted, "log2_z")
    folder = cohort.folder
    return read_held_out(folder / "expression.h5ad", folder / "folds.tsv", files)


@pytest.fixture
def shares(make_cohort):
    """A cohort whose genes are predicted with known correlations, from 0 to 0.9."""
    cohort = make_cohort(n_donors=150, n_genes=300, targets=("Liver", "Lung"), seed=3)
    rng = np.random.default_rng(5)
    rho = np.repeat([0, 0, 0, 0.2, 0.5, 0.8], 50)
    observed = cohort.observed_z("log2_z")
    predicted = rho * observed + np.sqrt(1 - rho**2) * rng.standard_normal(observed.shape)
    return cohort, predicted, rho


def test_intervals_hold_the_planted_correlation_and_classes_say_what_to_expect(shares):
    cohort, predicted, rho = shares
    held = held_out(cohort, predicted)
    gene_wise = score_predictions(held, "m", ACCURACY, learned=False).gene_wise
    tables = [reliability(t, gene_wise, SETTINGS, ACCURACY, False) for t in tissues(held)]
    table = pd.concat(tables).assign(truth=np.tile(rho, 2))
    inside = (table["ci_low"] <= table["truth"]) & (table["truth"] <= table["ci_high"])
    assert 0.92 <= inside.mean() <= 0.98
    by_class = table.groupby("reliability")["truth"].mean()[list(RELIABILITY)]
    assert by_class.is_monotonic_increasing
    assert by_class["none"] < 0.1
    assert by_class["high"] > 0.5
    # Drawn to the mean, as the best are so by chance in part.
    best = table[table["truth"] == 0.2].nlargest(10, "rho")
    assert (best["expected_rho"] < best["rho"]).all()
    error = table["expected_rho"] - table["truth"], table["rho"] - table["truth"]
    assert np.square(error[0]).mean() < np.square(error[1]).mean()


def test_folds_that_learn_from_each_other_draw_what_to_expect_to_the_mean(
    shares,
):
    held = held_out(*shares[:2])
    gene_wise = score_predictions(held, "m", ACCURACY).gene_wise
    tissue = next(tissues(held))
    alone, coupled = (reliability(tissue, gene_wise, SETTINGS, ACCURACY, w) for w in (False, True))
    pd.testing.assert_frame_equal(alone[["ci_low", "ci_high"]], coupled[["ci_low", "ci_high"]])
    assert coupled["expected_rho"].std() < alone["expected_rho"].std()


def test_thresholds():
    settings = IntervalSettings(high_rho=0.5, moderate_rho=0.3, low_rho=0.1, reliable_q=0.05)
    expected = np.array([0.05, 0.1, 0.29, 0.3, 0.5, 0.9, np.nan, 0.9])
    q = np.array([0.01] * 5 + [0.05, 0.01, 0.049])
    classes = ["none", "low", "low", "moderate", "high", "none", "none", "high"]
    assert list(reliability_class(expected, q, settings)) == classes


def test_one_pass_gives_every_gene_and_level(make_cohort, noisy):
    cohort = make_cohort(n_donors=160, n_folds=2)
    predicted = noisy(cohort)
    # One fold is held out, the other always trained on.
    cohort.n_folds, cohort.fold_of = 1, -cohort.fold_of
    held = held_out(cohort, predicted)
    gene_wise = score_predictions(held, "m", ACCURACY).gene_wise
    done = calibrate_intervals(held, gene_wise, "m", SETTINGS, ACCURACY)
    assert list(done.genes[["tissue", "gene_id"]].itertuples(index=False, name=None)) == [
        (tissue, gene) for tissue in cohort.targets for gene in cohort.genes
    ]
    assert done.genes["sd"].between(1, 2).all()
    assert done.genes.groupby(["tissue", "expression"]).size().eq(4).all()
    assert done.quantiles.groupby("tissue").size().eq(9).all()
    # Donors of the only fold were judged by calibrations without them.
    whole = done.coverage[done.coverage["tissue"].str.startswith("(")]
    whole = whole[whole["by"] == "all"]
    assert (whole["coverage"] - whole["level"]).abs().max() < 0.05
    assert (whole["width_ratio"] > 1.1).all()


def test_a_model_s_own_sd_is_read_beside_its_predictions(make_cohort, noisy):
    import h5py

    cohort = make_cohort()
    held = held_out(cohort, noisy(cohort))
    assert held.predicted_sd(held.rows) is None
    for number, path in enumerate(held.predictions):
        with h5py.File(path, "r+") as file:
            file["layers/sd"] = np.full(file["X"].shape, 2.0 + number, np.float32)
    sd = held.predicted_sd(held.rows)
    np.testing.assert_array_equal(sd[:, 0], 2 + held.rows["fold"])
    gene_wise = score_predictions(held, "m", ACCURACY).gene_wise
    done = calibrate_intervals(held, gene_wise, "m", SETTINGS, ACCURACY)
    assert done.genes["sd"].between(0.3, 0.8).all()
