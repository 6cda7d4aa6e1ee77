"""What stays on the device, and the CUDA graph's bookkeeping; no GPU is needed."""

import logging

import numpy as np
import pytest
import torch

from mtm.cohort.scaling import TissueScaler
from mtm.models.mtm.device import DevicePlan, plan_device, settle_vector_math
from mtm.models.mtm.engine import Engine
from mtm.models.mtm.graph import (
    WARM_UP_STEPS,
    StepRunner,
    capture,
)
from mtm.models.mtm.pairs import PairSampler
from mtm.settings.models.mtm import MTMParameters

SMALL = MTMParameters(
    encoder_widths=(16, 12), code_width=8, generator_widths=(12, 16), discriminator_widths=(16, 6),
    mapping_widths=(5,), noise_width=4, batch_size=16, precision="float32",
)  # fmt: skip
GTEX = {"n_samples": 15_201, "n_genes": 19_291, "n_weights": 128_100_000, "batch_size": 256}
GB = 1e9


@pytest.mark.parametrize(
    ("device", "free_gb", "sources", "expected"),
    [
        ("cpu", 0, 1, DevicePlan()),
        ("cuda", 140, 1, DevicePlan(graph=True)),
        ("cuda", 16, 1, DevicePlan(graph=True)),
        ("cuda", 140, 3, DevicePlan(graph=False)),
        ("cuda", 1, 1, DevicePlan(chunk_rows=512, graph=True)),
        ("cuda", 1, 3, DevicePlan(chunk_rows=1024, graph=False)),
    ],
)
def test_plan_follows_from_device_and_memory(device, free_gb, sources, expected):
    assert plan_device(device, int(free_gb * GB), max_sources=sources, **GTEX) == expected


def test_a_smaller_card_holds_as_many_samples_as_fit():
    plans = [plan_device("cuda", int(gb * GB), max_sources=1, **GTEX) for gb in (4.5, 5, 5.5)]
    rows = [plan.chunk_rows for plan in plans]
    assert 512 < rows[0] < rows[1] < rows[2] < GTEX["n_samples"]
    # A gigabyte more of which nine tenths are used, two float32 rows of 19,291 genes a sample.
    assert rows[2] - rows[0] == pytest.approx(0.9 * GB / (2 * 4 * 19_291), abs=2)


def engine_of(cohort, plan=None, **changes):
    parameters = SMALL.with_(**changes)
    scaler = TissueScaler.fit(
        cohort.expr_tpm, cohort.tissue, len(cohort.tissues), parameters.target_scale
    )
    return Engine(parameters, cohort, scaler, "cpu", 3, plan)


def weights(engine):
    return torch.cat([value.flatten() for value in engine.networks.state_dict().values()])


@pytest.mark.parametrize(
    "changes",
    [{}, {"max_sources": 3, "covariates": ("age", "hardy")}, {"encoder_input": "z"}],
    ids=str,
)
@pytest.mark.parametrize("chunk_rows", [1, 150])
@pytest.mark.slow
def test_chunks_on_the_device_give_the_same_batches_and_weights(cohort, changes, chunk_rows):
    whole = engine_of(cohort, **changes)
    chunked = engine_of(cohort, DevicePlan(chunk_rows=max(chunk_rows, 64)), **changes)
    sampler = PairSampler(cohort.donor, whole.parameters, 0, "cpu")
    n_steps = 0
    for epoch in range(2):
        pairs = zip(
            whole.feed(sampler.batches(epoch)), chunked.feed(sampler.batches(epoch)), strict=True
        )
        for a, b in pairs:
            for rows_a, rows_b in ((a.source, b.source), (a.target, b.target), (a.extra, b.extra)):
                for name in whole.samples:
                    assert torch.equal(
                        getattr(whole, name)[rows_a], getattr(chunked, name)[rows_b]
                    )
            assert torch.equal(a.pair, b.pair)
            whole.step(a, *whole.draw(len(a.source)))
            chunked.step(b, *chunked.draw(len(b.source)))
            n_steps += 1
    assert n_steps == 2 * sampler.steps_per_epoch
    assert len(chunked.expr_z) < cohort.n_samples or chunk_rows > 64
    assert torch.equal(weights(whole), weights(chunked))


