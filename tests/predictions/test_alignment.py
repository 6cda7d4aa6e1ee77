from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from people import BLOOD

from mtm.cohort.cohort import Cohort
from mtm.errors import InputError
from mtm.models.base import Training
from mtm.models.registry import build
from mtm.predictions.alignment import align_to_training
from mtm.predictions.gene_overlap import GeneOverlap
from mtm.predictions.samples import NewSamples, Source

N_GENES, N_TRAINING = 300, 80
OVERLAP = GeneOverlap(N_GENES, N_GENES, N_GENES, 0)


def blood_log2(n, seed):
    """Log2(1+TPM) of people whose genes go together."""
    rng = np.random.default_rng(seed)
    level = np.random.default_rng(0).uniform(2, 10, N_GENES)
    loadings = np.random.default_rng(1).normal(0, 0.25, (10, N_GENES))
    return level + rng.normal(size=(n, 10)) @ loadings + rng.normal(0, 0.3, (n, N_GENES))


@pytest.fixture(scope="module")
def model():
    donors = [f"D{i}" for i in range(N_TRAINING)]
    cohort = Cohort(
        (2 ** blood_log2(N_TRAINING, 2) - 1).astype(np.float32),
        pd.DataFrame(index=donors),
        np.arange(N_TRAINING),
        np.zeros(N_TRAINING, np.int64),
        pd.DataFrame(index=donors),
        (BLOOD,),
        pd.DataFrame({"symbol": "x"}, index=[f"g{i}" for i in range(N_GENES)]),
    )
    fitted = build("same_gene")
    fitted.fit(Training(cohort, source=0, device="cpu"))
    return fitted


def new(expr_log2):
    n = len(expr_log2)
    source = Source("new.tsv", BLOOD, np.arange(n), OVERLAP)
    values = np.maximum(2**expr_log2 - 1, 0).astype(np.float32)
    return NewSamples(values, pd.DataFrame({"tissue": [BLOOD] * n}), (source,))


def aligned(model, samples, method):
    """Align a copy."""
    copy = replace(samples, expr_tpm=samples.expr_tpm.copy())
    return copy, *align_to_training(model, copy, method)


def error(model, samples, truth):
    """Mean square difference from what the training's laboratory would have found."""
    tissue = np.zeros(len(truth), np.int64)
    return ((model.scaler.transform(samples.expr_tpm, tissue)
             - model.scaler.transform(new(truth).expr_tpm, tissue)) ** 2).mean()  # fmt: skip


@pytest.mark.parametrize(("n", "left"), [(5, 0.35), (20, 0.15), (60, 0.08)])
def test_a_laboratory_s_shift_is_taken_away_the_more_people_the_better(model, n, left):
    truth = blood_log2(n, 3)
    shifted = new(truth + np.random.default_rng(4).normal(0.3, 0.7, N_GENES))
    before = error(model, shifted, truth)
    for method in ("shift", "combat"):
        told, moved = aligned(model, shifted, method)
        assert error(model, told, truth) < left * before
        assert moved.method == method
        assert moved.distance[1] < 0.3 * moved.distance[0]
        assert f"{n} samples of Whole Blood: aligned ({method}" in str(moved)
    assert error(model, shifted, truth) == before


def test_people_are_not_taken_for_a_laboratory(model):
    taken = 0
    for seed in range(40):
        samples = new(blood_log2(4 + seed % 20, 100 + seed))
        told, moved = aligned(model, samples, "shift")
        taken += moved.method != "none"
        if moved.method == "none":
            np.testing.assert_array_equal(told.expr_tpm, samples.expr_tpm)
            assert "no more than people do" in str(moved)
    assert taken <= 4


def test_a_tissue_of_few_training_donors_is_not_taken_for_a_laboratory():
    donors, few = [f"D{i}" for i in range(300)], 12
    tissue = (np.arange(300) >= few).astype(np.int64)
    cohort = Cohort(
        (2 ** blood_log2(300, 2) - 1).astype(np.float32),
        pd.DataFrame(index=donors),
        np.arange(300),
        tissue,
        pd.DataFrame(index=donors),
        (BLOOD, "Skin"),
        pd.DataFrame({"symbol": "x"}, index=[f"g{i}" for i in range(N_GENES)]),
    )
    fitted = build("same_gene")
    fitted.fit(Training(cohort, source=0, device="cpu"))
    moved = [aligned(fitted, new(blood_log2(50, 200 + seed)), "shift")[1] for seed in range(10)]
    assert sum(done.method != "none" for done in moved) <= 1


@pytest.mark.parametrize("method", ["shift", "combat", "quantile"])
def test_one_sample_is_left_as_it_is_and_said_so(model, method):
    one = new(blood_log2(1, 5) + 2)
    told, moved = aligned(model, one, method)
    np.testing.assert_array_equal(told.expr_tpm, one.expr_tpm)
    assert moved.method == "none"
    assert "1 sample of Whole Blood: not aligned (one sample alone" in str(moved)


def test_combat_brings_the_spread_too(model):
    truth = blood_log2(40, 6)
    stretched = new(truth.mean(0) + 1.6 * (truth - truth.mean(0)))
    spread = {}
    for method in ("none", "shift", "combat"):
        told, _ = aligned(model, stretched, method)
        expr_z = model.scaler.transform(told.expr_tpm, np.zeros(40, np.int64))
        spread[method] = np.median(expr_z.std(0))
    assert spread["none"] == pytest.approx(spread["shift"], rel=0.02)
    assert spread["none"] > 1.4
    assert 0.9 < spread["combat"] < 1.1


def test_quantiles_undo_a_scale_and_an_offset(model):
    truth = blood_log2(3, 7)
    spoiled = new(0.8 * truth + 0.9)
    before = error(model, spoiled, truth)
    told, _ = aligned(model, spoiled, "quantile")
    assert error(model, told, truth) < 0.2 * before


def test_missing_genes_stay_missing_and_move_nothing(model):
    truth = blood_log2(10, 8)
    shift = np.random.default_rng(4).normal(0.3, 0.7, N_GENES)
    whole, part = new(truth + shift), new(truth + shift)
    part.expr_tpm[:, :50] = np.nan
    for method in ("shift", "combat", "quantile"):
        told, _ = aligned(model, part, method)
        assert np.isnan(told.expr_tpm[:, :50]).all()
        assert np.isfinite(told.expr_tpm[:, 50:]).all()
    left = NewSamples(whole.expr_tpm, whole.table, whole.sources)
    same, _ = aligned(model, left, "none")
    np.testing.assert_array_equal(same.expr_tpm, whole.expr_tpm)
    with pytest.raises(InputError, match="'harmony'"):
        align_to_training(model, whole, "harmony")
