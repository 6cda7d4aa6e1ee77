"""The fused engine against the literal transcription, and what must hold of any training run."""

import importlib.util
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from cohorts import simulated_cohort
from marks import slow

from mtm.cohort.scaling import TissueScaler
from mtm.errors import InputError
from mtm.models.base import Requests, Training
from mtm.models.mtm.engine import LOSSES, Engine
from mtm.models.mtm.model import MTM, MTMParameters
from mtm.models.mtm.networks import Dropout, TissueConditioned, _TissueNorm
from mtm.models.mtm.pairs import PairSampler, ordered_pairs
from mtm.models.mtm.wide import inverse_z, l1_loss
from mtm.models.registry import load

HERE = Path(__file__).parent


def transcription():
    spec = importlib.util.spec_from_file_location("mtm_reference", HERE / "mtm_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


Reference = transcription().Reference
SMALL = MTMParameters(
    encoder_widths=(16, 12, 10), code_width=8, generator_widths=(10, 12, 16),
    discriminator_widths=(16, 12, 6), mapping_widths=(5, 6, 8), noise_width=4,
    batch_size=16, epochs=3, precision="float32", checkpoint_every=1,
)  # fmt: skip
EXACT = SMALL.with_(dropout=0.0, precision="float64")


def engine_of(parameters, cohort, seed=3):
    scaler = TissueScaler.fit(
        cohort.expr_tpm, cohort.tissue, len(cohort.tissues), parameters.target_scale
    )
    return Engine(parameters, cohort, scaler, "cpu", seed), scaler


def copy_weights(engine, reference):
    """Give the reference the engine's weights and singular vectors."""
    names = {"encoder": "E", "generator": "G", "discriminator": "D"}
    with torch.no_grad():
        for name, letter in names.items():
            ours, theirs = engine.networks[name], getattr(reference, letter)
            for a, b in zip(ours.layers, theirs.tcm, strict=True):
                b.fc.load_state_dict(a.linear.state_dict())
                gamma = b.weight_orig if letter == "D" else b.weight
                gamma.copy_(a.gamma)
                b.bias.copy_(a.beta)
                if letter == "D":
                    b.weight_u.copy_(a.power.u)
                    b.weight_v.copy_(a.power.v)
            last = theirs.last.weight_orig if letter == "D" else theirs.last.weight
            last.copy_(ours.last.weight)
            theirs.last.bias.copy_(ours.last.bias)
        reference.D.last.weight_u.copy_(engine.networks["discriminator"].power.u)
        reference.D.last.weight_v.copy_(engine.networks["discriminator"].power.v)
        for a, b in zip(engine.networks["mapping"].layers, reference.M.fc, strict=True):
            b.load_state_dict(a.state_dict())


@pytest.mark.slow
def test_twenty_fused_steps_equal_the_literal_transcription(cohort):
    engine, scaler = engine_of(EXACT, cohort)
    p = EXACT
    reference = Reference(p, scaler.mean, scaler.sd)
    copy_weights(engine, reference)
    # The encoder's real inputs go through z and back in the reference, as in the published code.
    engine.encoder_expr = torch.log2(
        1 + torch.relu(engine.expr_z * engine.sd[engine.tissue] + engine.mean[engine.tissue])
    )
    sampler = PairSampler(cohort.donor, p, 0, "cpu")
    batches = [batch for epoch in range(20) for batch in sampler.batches(epoch)][:20]
    for batch in batches:
        s, t = batch.source, batch.target
        noise, r = engine.draw(len(s))
        engine.totals.zero_()
        engine.step(batch, noise, r)
        expected = reference.step(
            engine.expr_z[s], engine.tissue[s], engine.expr_z[t], engine.tissue[t], noise, r
        )
        for name, value in zip(LOSSES, engine.totals.tolist(), strict=True):
            assert value == pytest.approx(expected[name], abs=1e-9), name
    for name, letter in {"encoder": "E", "generator": "G", "discriminator": "D"}.items():
        ours, theirs = engine.networks[name], getattr(reference, letter)
        for a, b in zip(ours.layers, theirs.tcm, strict=True):
            gamma = b.weight_orig if letter == "D" else b.weight
            for x, y in ((a.linear.weight, b.fc.weight), (a.gamma, gamma), (a.beta, b.bias)):
                assert (x - y).abs().max() < 1e-9
        last = theirs.last.weight_orig if letter == "D" else theirs.last.weight
        assert (ours.last.weight - last).abs().max() < 1e-9
    assert (engine.networks["mapping"].layers[0].weight - reference.M.fc[0].weight).abs().max() < (
        1e-9
    )


def test_tissue_norm_gradients_equal_finite_differences():
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, dtype=torch.double, generator=generator)  # noqa: E731
    h, gamma, beta = (x.requires_grad_() for x in (draw(6, 5), draw(3, 5), draw(3, 5)))
    sigma = draw(6, 1).abs().add(0.5).requires_grad_()
    tissue = torch.tensor([0, 1, 2, 1, 1, 0])
    keep = (draw(6, 5) > -0.5).double() * 1.4
    assert torch.autograd.gradcheck(
        lambda *a: _TissueNorm.apply(*a[:3], tissue, a[3], keep, torch.double),
        (h, gamma, beta, sigma),
    )