def plain_and_run(cohort, record, **changes):
    """Train one engine plainly and one through a StepRunner that is told to record a graph."""
    plain, run = engine_of(cohort, **changes), engine_of(cohort, DevicePlan(graph=True), **changes)
    take_step = StepRunner(run, record)
    sampler = PairSampler(cohort.donor, plain.parameters, 0, "cpu")
    for batch in sampler.batches(0):
        plain.step(batch, *plain.draw(len(batch.source)))
        take_step(batch)
    assert sampler.steps_per_epoch > WARM_UP_STEPS + 3
    return plain, run, take_step


def test_replays_take_every_batch_and_every_draw_as_plain_steps_do(cohort, caplog):
    calls = []

    def record(step, generator):
        def replay():
            calls.append(1)
            step()

        return replay

    with caplog.at_level(logging.INFO):
        plain, run, take_step = plain_and_run(cohort, record)
    assert torch.equal(weights(plain), weights(run))
    assert torch.equal(plain.totals, run.totals)
    assert torch.equal(plain.generator.get_state(), run.generator.get_state())
    sampler = PairSampler(cohort.donor, plain.parameters, 0, "cpu")
    assert len(calls) == len(sampler) // SMALL.batch_size - WARM_UP_STEPS
    assert "one CUDA graph" in caplog.text


def wrong_masks(step, generator):
    def replay():
        generator.manual_seed(99)
        step()

    return replay


def nothing_at_all(step, generator):
    return lambda: None


def failing(step, generator):
    generator.manual_seed(99)
    raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (wrong_masks, "differed by"),
        (nothing_at_all, "differed by 100.0%"),
        (failing, "operation not permitted"),
        pytest.param(
            capture,
            "no CUDA graph",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="recording would succeed"),
        ),
    ],
)
def test_a_graph_that_fails_or_differs_leaves_plain_training_untouched(
    cohort, caplog, record, reason
):
    plain, run, take_step = plain_and_run(cohort, record, dropout=0.5)
    assert not take_step.wanted
    assert reason in caplog.text
    assert torch.equal(weights(plain), weights(run))
    assert torch.equal(plain.totals, run.totals)


def test_a_rate_in_a_tensor_follows_a_schedule_as_a_number_does():
    """On a GPU the optimisers hold their rate in a tensor, which a CUDA graph reads."""
    rates, ends = [], []
    for rate in (5e-4, torch.tensor(5e-4)):
        weight = torch.nn.Parameter(torch.ones(3))
        optimizer = torch.optim.Adam([weight], lr=rate, betas=(0.5, 0.9), fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, 5e-4, total_steps=12, cycle_momentum=False
        )
        held = optimizer.param_groups[0]["lr"]
        seen = []
        for _ in range(10):
            weight.grad = weight.detach() ** 2
            optimizer.step()
            schedule.step()
            seen.append(float(optimizer.param_groups[0]["lr"]))
        if isinstance(held, torch.Tensor):
            assert optimizer.param_groups[0]["lr"] is held
        rates.append(seen)
        ends.append(weight.detach().numpy())
    np.testing.assert_allclose(rates[0], rates[1], rtol=1e-6)
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_real_graph_ends_where_plain_steps_end(cohort):
    def trained(plan):
        parameters = SMALL.with_(schedule="one_cycle")
        scaler = TissueScaler.fit(cohort.expr_tpm, cohort.tissue, len(cohort.tissues), "tpm_z")
        engine = Engine(parameters, cohort, scaler, "cuda", 3, plan)
        take_step = StepRunner(engine)
        for batch in PairSampler(cohort.donor, parameters, 0, "cuda").batches(0):
            take_step(batch)
        return weights(engine), take_step.wanted

    plain, _ = trained(DevicePlan())
    replayed, recorded = trained(DevicePlan(graph=True))
    assert recorded
    assert torch.allclose(plain, replayed, atol=1e-4)


def test_vector_math_is_exact_in_every_thread_once_settled():
    values = torch.rand(200_000) + 1
    settle_vector_math()
    exact = np.log2(values.double().numpy()).astype(np.float32)
    np.testing.assert_array_max_ulp(torch.log2(values).numpy(), exact, maxulp=2)
