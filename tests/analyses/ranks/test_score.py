"""What is told of held-out donors: planted classes, and nothing of theirs in what is fitted."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from cohorts import SOURCE, simulated_cohort

from mtm.analyses.ranks.encoder import Encoder, save
from mtm.analyses.ranks.score import _Known, score_ranks
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.ranks import Ranks
from mtm.settings.scaling import Scaling
from mtm.vocabulary import BLOOD_TO_TISSUE, COMPONENTS, PERPLEXITY, PROBE, UNIGRAM

N_DONORS, N_GENES = 60, 12
SETTINGS = Ranks(epochs=1, layers=1, width=8, heads=2, components=5, probes=("sex", "hardy"))
ACCURACY = AccuracySettings(permutations=20, bootstraps=20)


@pytest.fixture
def cohort():
    """Sex is what moves six genes against the others."""
    cohort = simulated_cohort(N_DONORS, N_GENES, 3, keep=1.0)
    sex = np.tile([1, 2], N_DONORS // 2)
    cohort.donors["sex"] = sex
    expr_log2 = np.random.default_rng(1).normal(8, 0.3, cohort.expr_tpm.shape)
    expr_log2[:, :6] += (sex[cohort.donor] == 2)[:, None]
    cohort.expr_tpm[:] = np.exp2(expr_log2)
    return cohort


@pytest.fixture
def folds(cohort):
    return pd.Series(np.arange(N_DONORS) // 2 % 2, cohort.donors.index)


def scored(cohort, folds, tmp_path):
    paths = {}
    for fold in (0, 1):
        torch.manual_seed(fold)
        paths[fold] = tmp_path / f"{fold}.safetensors"
        save(Encoder(N_GENES, N_GENES, SETTINGS), list(cohort.genes.index), paths[fold])
    return score_ranks(
        cohort, folds, paths, SOURCE, SETTINGS, ACCURACY, Scaling(), "cpu"
    ).set_index(["part", "input", "target"])


def test_components_tell_planted_classes_and_no_probe_tells_what_was_taken_off(
    cohort, folds, tmp_path
):
    table = scored(cohort, folds, tmp_path)
    assert set(table.loc[PROBE].reset_index()["target"]) == {"sex", "hardy"}
    assert table.loc[(PROBE, COMPONENTS, "sex"), "score"] > 0.95
    # Noise has no share of the five classes.
    row = table.loc[(PROBE, COMPONENTS, "hardy")]
    assert row["chance"] == 0.2
    assert row["ci_low"] < 0.2 < row["ci_high"]
    # Two genes of twelve are masked, and all are in every sentence.
    assert table.loc[(PERPLEXITY, UNIGRAM, "masked gene"), "score"] == pytest.approx(2)
    told = table.loc[BLOOD_TO_TISSUE]
    assert (told.loc[COMPONENTS, "score"] > 0.3).all()


def test_a_class_has_one_number_in_all_folds(cohort):
    donors = cohort.donors.assign(hardy=np.where(np.arange(N_DONORS) < 20, 3.0, 4.0))
    donors.loc[donors.index[0], "hardy"] = 0.0
    known = _Known(replace(cohort, donors=donors), SETTINGS)
    rows = np.arange(cohort.n_samples)
    labels = [dict(known._targets(rows, cohort.donor % 2 == fold))["hardy"] for fold in (0, 1)]
    np.testing.assert_array_equal(*labels)
