from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr

from mtm.errors import InputError
from mtm.models.base import Training
from mtm.models.mtm.model import MTM, MTMParameters
from mtm.models.mtm.stopping import stalled, stopping_score, stopping_split

SMALL = MTMParameters(
    encoder_widths=(16,), code_width=8, generator_widths=(16,), discriminator_widths=(8,),
    mapping_widths=(5,), noise_width=4, dropout=0.0, batch_size=16, precision="float32",
    lambda_adversarial=0.0, steps=400, checkpoint_every=1, learning_rate=2e-3,
    stop_patience=2, stop_every=10, stop_donors=0.3,
)  # fmt: skip


@pytest.mark.parametrize(
    ("scores", "patience", "expected"),
    [
        ([], 1, False), ([0.1], 1, False), ([0.1, 0.1], 1, True), ([0.1, 0.2], 1, False),
        ([0.3, 0.1, 0.2], 2, True), ([0.1, 0.3, 0.2], 2, False), ([0.2, 0.1, 0.3, 0.2], 2, False),
    ],
)  # fmt: skip
def test_training_has_stalled_when_no_late_score_is_the_best(scores, patience, expected):
    assert stalled(scores, patience) == expected


def test_split_takes_donors_with_the_source_and_loses_none(cohort):
    learn, stop = stopping_split(cohort, 0, 0.3, seed=1)
    assert set(learn.donors.index).isdisjoint(stop.donors.index)
    assert set(learn.donors.index) | set(stop.donors.index) == set(cohort.donors.index)
    assert learn.n_samples + stop.n_samples == cohort.n_samples
    for donor in range(len(stop.donors)):
        tissues = stop.tissue[stop.donor == donor]
        assert 0 in tissues
        assert len(tissues) > 1
    assert not stopping_split(cohort, 0, 0.3, seed=2)[1].donors.index.equals(stop.donors.index)


def test_too_few_donors_to_stop_by_are_refused(cohort):
    with pytest.raises(InputError, match="stop_donors"):
        stopping_split(cohort, 0, 0.1, seed=1)
    with pytest.raises(InputError, match="schedule constant"):
        SMALL.with_(schedule="one_cycle")


@pytest.mark.slow
def test_score_is_the_mean_rho_over_genes(cohort):
    model = MTM(SMALL.with_(stop_patience=0))
    model.fit(Training(cohort, source=0, seed=1))
    blood = {d: r for r, d in enumerate(cohort.donor) if cohort.tissue[r] == 0}
    rows = [r for r in range(cohort.n_samples) if cohort.tissue[r] and cohort.donor[r] in blood]
    predicted, observed = [], []
    for row in rows:
        code = model.codes(cohort, np.array([blood[cohort.donor[row]]]))
        with torch.inference_mode():
            made = model.networks["generator"](code, torch.from_numpy(cohort.tissue[[row]]))
        predicted.append(made[0].numpy())
        observed.append(model.scaler.transform(cohort.expr_tpm[[row]], cohort.tissue[[row]])[0])
    rho = [
        pearsonr(a, b)[0]
        for a, b in zip(np.transpose(predicted), np.transpose(observed), strict=True)
    ]
    assert stopping_score(cohort, 0)(model) == pytest.approx(np.mean(rho), abs=1e-5)


@pytest.mark.slow
def test_training_ends_early_and_resumes_to_the_same_end(cohort, tmp_path):
    class Killed(Exception):
        pass

    def fit(checkpoint, kill_at=None):
        calls = []

        def monitor(_):
            calls.append(1)
            if len(calls) == kill_at:
                raise Killed
            return {"seen": 1.0}

        model = MTM(SMALL)
        training = Training(
            cohort, source=0, seed=1, checkpoint=checkpoint, monitor=monitor, monitor_every=10
        )
        return model, model.fit(training)

    model, table = fit(None)
    scores = table["stop_rho"].dropna()
    assert table["step"].iloc[-1] == 10 * len(scores) < SMALL.steps
    assert stalled(scores.tolist(), 2)
    assert not stalled(scores.tolist()[:-1], 2)
    with pytest.raises(Killed):
        fit(tmp_path, kill_at=len(scores) - 1)
    assert (tmp_path / "state.pt").exists()
    resumed, resumed_table = fit(tmp_path)
    assert resumed_table.drop(columns="seconds").equals(table.drop(columns="seconds"))
    a, b = model.state(), resumed.state()
    assert all(np.array_equal(a[key], b[key]) for key in a)


def test_donors_to_stop_by_are_not_learned_from(cohort):
    """Other expression of theirs changes the scores and no weight while training goes on."""
    _, stop = stopping_split(cohort, 0, SMALL.stop_donors, seed=1)
    rows = cohort.donors.index.isin(stop.donors.index)[cohort.donor]
    swapped = cohort.expr_tpm.copy()
    # Within each tissue, so that the z-scores' statistics, which they do enter, stay the same.
    for tissue in range(1, len(cohort.tissues)):
        here = np.flatnonzero(rows & (cohort.tissue == tissue))
        swapped[here] = swapped[np.roll(here, 1)]
    states = []
    for expr_tpm in (cohort.expr_tpm, swapped):
        model = MTM(SMALL.with_(stop_patience=100, steps=40))
        table = model.fit(Training(replace(cohort, expr_tpm=expr_tpm), source=0, seed=1))
        states.append((model.state(), table["stop_rho"].dropna().to_numpy()))
    (a, rho_a), (b, rho_b) = states
    assert not np.allclose(rho_a, rho_b)
    for key in a:
        np.testing.assert_allclose(a[key], b[key], atol=1e-4)
