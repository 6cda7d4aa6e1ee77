"""Probes of planted codes."""

import anndata
import numpy as np
import pandas as pd
import pytest
from elsewhere import BLOOD, Elsewhere
from scipy import stats

from mtm.analyses.imputation.probes import _told, probe_codes, share_interval
from mtm.cohort.cohort import Cohort
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.imputation import Imputation
from mtm.settings.scaling import Scaling

ACCURACY = AccuracySettings(permutations=20, bootstraps=40)
SETTINGS = Imputation(methods=("gaussian",), random_features=100)


@pytest.fixture(scope="module")
def probed(tmp_path_factory):
    """Scores of codes that are the tissue, whose spread is, and that are the donor."""
    people = Elsewhere(tmp_path_factory.mktemp("probes"), "A", 80, seed=3)
    cohort = Cohort.read(*people.files)
    rng = np.random.default_rng(0)
    tissue, donor = cohort.tissue, cohort.donor
    noise = rng.standard_normal((cohort.n_samples, 6))
    states = np.random.default_rng(people.seed).standard_normal((80, 6))[donor]
    spread = np.array([0.1, 1.0, 10.0])[tissue]
    planted = {
        "pca": np.hstack([5 * np.eye(3)[tissue], noise[:, 3:]]),
        "vae": noise * spread[:, None],
        "minus_means": states + 0.1 * noise,
        "joint": np.zeros((cohort.n_samples, 6)),
    }
    folds = pd.Series(np.arange(80) % 2, cohort.donors.index)
    held_out = [folds.to_numpy()[donor] == number for number in (0, 1)]
    obs = pd.DataFrame(
        {"fold": np.repeat([0, 1], cohort.n_samples), "held_out": np.concatenate(held_out)}
    )
    obs.index = obs.index.astype(str)
    codes = anndata.AnnData(
        obs=obs, obsm={name: np.vstack([code, code]) for name, code in planted.items()}
    )
    table = probe_codes(cohort, folds, codes, BLOOD, SETTINGS, ACCURACY, Scaling(), "cpu")
    return table.set_index(["code", "target", "probe"])


def test_a_linear_probe_names_the_tissue_of_a_code_that_is_the_tissue(probed):
    assert probed["score"]["pca", "tissue", "linear"] == 1
    row = probed.loc[("pca", "tissue", "linear")]
    assert 0.95 < row["ci_low"] < row["ci_high"] <= 1
    assert row["chance"] == pytest.approx(80 / row["n_samples"])


def test_only_a_non_linear_probe_sees_a_spread(probed):
    scores = probed["score"]
    assert scores["vae", "tissue", "linear"] < 0.55
    assert scores["vae", "tissue", "non-linear"] > 0.65


def test_a_code_of_the_donor_tells_the_donor_and_other_tissues_but_not_the_tissue(probed):
    scores = probed["score"]
    assert scores["minus_means", "donor", "similarity"] > 0.99
    assert scores["minus_means", "tissue", "linear"] < 0.5
    assert scores["minus_means", "expression", "linear"] > 0.6
    assert abs(scores["vae", "donor", "similarity"] - 0.5) < 0.1
    assert abs(scores["pca", "expression", "linear"]) < 0.15


def test_a_code_of_nothing_tells_nothing(probed):
    scores = probed["score"]
    assert scores["joint", "donor", "similarity"] <= 0.5
    assert scores["joint", "expression", "linear"] == 0
    for probe in ("linear", "non-linear"):
        assert scores["joint", "tissue", probe] < 0.45


def test_without_a_donor_who_has_the_source_there_is_no_score_of_expression(tmp_path):
    cohort = Cohort.read(*Elsewhere(tmp_path, "A", 12, seed=3).files)
    folds = pd.Series(np.arange(12) % 2, cohort.donors.index)
    row = _told(cohort, folds, np.full_like(cohort.expr_tpm, np.nan), ACCURACY, Scaling(), "cpu")
    assert np.isnan(row["score"])
    assert (row["n_samples"], row["n_donors"]) == (0, 0)


def test_interval_of_a_share_takes_the_samples_of_a_donor_together():
    rng = np.random.default_rng(1)
    donor = np.repeat(np.arange(50), 4)
    alone = (rng.random(200) < 0.3).astype(float)
    together = np.repeat((rng.random(50) < 0.3).astype(float), 4)
    narrow, wide = (np.diff(share_interval(right, donor))[0] for right in (alone, together))
    assert 1.6 < wide / narrow < 2.4
    exact = np.diff(stats.binomtest(int(alone.sum()), 200).proportion_ci())[0]
    assert narrow == pytest.approx(exact, rel=0.2)
    low, high = share_interval(np.ones(200), donor)
    # Three in two hundred and more, as donors are fifty.
    assert 0.94 < low < 1 - 3 / 200
    assert high == 1
    assert np.isnan(share_interval(np.ones(3), np.zeros(3, int))).all()
