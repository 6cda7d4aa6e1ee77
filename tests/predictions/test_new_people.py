import faulthandler
import os
import signal

import numpy as np
import pandas as pd
import pytest
from people import BLOOD, SameGene, five_donors, ids

from mtm.cohort.scaling import TissueScaler
from mtm.errors import InputError
from mtm.io import read_apart
from mtm.models.base import Requests, Training
from mtm.predictions.new_people import (
    align_expression,
    new_inputs,
    predict_new,
    targets_of,
    tissue_of,
)


@pytest.fixture
def cohort():
    return five_donors()


@pytest.fixture
def model(cohort):
    fitted = SameGene()
    fitted.fit(Training(cohort, source=3))
    return fitted


def crash(path):
    # What pytest prints of a crash would look like one of its own.
    faulthandler.disable()
    os.kill(os.getpid(), signal.SIGSEGV)


def refuse(path):
    raise InputError(path, "nothing", "something", "Give it.")


def test_a_file_that_crashes_its_reader_is_one_error(tmp_path):
    with pytest.raises(InputError, match=r"new.h5ad: found content that crashes its reader"):
        read_apart(crash, tmp_path / "new.h5ad", "an AnnData h5ad file")
    with pytest.raises(InputError, match=r"new.h5ad: found nothing; expected something. Give it"):
        read_apart(refuse, tmp_path / "new.h5ad", "an AnnData h5ad file")


def test_missing_genes_get_the_training_mean_of_the_source(cohort, model):
    expr_tpm = np.full((2, 6), 5.0, np.float32)
    aligned, overlap = align_expression(model, expr_tpm, ids(7)[:6], BLOOD)
    assert overlap.n_found == 6
    expr_z = model.scaler.transform(aligned, np.array([3, 3]))
    np.testing.assert_allclose(expr_z[:, 6], 0, atol=1e-5)
    blood = np.log2(1 + cohort.expr_tpm[cohort.tissue == 3, 6].astype(float)).mean()
    np.testing.assert_allclose(np.log2(1 + aligned[:, 6]), blood, rtol=1e-5)
    assert (aligned[:, :6] == 5).all()


def test_new_people_are_predicted_as_cohort_members(cohort, model):
    blood = np.flatnonzero(cohort.tissue == 3)
    names = ["zeta", "alpha", "mid", "beta"]
    inputs = new_inputs(model, cohort.expr_tpm[blood], names, BLOOD)
    assert list(inputs.donors.index) == sorted(names)
    assert list(inputs.donors.index[inputs.donor]) == names
    got = list(predict_new(model, inputs, ["Testis", "Lung"], block=3))
    assert [(name, rows.start, rows.stop) for name, rows, _ in got] == [
        ("Testis", 0, 3),
        ("Testis", 3, 4),
        ("Lung", 0, 3),
        ("Lung", 3, 4),
    ]
    expected = model.predict(cohort, Requests(blood[:, None], np.full(4, 2)))
    np.testing.assert_array_equal(np.concatenate([got[0][2], got[1][2]]), expected)


@pytest.mark.parametrize("scale", ["log2", "tpm"])
def test_predictions_come_back_in_expression_units(cohort, model, scale):
    blood = np.flatnonzero(cohort.tissue == 3)
    inputs = new_inputs(model, cohort.expr_tpm[blood], list("abcd"), BLOOD)
    ((_, _, expr_z),) = predict_new(model, inputs, ["Lung"])
    ((_, _, values),) = predict_new(model, inputs, ["Lung"], scale)
    lung = np.log2(1 + cohort.expr_tpm[cohort.tissue == 1].astype(float))
    expr_log2 = np.clip(expr_z * lung.std(0) + lung.mean(0), 0, None)
    expected = expr_log2 if scale == "log2" else 2**expr_log2 - 1
    np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-3)


def test_new_people_refusals(cohort, model):
    one = cohort.expr_tpm[:1]
    inputs = new_inputs(model, one, ["a"], BLOOD)
    with pytest.raises(InputError, match="Spleen"):
        next(predict_new(model, inputs, ["Spleen"]))
    with pytest.raises(InputError, match="other than the source"):
        next(predict_new(model, inputs, [BLOOD]))
    with pytest.raises(InputError, match="'counts'"):
        next(predict_new(model, inputs, ["Lung"], "counts"))
    with pytest.raises(InputError, match="a twice"):
        new_inputs(model, np.repeat(one, 2, axis=0), ["a", "a"], BLOOD)
    with pytest.raises(InputError, match="no row for sample a"):
        new_inputs(model, one, ["a"], BLOOD, pd.DataFrame({"sex": [1]}, index=["b"]))
    model.several_sources = False
    with pytest.raises(InputError, match="'Lung'.*'Whole Blood', the tissue it was trained"):
        new_inputs(model, one, ["a"], "Lung")


def test_a_tissue_without_training_samples_is_no_target(cohort, model):
    model.scaler = TissueScaler(
        model.scale,
        np.where(np.arange(4)[:, None] == 2, np.nan, model.scaler.mean),
        model.scaler.sd,
    )
    assert targets_of(model, BLOOD) == ["Artery - Aorta", "Lung"]
    with pytest.raises(InputError, match="'Testis', of which the training had no sample"):
        tissue_of(model, "Testis")


def test_traits_reach_the_model(cohort, model):
    traits = pd.DataFrame({"sex": [2, 1]}, index=["b", "a"])
    inputs = new_inputs(model, cohort.expr_tpm[:2], ["b", "a"], BLOOD, traits)
    assert list(inputs.donors["sex"]) == [1, 2]
    assert list(inputs.donors["sex"].to_numpy()[inputs.donor]) == [2, 1]
    assert list(inputs.samples["sex"]) == [2, 1]
