"""Stacked per-tissue networks against plain PyTorch, and what must hold of any training run."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from cohorts import simulated_cohort
from torch import nn

from mtm.cohort.scaling import TissueScaler
from mtm.errors import InputError
from mtm.models.base import Requests, Training
from mtm.models.mlp.model import MLP
from mtm.models.mlp.stack import TissueStack, initial_layers, plan_waves
from mtm.models.mlp.training import training_pairs
from mtm.models.registry import build, load
from mtm.models.requests import held_out_requests
from mtm.settings.models.mlp import MLPParameters
from mtm.settings.scaling import Scaling

SMALL = MLPParameters(
    encoder_widths=(16, 12), code_width=8, decoder_widths=(12, 16), batch_size=16, epochs=6,
    min_pairs=5, precision="float32", checkpoint_every=1,
)  # fmt: skip
EXACT = SMALL.with_(precision="float64")
BLOOD = "Whole Blood"


@pytest.fixture(scope="module")
def uneven():
    """Blood of 40 donors; 36, 24, 11 and 3 of them with the other tissues, in that order."""
    cohort = simulated_cohort(n_donors=40, n_tissues=5, keep=1.1)
    size = dict(zip((t for t in cohort.tissues if t != BLOOD), (36, 24, 11, 3), strict=True))
    most = np.array([size.get(name, 40) for name in cohort.tissues])
    # Other donors for every tissue, so that a mix-up of donors cannot go unseen.
    keep = (cohort.donor * 7 + cohort.tissue * 3) % 40 < most[cohort.tissue]
    return replace(
        cohort,
        expr_tpm=cohort.expr_tpm[keep],
        samples=cohort.samples[keep],
        donor=cohort.donor[keep],
        tissue=cohort.tissue[keep],
    )


def training_of(cohort, **settings):
    return Training(cohort, source=cohort.tissue_index(BLOOD), seed=3, device="cpu", **settings)


def fitted(parameters, cohort, **settings):
    model = MLP(parameters)
    table = model.fit(training_of(cohort, **settings))
    return model, table


def assert_same_weights(one, other):
    a, b = one.state(), other.state()
    assert a.keys() == b.keys()
    assert all(np.array_equal(a[key], b[key]) for key in a)


LOSSES = {"l1": nn.L1Loss(), "smooth_l1": nn.SmoothL1Loss(), "l2": nn.MSELoss()}


def plain_loop(p, source_z, target_z, layers, orders):
    """Train one tissue as the published code does: two networks, two Adams, a plain loop."""
    n_encoder = len(p.encoder_widths) + 1
    linear = []
    for weight, bias in layers:
        layer = nn.Linear(weight.shape[2], weight.shape[1], dtype=torch.double)
        layer.load_state_dict({"weight": weight[0], "bias": bias[0, 0]})
        linear.append(layer)

    def network(part):
        steps = [step for layer in part for step in (layer, nn.LeakyReLU(0.01))]
        return nn.Sequential(*steps[:-1])

    encoder, decoder = network(linear[:n_encoder]), network(linear[n_encoder:])
    adams = [
        torch.optim.Adam(part.parameters(), lr=p.learning_rate, betas=(p.beta1, p.beta2))
        for part in (encoder, decoder)
    ]
    losses = []
    for order in orders:
        total = 0.0
        for batch in order.split(p.batch_size):
            loss = LOSSES[p.loss](decoder(encoder(source_z[batch])), target_z[batch])
            for adam in adams:
                adam.zero_grad()
            (p.lambda_individual * loss).backward()
            for adam in adams:
                adam.step()
            total += loss.item() * len(batch)
        losses.append(total / len(order))
    with torch.no_grad():
        return linear, np.array(losses), decoder(encoder(source_z))


@pytest.mark.parametrize("loss", ["l1", "smooth_l1", "l2"])
@pytest.mark.parametrize("scale", ["tpm_z", "log2_z"])
def test_stacked_training_equals_every_tissue_alone_in_plain_pytorch(uneven, loss, scale):
    p = EXACT.with_(loss=loss, scale=scale)
    model, table = fitted(p, uneven)
    source = uneven.tissue_index(BLOOD)
    # By hand: z-scores and the donors with both tissues.
    scaler = TissueScaler.fit(uneven.expr_tpm, uneven.tissue, 5, scale)
    expr_z = torch.from_numpy(scaler.transform(uneven.expr_tpm, uneven.tissue)).double()
    sizes, losses = [], []
    for target in range(5):
        rows = [
            (s, t)
            for donor in range(40)
            for s in np.flatnonzero((uneven.donor == donor) & (uneven.tissue == source))
            for t in np.flatnonzero((uneven.donor == donor) & (uneven.tissue == target))
        ]
        if target == source or len(rows) < p.min_pairs:
            assert target not in model.fits
            continue
        s, t = torch.tensor(rows).T
        orders = [
            torch.from_numpy(np.random.default_rng((3, target, epoch)).permutation(len(rows)))
            for epoch in range(p.epochs)
        ]
        layers = initial_layers(p.widths(12), [target], 3, torch.double)
        linear, per_epoch, expected = plain_loop(p, expr_z[s], expr_z[t], layers, orders)
        for (weight, bias), plain in zip(model.fits[target], linear, strict=True):
            assert (weight - plain.weight).abs().max() < 1e-9
            assert (bias - plain.bias).abs().max() < 1e-9
        predicted = model.predict(uneven, Requests(s.numpy()[:, None], np.full(len(s), target)))
        np.testing.assert_allclose(predicted, expected.numpy(), atol=1e-6)
        sizes.append(len(rows))
        losses.append(per_epoch)
    # Three batches an epoch, two, and one that is not full.
    assert sorted(sizes) == [11, 24, 36]
    np.testing.assert_allclose(table["loss"], np.mean(losses, axis=0), atol=1e-12)


def test_a_stack_of_unlike_sizes_trains_each_tissue_as_a_stack_of_its_own(uneven):
    p = EXACT.with_(batch_size=32)
    pairs, _ = training_pairs(training_of(uneven), p.min_pairs)
    pairs = {target: rows for target, rows in pairs.items() if len(rows) <= 32}
    expr_z = torch.randn(uneven.n_samples, 12, dtype=torch.double)
    together = TissueStack(p, pairs, expr_z, "float64", 3)
    alone = {t: TissueStack(p, {t: rows}, expr_z, "float64", 3) for t, rows in pairs.items()}
    assert len(pairs) == 2
    for epoch in range(5):
        losses = together.epoch(epoch)
        for loss, stack in zip(losses, alone.values(), strict=True):
            assert loss.item() == pytest.approx(stack.epoch(epoch).item(), abs=1e-12)
    for target, layers in together.fits().items():
        for pair, own in zip(layers, alone[target].fits()[target], strict=True):
            for ours, theirs in zip(pair, own, strict=True):
                assert (ours - theirs).abs().max() < 1e-9


def test_tissues_of_unequal_numbers_of_batches_are_refused_in_one_stack():
    rows = np.zeros((17, 2), int)
    with pytest.raises(ValueError, match="batches an epoch in one stack"):
        TissueStack(SMALL, {0: rows, 1: rows[:5]}, torch.zeros(1, 3), "float32", 0)


def test_doubling_lambda_is_halving_adams_epsilon_and_nothing_else(uneven, monkeypatch):
    plain = torch.optim.Adam

    def final(weight, eps):
        monkeypatch.setattr(torch.optim, "Adam", lambda *a, **k: plain(*a, **k, eps=eps))
        model, _ = fitted(EXACT.with_(lambda_individual=weight), uneven)
        return np.concatenate([value.ravel() for value in model.state().values()])

    np.testing.assert_allclose(final(2.0, 1e-8), final(1.0, 0.5e-8), atol=1e-12)
    assert np.abs(final(2.0, 1e-8) - final(1.0, 1e-8)).max() > 1e-9


def test_initial_weights_are_those_of_a_linear_layer():
    (weight, bias), *_ = initial_layers((400, 300), [7, 2], 0, torch.float32)
    like = nn.Linear(400, 300).weight
    assert weight.shape == (2, 300, 400)
    assert bias.shape == (2, 1, 300)
    assert weight.abs().max() <= 1 / 20
    assert weight.std().item() == pytest.approx(like.std().item(), rel=0.01)
    assert not torch.equal(weight[0], weight[1])
    (alone, _), *_ = initial_layers((400, 300), [2], 0, torch.float32)
    assert torch.equal(alone[0], weight[1])


def test_tissues_with_too_few_pairs_are_not_fitted_and_predict_the_mean(uneven):
    model, table = fitted(SMALL, uneven)
    few = [t for t in uneven.tissues if t != BLOOD][3]
    assert set(table["n_tissues"]) == {3}
    assert set(table["n_tissues_not_fitted"]) == {1}
    assert model.provenance.notes["tissues_not_fitted"] == f"{few} (3 pairs)"
    bloods = np.flatnonzero(uneven.tissue == uneven.tissue_index(BLOOD))
    for tissue in uneven.tissues:
        target = np.full(len(bloods), uneven.tissue_index(tissue))
        predicted = model.predict(uneven, Requests(bloods[:, None], target))
        assert (predicted == 0).all() == (tissue in (few, BLOOD))


def test_without_a_tissue_with_enough_pairs_the_training_mean_is_predicted(uneven):
    model, table = fitted(SMALL.with_(min_pairs=37), uneven)
    assert set(table["n_tissues"]) == {0}
    bloods = np.flatnonzero(uneven.tissue == uneven.tissue_index(BLOOD))
    lung = np.full(len(bloods), uneven.tissue_index("Lung"))
    assert not model.predict(uneven, Requests(bloods[:, None], lung)).any()


def test_a_source_of_another_tissue_is_refused(uneven):
    model, _ = fitted(SMALL.with_(epochs=1), uneven)
    lung = uneven.tissue_index("Lung")
    row = np.flatnonzero(uneven.tissue == lung)[:1]
    with pytest.raises(InputError, match="found a source sample of Lung; expected Whole Blood"):
        model.predict(uneven, Requests(row[:, None], np.array([lung])))


@pytest.mark.parametrize(
    "wrong", [{"loss": "l3"}, {"precision": "half"}, {"batch_size": 0}, {"epochs": 0}], ids=str
)
def test_parameters_that_make_no_sense_are_named(wrong):
    with pytest.raises(InputError, match=rf"parameters\[mlp\]\.{next(iter(wrong))}: found"):
        SMALL.with_(**wrong)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(uneven):
    model, _ = fitted(SMALL, uneven)
    again, _ = fitted(SMALL, uneven)
    assert_same_weights(model, again)
    other = MLP(SMALL)
    other.fit(Training(uneven, source=uneven.tissue_index(BLOOD), seed=4, device="cpu"))
    assert not np.array_equal(model.state()["0/0/weight"], other.state()["0/0/weight"])


def test_a_loaded_bundle_predicts_the_same(uneven, tmp_path):
    model = build("mlp", {"epochs": 2, "encoder_widths": [9], "decoder_widths": [7, 8],
                          "code_width": 4, "min_pairs": 5})  # fmt: skip
    model.fit(training_of(uneven))
    model.save(tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    requests, _ = held_out_requests(uneven, uneven.donors.index, BLOOD)
    assert len(requests) == 74
    np.testing.assert_allclose(
        loaded.predict(uneven, requests, batch=7), model.predict(uneven, requests), atol=1e-6
    )
    np.testing.assert_array_equal(
        loaded.predict(uneven, requests), model.predict(uneven, requests)
    )
    assert_same_weights(model, loaded)


def needed(p, n_tissues):
    """Return the MiB that just hold `n_tissues` of the small networks at once."""
    low, high = 0.0, 64.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        try:
            waves = plan_waves({0: 9, 1: 24, 2: 36}, p.widths(12), p.batch_size, p.precision,
                               "cpu", middle * 2**20)  # fmt: skip
            low, high = (low, middle) if len(waves) <= 3 / n_tissues else (middle, high)
        except InputError:
            low = middle
    return high


class Killed(Exception):
    pass


# Three tissues, five epochs, states saved after the second and the fourth. In one wave the stacks
# take turns; in three, each is trained to its end, and the sixth call begins the second.
@pytest.mark.parametrize(
    ("n_waves", "kill_at", "left"), [(1, 14, 3), (3, 14, 3), (3, 15, 1), (3, 8, 8), (3, 6, 10)]
)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_killed_run_ends_with_the_weights_and_table_of_an_unbroken_one(
    uneven, tmp_path, monkeypatch, n_waves, kill_at, left, precision
):
    p = SMALL.with_(precision=precision, checkpoint_every=2, epochs=5)
    p = p.with_(memory_mb=needed(p, 3 / n_waves))
    step = TissueStack.epoch

    def fit(checkpoint, kill_at=None):
        calls = []

        def counted(self, epoch):
            calls.append(epoch)
            if len(calls) == kill_at:
                raise Killed
            return step(self, epoch)

        monkeypatch.setattr(TissueStack, "epoch", counted)
        model, table = fitted(
            p, uneven, checkpoint=checkpoint, monitor_every=3,
            monitor=lambda m: {"seen": float(m.fits[0][0][0].sum())},
        )  # fmt: skip
        return model, table, len(calls)

    unbroken, table, n_unbroken = fit(None)
    assert n_unbroken == 15
    with pytest.raises(Killed):
        fit(tmp_path, kill_at=kill_at)
    resumed, resumed_table, n_resumed = fit(tmp_path)
    assert n_resumed == left
    assert_same_weights(unbroken, resumed)
    assert resumed_table.drop(columns="seconds").equals(table.drop(columns="seconds"))
    assert resumed_table["seconds"].is_monotonic_increasing


def test_waves_for_lack_of_memory_change_no_weight_and_are_monitored_at_the_end_alone(
    uneven, caplog
):
    def fit(n_waves):
        p = EXACT.with_(checkpoint_every=0)
        p = p.with_(memory_mb=needed(p, 3 / n_waves))
        return fitted(p, uneven, monitor=lambda m: {"n": float(len(m.fits))}, monitor_every=3)

    warning = "held-out accuracy at the end alone"
    with caplog.at_level(logging.WARNING):
        one, table = fit(1)
        assert warning not in caplog.text
        three, other = fit(3)
        assert warning in caplog.text
    assert_same_weights(one, three)
    assert table["n"].tolist() == [3.0] * 6
    assert other["n"].isna().tolist() == [True] * 5 + [False]
    np.testing.assert_allclose(table["loss"], other["loss"], atol=1e-12)


def test_too_little_memory_for_one_tissue_says_how_much_it_needs(uneven):
    with pytest.raises(InputError, match="memory_mb of model mlp: found 0 MiB; expected") as error:
        fitted(SMALL.with_(memory_mb=0.001), uneven)
    assert "which one tissue needs" in str(error.value)


@pytest.mark.parametrize("tight", [False, True])
def test_the_plan_places_every_tissue_once_with_its_likes_within_the_budget(tight):
    rng = np.random.default_rng(0)
    sizes = {t: int(n) for t, n in enumerate(rng.integers(57, 600, 48))}
    widths = MLPParameters().widths(59)
    weights = sum(a * b for a, b in zip(widths[:-1], widths[1:], strict=True))
    budget = weights * 14 * 12 if tight else 2**40
    waves = plan_waves(sizes, widths, 256, "bfloat16", "cpu", budget)
    stacks = [stack for wave in waves for stack in wave]
    assert sorted(t for stack in stacks for t in stack) == list(range(48))
    assert (len(waves) > 1) == tight
    for stack in stacks:
        assert len({-(-sizes[t] // 256) for t in stack}) == 1
    for wave in waves:
        assert sum(map(len, wave)) * weights * 14 < budget
    real = sum(sizes.values())
    padded = sum(max(sizes[t] for t in stack) * len(stack) for stack in stacks)
    assert padded < 1.1 * real


def test_a_checkpoint_of_other_settings_or_data_is_not_taken_up(uneven, tmp_path):
    fitted(SMALL.with_(learning_rate=1e-2), uneven, checkpoint=tmp_path)
    assert (tmp_path / "state.pt").exists()
    after_other, _ = fitted(SMALL, uneven, checkpoint=tmp_path)
    fresh, _ = fitted(SMALL, uneven)
    assert_same_weights(fresh, after_other)
    plain, _ = fitted(SMALL, uneven, scaling=Scaling(sd_rule="plain"), checkpoint=tmp_path)
    plain_fresh, _ = fitted(SMALL, uneven, scaling=Scaling(sd_rule="plain"))
    assert_same_weights(plain, plain_fresh)


def test_a_monitor_sees_every_tissue_at_whole_epochs_and_changes_nothing(uneven):
    requests, _ = held_out_requests(uneven, uneven.donors.index, BLOOD)

    def monitor(model):
        return {"seen": float(np.abs(model.predict(uneven, requests)).sum())}

    plain, _ = fitted(SMALL, uneven)
    watched, table = fitted(SMALL, uneven, monitor=monitor, monitor_every=7)
    assert_same_weights(plain, watched)
    # Three steps an epoch: 7 lies within the third epoch, 14 in the fifth; the last is watched.
    assert table.dropna()["epoch"].tolist() == [3, 5, 6]
    assert table.dropna()["step"].tolist() == [9, 15, 18]
    assert table["seen"].iloc[-1] == monitor(watched)["seen"]


def test_expression_of_held_out_donors_is_not_seen():
    cohort = simulated_cohort()
    held_out = cohort.donors.index[::4]
    trained = cohort.donors.index.difference(held_out)
    noisy = cohort.expr_tpm.copy()
    noisy[cohort.donors.index.isin(held_out)[cohort.donor]] *= 3
    models = [
        fitted(SMALL, replace(cohort, expr_tpm=expr_tpm).of_donors(trained))[0]
        for expr_tpm in (cohort.expr_tpm, noisy)
    ]
    assert_same_weights(*models)


@pytest.fixture(scope="module")
def learned():
    cohort = simulated_cohort(n_donors=120, n_genes=20)
    held_out = cohort.donors.index[::4]
    p = SMALL.with_(scale="log2_z", epochs=30, learning_rate=2e-3, encoder_widths=(32, 16),
                decoder_widths=(16, 32))  # fmt: skip
    requests, rows = held_out_requests(cohort, held_out, BLOOD)
    result = {}
    for precision in ("float32", "bfloat16"):
        model, table = fitted(
            p.with_(precision=precision),
            cohort.of_donors(cohort.donors.index.difference(held_out)),
        )
        observed = model.scaler.transform(cohort.expr_tpm[rows], requests.target)
        result[precision] = model.predict(cohort, requests), observed, table
    return result


def test_learning_beats_the_mean_on_held_out_donors(learned):
    predicted, observed, table = learned["float32"]
    assert np.abs(predicted - observed).mean() < 0.8 * np.abs(observed).mean()
    rho = [np.corrcoef(predicted[:, g], observed[:, g])[0, 1] for g in range(20)]
    assert np.mean(rho) > 0.5
    assert table["loss"].iloc[-1] < 0.7 * table["loss"].iloc[0]


def test_bfloat16_learns_as_float32_does(learned):
    error = {name: np.abs(p - o).mean() for name, (p, o, _) in learned.items()}
    assert error["bfloat16"] == pytest.approx(error["float32"], rel=0.02)
    assert not np.array_equal(learned["bfloat16"][0], learned["float32"][0])


def test_a_loss_that_is_not_finite_names_the_tissue(uneven):
    with pytest.raises(FloatingPointError, match="loss of .* is not finite in epoch"):
        fitted(SMALL.with_(learning_rate=1e9), uneven)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_learns_what_the_cpu_does(uneven):
    cpu, _ = fitted(EXACT, uneven)
    gpu = MLP(EXACT)
    gpu.fit(Training(uneven, source=uneven.tissue_index(BLOOD), seed=3, device="cuda"))
    a, b = cpu.state(), gpu.state()
    assert all(np.allclose(a[key], b[key], atol=1e-7) for key in a)