@pytest.mark.parametrize("log", [False, True])
def test_inverse_z_equals_its_parts_bit_for_bit(log):
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    mean, sd, tissue = draw(3, 7), draw(3, 7).abs(), torch.tensor([0, 1, 2, 1, 1, 0])
    # Values at and just above the cut, where 1 + x rounds to 1.
    mean[0, :2], sd[0, :2] = torch.tensor([0.0, 1e-9]), 0
    expr_z, weight = draw(6, 7), draw(6, 7)
    results = []
    for function in (
        lambda z: inverse_z(z, mean, sd, tissue, log),
        lambda z: (lambda x: torch.log2(1 + x) if log else x)(
            torch.relu(torch.addcmul(mean[tissue], z, sd[tissue]))
        ),
    ):
        z = expr_z.clone().requires_grad_()
        out = function(z)
        (out * weight).sum().backward()
        results.append((out, z.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_l1_loss_equals_torchs_bit_for_bit():
    generator = torch.Generator().manual_seed(0)
    wanted = torch.randn(50, 301, generator=generator)
    start = torch.randn(50, 301, generator=generator)
    start[0] = wanted[0]
    results = []
    for function in (l1_loss, torch.nn.functional.l1_loss):
        predicted = start.clone().requires_grad_()
        loss = function(predicted, wanted)
        (1.7 * loss).backward()
        results.append((loss, predicted.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize("width", [1, 4])
def test_constant_activations_give_the_tissue_offset_and_finite_gradients(width):
    layer = TissueConditioned(3, width, 2)
    with torch.no_grad():
        layer.linear.weight.zero_()
        layer.linear.bias.fill_(2.0)
        layer.beta.fill_(0.5)
    out = layer(torch.ones(2, 3), torch.tensor([0, 1]))
    assert torch.equal(out, torch.full((2, width), 0.5))
    out.sum().backward()
    assert all(torch.isfinite(w.grad).all() for w in layer.parameters())


@pytest.mark.parametrize("probability", [0.1, 0.3, 0.5])
def test_dropout_keeps_the_mean_and_the_share(probability):
    mask = Dropout(probability, torch.Generator().manual_seed(1)).mask(1000, 301, torch.ones(1))
    assert mask.eq(0).float().mean().item() == pytest.approx(probability, abs=0.005)
    assert mask.mean().item() == pytest.approx(1, abs=0.005)


def test_ordered_pairs_are_all_permutations_within_donors():
    donor = np.array([2, 0, 2, 1, 0, 2])
    expected = {
        pair
        for code in range(3)
        for pair in permutations(np.flatnonzero(donor == code).tolist(), 2)
    }
    pairs = ordered_pairs(donor)
    assert len(pairs) == len(expected)
    assert {tuple(pair) for pair in pairs.tolist()} == expected


def test_balanced_sampling_draws_donors_equally_often():
    donor = np.repeat([0, 1], [2, 30])
    sampler = PairSampler(donor, SMALL.with_(pair_sampling="donor_balanced"), 0, "cpu")
    owners = donor[torch.cat([batch.source for batch in sampler.batches(0)]).numpy()]
    assert owners.mean() == pytest.approx(0.5, abs=0.06)


def test_further_sources_are_the_donors_own_and_never_the_target():
    donor = np.repeat([3, 0, 1, 2], [2, 5, 1, 9])
    sampler = PairSampler(donor, SMALL.with_(max_sources=4), 0, "cpu")
    counts = []
    for batch in sampler.batches(0):
        assert np.array_equal(donor[batch.extra], donor[batch.source[batch.pair]])
        assert (batch.extra != batch.target[batch.pair]).all()
        assert (batch.extra != batch.source[batch.pair]).all()
        counts.append(np.bincount(batch.pair, minlength=len(batch.source)))
        assert (counts[-1][donor[batch.source] == 3] == 0).all()
    assert set(np.concatenate(counts)) == {0, 1, 2, 3}


def test_covariates_reach_the_code_and_survive_the_bundle(cohort, tmp_path):
    model = MTM(SMALL.with_(covariates=("sex", "age", "hardy")))
    model.fit(Training(cohort, source=0, seed=1))
    rows = np.flatnonzero(cohort.tissue == 0)[:, None]
    requests = Requests(rows, np.ones(len(rows), int))
    other = replace(cohort, donors=cohort.donors.assign(age=cohort.donors["age"] + 30))
    predicted = model.predict(cohort, requests)
    assert not np.allclose(predicted, model.predict(other, requests))
    model.save(tmp_path / "bundle.safetensors")
    assert np.array_equal(
        load(tmp_path / "bundle.safetensors").predict(cohort, requests), predicted
    )
    with pytest.raises(InputError, match="no column age"):
        model.predict(replace(cohort, donors=cohort.donors.drop(columns="age")), requests)


SWITCHES = [
    {"target_scale": "log2_z"}, {"target_scale": "log2_z", "encoder_input": "z"},
    {"encoder_input": "z"}, {"spectral_norm": "weight"}, {"spectral_norm": "off"},
    {"lambda_adversarial": 0.0}, {"lambda_reconstruction": 0.0}, {"lambda_cycle": 0.0},
    {"lambda_adversarial": 0.0, "lambda_reconstruction": 0.0},
    {"lambda_adversarial": 0.0, "lambda_reconstruction": 0.0, "lambda_cycle": 0.0},
    {"reconstruction_of": "encoded"}, {"reconstruction_of": "both"},
    {"reconstruction_of": "encoded", "lambda_adversarial": 0.0, "lambda_cycle": 0.0},
    {"reconstruction_of": "both", "lambda_cycle": 0.0}, {"discriminator_real": "target"},
    {"pair_sampling": "donor_balanced"}, {"max_sources": 3}, {"covariates": ("age", "hardy")},
    {"optimizer": "adamw", "weight_decay": 0.01},
    {"schedule": "one_cycle"}, {"individual_loss": "smooth_l1"}, {"individual_loss": "l2"},
    {"precision": "bfloat16"}, {"generator_widths": (512 // 32, 12, 16)},
]  # fmt: skip


def fitted(parameters):
    cohort = simulated_cohort()
    model = MTM(parameters)
    table = model.fit(Training(cohort, source=cohort.tissue_index("Whole Blood"), seed=1))
    return model.state(), table


@pytest.fixture(scope="module")
def plain():
    return fitted(SMALL)[0]


@pytest.mark.parametrize("switch", SWITCHES, ids=str)
@pytest.mark.slow
def test_every_switch_changes_what_is_learned_and_stays_finite(plain, switch):
    changed, table = fitted(SMALL.with_(**switch))
    assert all(np.isfinite(value).all() for value in changed.values())
    losses = table[list(LOSSES)].iloc[-1]
    assert np.isfinite(losses).all()
    for key, value in switch.items():
        if key.startswith("lambda_") and value == 0:
            assert losses[key.removeprefix("lambda_")] == 0
    same_shape = all(plain[key].shape == changed[key].shape for key in plain)
    assert not same_shape or any((plain[key] != changed[key]).any() for key in plain)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(cohort):
    def weights(seed):
        model = MTM(SMALL)
        model.fit(Training(cohort, source=0, seed=seed))
        return np.concatenate([value.ravel() for value in model.state().values()])

    assert np.array_equal(weights(1), weights(1))
    assert not np.array_equal(weights(1), weights(2))


@pytest.mark.slow
def test_a_monitor_does_not_change_what_is_learned(cohort):
    def weights(monitor_every):
        model = MTM(SMALL)
        model.fit(
            Training(
                cohort, source=0, seed=1, monitor_every=monitor_every,
                monitor=lambda predictor: {"seen": float(predictor.codes(cohort, [0]).sum())},
            )
        )  # fmt: skip
        return np.concatenate([value.ravel() for value in model.state().values()])

    assert np.array_equal(weights(0), weights(2))


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["constant", slow("one_cycle")])
def test_a_run_killed_mid_epoch_ends_with_the_weights_of_an_unbroken_one(
    cohort, tmp_path, schedule
):
    parameters = SMALL.with_(schedule=schedule, epochs=5, checkpoint_every=2)

    class Killed(Exception):
        pass

    def fit(checkpoint, kill_at=None):
        model = MTM(parameters)
        calls = []

        def monitor(_):
            calls.append(1)
            if len(calls) == kill_at:
                raise Killed
            return {}

        table = model.fit(
            Training(
                cohort, source=0, seed=1, checkpoint=checkpoint, monitor=monitor, monitor_every=3
            )
        )
        return model.state(), table, len(calls)

    unbroken, table, n_unbroken = fit(None)
    with pytest.raises(Killed):
        fit(tmp_path, kill_at=n_unbroken - 1)
    resumed, resumed_table, n_resumed = fit(tmp_path)
    assert n_resumed < n_unbroken
    assert all(np.array_equal(unbroken[key], resumed[key]) for key in unbroken)
    assert resumed_table.drop(columns="seconds").equals(table.drop(columns="seconds"))


@pytest.mark.slow
def test_a_checkpoint_of_other_settings_is_not_taken_up(cohort, tmp_path):
    def fit(parameters):
        model = MTM(parameters)
        model.fit(Training(cohort, source=0, seed=1, checkpoint=tmp_path))
        return model.state()

    fit(SMALL.with_(learning_rate=1e-2))
    assert (tmp_path / "state.pt").exists()
    after_other = fit(SMALL)
    (tmp_path / "state.pt").unlink()
    fresh = fit(SMALL)
    assert all(np.array_equal(fresh[key], after_other[key]) for key in fresh)


def test_several_sources_average_their_codes(cohort):
    model = MTM(SMALL)
    model.fit(Training(cohort, source=0, seed=1))
    rows = np.array([[0, 1, -1], [2, -1, -1]])
    together = model.predict(cohort, Requests(rows, np.array([1, 1])))
    with torch.no_grad():
        codes = model.codes(cohort, np.array([0, 1, 2]))
        mean = torch.stack([codes[:2].mean(0), codes[2]])
        expected = model.networks["generator"](mean, torch.tensor([1, 1])).numpy()
    np.testing.assert_allclose(together, expected, atol=1e-6)


def test_a_gpu_that_is_not_there_is_an_input_error(cohort, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="no GPU is visible"):
        MTM(SMALL).fit(Training(cohort, source=0, device="cuda"))


@pytest.mark.slow
def test_learning_beats_the_mean(cohort):
    model = MTM(SMALL.with_(epochs=60, learning_rate=2e-3, lambda_adversarial=0.0, dropout=0.0))
    table = model.fit(Training(cohort, source=0, seed=1))
    assert table["individual"].iloc[-1] < 0.7 * table["individual"].iloc[0]
