"""Collapsed codes: measured, told, and trained anew where that is asked for."""

import logging

import numpy as np
import pandas as pd
import pytest
import torch

from mtm.models.base import Training
from mtm.models.mtm.collapse import Probe, code_spread, restart_seed
from mtm.models.mtm.model import MTM, MTMParameters
from mtm.models.mtm.training import Run
from mtm.settings.models.mtm import COLLAPSED

SMALL = MTMParameters(
    encoder_widths=(8,), code_width=4, generator_widths=(8,), discriminator_widths=(8,),
    mapping_widths=(4,), noise_width=3, batch_size=16, epochs=4, precision="float32",
    checkpoint_every=1,
)  # fmt: skip
SEED = 3


def trained(cohort, parameters=SMALL, seed=SEED, checkpoint=None, **settings):
    """Return a model's weights and its training table."""
    model = MTM(parameters)
    source = cohort.tissue_index("Whole Blood")
    table = model.fit(
        Training(cohort, source, seed, device="cpu", checkpoint=checkpoint, **settings)
    )
    return model.state(), table


def same(one, other):
    return all(np.array_equal(one[key], other[key]) for key in one)


@pytest.fixture
def collapsing(monkeypatch):
    """Have the codes of some seeds read as collapsed."""

    def of_seeds(*seeds):
        read = Probe.__call__
        monkeypatch.setattr(
            Probe, "__call__", lambda self: 1e-6 if self.engine.seed in seeds else read(self)
        )

    return of_seeds


def test_spread_is_the_sd_between_samples_relative_to_the_size():
    rng = np.random.default_rng(0)
    noise = torch.from_numpy(rng.standard_normal((200, 5)))
    noise -= noise.mean(0)
    assert code_spread(noise) == pytest.approx(1)
    for ratio in (1e-5, 0.01, 0.5):
        size = np.sqrt(1 - ratio**2)
        codes = size + ratio * noise / noise.square().mean().sqrt()
        assert code_spread(codes) == pytest.approx(ratio, rel=1e-6)
        assert code_spread(300 * codes) == pytest.approx(ratio, rel=1e-6)
    assert code_spread(torch.full((7, 3), 0.1)) == pytest.approx(0, abs=1e-7)
    assert code_spread(torch.zeros(7, 3)) == 0
    assert np.isnan(code_spread(torch.ones(1, 3)))


def test_donors_are_told_apart_within_the_source_alone(cohort):
    """An encoder that knows nothing but the tissue has collapsed."""
    model = MTM(SMALL)
    source = cohort.tissue_index("Whole Blood")
    model.fit(Training(cohort, source, SEED, device="cpu"))
    engine = type("Engine", (), {})()
    engine.device, engine.networks = "cpu", {"encoder": lambda expr, tissue: tissue[:, None] + 1.0}
    engine.samples = {
        "tissue": torch.from_numpy(cohort.tissue),
        "encoder_expr": torch.from_numpy(cohort.expr_tpm),
    }
    assert Probe(engine, source)() == 0
    engine.networks["encoder"] = lambda expr, tissue: expr
    rows = np.flatnonzero(cohort.tissue == source)
    assert Probe(engine, source)() == code_spread(torch.from_numpy(cohort.expr_tpm[rows]))


def test_looking_at_codes_changes_nothing_that_is_learned(cohort, monkeypatch):
    weights, table = trained(cohort)
    assert table["code_spread"].between(COLLAPSED, 1).all()
    assert table["collapsed"].tolist()[-1] == 0
    assert table["collapsed"].isna().tolist() == [True] * 3 + [False]
    monkeypatch.setattr(Probe, "__call__", lambda self: 0.5)
    assert same(trained(cohort)[0], weights)


def test_a_collapse_is_told_by_the_table_and_the_log(cohort, caplog):
    """Weights that decay to nothing at every step leave the bias of the codes alone."""
    parameters = SMALL.with_(optimizer="adamw", learning_rate=1e-4, weight_decay=1e4, epochs=8)
    with caplog.at_level(logging.WARNING):
        _, table = trained(cohort, parameters)
    last = table.iloc[-1]
    assert last["code_spread"] < COLLAPSED
    assert (last["collapsed"], last["restarts"]) == (1, 0)
    assert "the encoder has collapsed" in caplog.text
    assert caplog.text.count("may have collapsed") == 1
    # Not in the first half, when all codes may still be alike.
    steps = [record.args[1] for record in caplog.records if "differ by" in record.msg]
    assert min(steps) > table["step"].iloc[-1] / 2


@pytest.mark.parametrize(("adversary", "told"), [(1.0, True), (0.0, False)])
def test_too_few_steps_are_told_before_the_first(cohort, caplog, adversary, told):
    with caplog.at_level(logging.WARNING):
        trained(cohort, SMALL.with_(lambda_adversarial=adversary, epochs=1))
    assert ("steps are few" in caplog.text) == told


@pytest.mark.slow
def test_a_collapsed_training_starts_again_as_another_seed_would(cohort, collapsing, caplog):
    again = restart_seed(SEED, 1)
    weights, _ = trained(cohort, seed=again)
    collapsing(SEED)
    with caplog.at_level(logging.WARNING):
        restarted, table = trained(cohort, SMALL.with_(restarts=2))
    assert same(restarted, weights)
    assert (table["restarts"] == 1).all()
    assert len(table) == 4
    assert table["collapsed"].iloc[-1] == 0
    assert "starts again with another seed" in caplog.text


@pytest.mark.slow
def test_the_last_attempt_is_kept_and_told_to_have_collapsed(cohort, collapsing):
    collapsing(*(restart_seed(SEED, restarts) for restarts in range(3)))
    _, table = trained(cohort, SMALL.with_(restarts=2))
    assert table.iloc[-1][["restarts", "collapsed"]].tolist() == [2, 1]


def test_the_step_that_restarts_can_be_set(cohort, collapsing, monkeypatch):
    collapsing(SEED)
    steps = []
    note = Run._note
    monkeypatch.setattr(Run, "_note", lambda run: (steps.append(run.step), note(run))[1])
    _, table = trained(cohort, SMALL.with_(restarts=1, restart_step=5))
    assert steps == [*range(1, 6), *range(1, int(table["step"].iloc[-1]) + 1)]


@pytest.mark.parametrize("attempt", [0, 1])
@pytest.mark.slow
def test_a_killed_training_with_a_restart_ends_with_the_same_bits(
    cohort, collapsing, tmp_path, attempt, monkeypatch
):
    collapsing(SEED)
    parameters = SMALL.with_(restarts=1)
    weights, table = trained(cohort, parameters)

    class Killed(Exception):
        pass

    note = Run._note

    def killed(run):
        note(run)
        if run.restarts == attempt and run.step == 2 * run.per_epoch + 1:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_note", killed)
        with pytest.raises(Killed):
            trained(cohort, parameters, checkpoint=tmp_path)
    taken = []

    def counted(run):
        taken.append((run.restarts, run.step))
        note(run)

    monkeypatch.setattr(Run, "_note", counted)
    resumed, again = trained(cohort, parameters, checkpoint=tmp_path)
    assert same(resumed, weights)
    pd.testing.assert_frame_equal(again.drop(columns="seconds"), table.drop(columns="seconds"))
    # It went on where the state was written, in the attempt that was killed.
    assert taken[0][0] == attempt
    assert taken[0][1] == table["step"].iloc[1] + 1
