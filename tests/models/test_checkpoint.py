"""Training state: whole or set aside, of this run or left alone."""

import hashlib
import io
import logging
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from cohorts import simulated_cohort

from mtm.models.base import Training
from mtm.models.checkpoint import Checkpoint, run_key
from mtm.models.mlp.model import MLP
from mtm.models.mlp.stack import TissueStack
from mtm.models.mlp.training import Run
from mtm.models.mtm.model import MTM
from mtm.models.registry import build

COMMON = {
    "encoder_widths": (6,), "code_width": 4, "batch_size": 16, "epochs": 3,
    "precision": "float32", "checkpoint_every": 1,
}  # fmt: skip
PARAMETERS = {
    "mtm": COMMON | {"generator_widths": (6,), "discriminator_widths": (6,),
                     "mapping_widths": (4,), "noise_width": 3},
    "mlp": COMMON | {"decoder_widths": (6,), "min_pairs": 5},
}  # fmt: skip


@pytest.fixture(scope="module")
def small():
    return simulated_cohort(n_donors=24, n_tissues=3, n_genes=8)


def fitted(name, cohort, checkpoint, **settings):
    """Return the weights of a model after training."""
    model = build(name, PARAMETERS[name])
    source = cohort.tissue_index("Whole Blood")
    model.fit(Training(cohort, source, 3, device="cpu", checkpoint=checkpoint, **settings))
    return model.state()


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


@pytest.fixture(scope="module", params=sorted(PARAMETERS))
def run(request, small, tmp_path_factory):
    """A model, the weights of its unbroken run, and the state that a killed one leaves."""
    folder = tmp_path_factory.mktemp("run")
    weights = fitted(request.param, small, folder)
    return request.param, weights, (folder / "state.pt").read_bytes()


def with_digest(content):
    return content + hashlib.sha256(content).digest()


def saved(state):
    content = io.BytesIO()
    torch.save(state, content)
    return content.getvalue()


DAMAGES = {
    "empty": lambda state: b"",
    "short": lambda state: state[:20],
    "truncated": lambda state: state[: len(state) // 2],
    "without_its_end": lambda state: state[:-1],
    "garbage": lambda state: bytes(np.random.default_rng(0).integers(0, 256, 5000, np.uint8)),
    "zeros": lambda state: bytes(len(state)),
    "pickled": lambda state: with_digest(pickle.dumps(print)),
    "of_something_else": lambda state: with_digest(saved({"step": 3})),
    "one_flipped_bit": lambda state: state[:4000] + bytes([state[4000] ^ 1]) + state[4001:],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_state_is_set_aside_and_training_starts_anew(
    run, small, tmp_path, caplog, damage
):
    name, weights, state = run
    (tmp_path / "state.pt").write_bytes(damage(state))
    with caplog.at_level(logging.INFO):
        again = fitted(name, small, tmp_path)
    assert "state.pt is damaged, is now state.pt.damaged and is not used" in caplog.text
    assert "resumed" not in caplog.text
    assert (tmp_path / "state.pt.damaged").read_bytes() == damage(state)
    assert same(again, weights)


def test_an_undamaged_state_of_the_same_run_is_taken_up(run, small, tmp_path, caplog):
    name, weights, state = run
    (tmp_path / "state.pt").write_bytes(state)
    with caplog.at_level(logging.INFO):
        again = fitted(name, small, tmp_path)
    assert "resumed at" in caplog.text
    assert same(again, weights)


@pytest.mark.parametrize("change", [{"code": "another"}, {"monitor_every": 5}], ids=str)
def test_a_state_of_other_code_or_settings_is_left_alone(run, small, tmp_path, caplog, change):
    name, weights, state = run
    (tmp_path / "state.pt").write_bytes(state)
    with caplog.at_level(logging.INFO):
        again = fitted(name, small, tmp_path, monitor=lambda model: {}, **change)
    assert "is of other settings, data or code and is not used" in caplog.text
    assert "resumed" not in caplog.text
    assert same(again, weights)


def test_every_flipped_byte_is_noticed(tmp_path):
    checkpoint = Checkpoint(tmp_path, "key")
    checkpoint.write("state.pt", weights=torch.arange(5.0), rows=[{"loss": 1.0}])
    assert checkpoint.read("state.pt")["weights"].tolist() == [0, 1, 2, 3, 4]
    whole = (tmp_path / "state.pt").read_bytes()
    for place in [*range(0, len(whole), 7), len(whole) - 1]:
        damaged = bytearray(whole)
        damaged[place] ^= 1
        (tmp_path / "state.pt").write_bytes(damaged)
        assert checkpoint.read("state.pt") is None, place


def test_without_a_folder_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checkpoint = Checkpoint(None, "key")
    checkpoint.write("state.pt", step=1)
    assert checkpoint.read("state.pt") is None
    assert not list(tmp_path.iterdir())


def test_the_key_follows_all_that_a_state_depends_on(small):
    training = Training(small, source=0, seed=3, code="abc")
    parameters, data = MLP().parameters, torch.arange(6.0)

    def key(training=training, parameters=parameters, precision="float32", data=data):
        return run_key(training, parameters, precision, [data])

    others = [
        key(replace(training, **change))
        for change in (
            {"source": 1}, {"seed": 4}, {"code": "abd"}, {"monitor_every": 1},
            {"cohort": small.of_donors(small.donors.index[1:])},
            {"cohort": replace(small, genes=small.genes.rename(index=lambda gene: gene + "x"))},
            {"cohort": replace(small, tissues=small.tissues[::-1])},
            {"cohort": replace(small, donor=small.donor[::-1])},
            {"cohort": replace(small, tissue=small.tissue[::-1])},
        )
    ]  # fmt: skip
    others += [
        key(parameters=MTM().parameters), key(precision="tf32"), key(data=data + 1),
        key(parameters=MLP(type(parameters)(epochs=9)).parameters),
    ]  # fmt: skip
    assert key() == key(replace(training, device="cuda", checkpoint=None))
    assert len({key(), *others}) == 1 + len(others)


def test_a_joint_state_of_other_covariates_is_left_alone(small, tmp_path, caplog):
    parameters = {
        "n_factors": 2, "noise_rank": 2, "noise_freedom": 20, "fits": 1, "iterations": 4,
        "checkpoint_every": 2, "tolerance": 0,
    }  # fmt: skip

    def loadings(cohort, checkpoint=None):
        model = build("joint", parameters)
        source = cohort.tissue_index("Whole Blood")
        model.fit(Training(cohort, source, device="cpu", checkpoint=checkpoint))
        return model.state()

    loadings(small, tmp_path)
    older = replace(small, donors=small.donors.assign(age=small.donors["age"][::-1].to_numpy()))
    without = replace(small, donors=small.donors.drop(columns="sex"))
    for changed in (older, without):
        assert same(loadings(changed, tmp_path), loadings(changed))
    assert "is of other settings, data or code and is not used" in caplog.text


class Killed(Exception):
    pass


def test_a_lost_wave_is_trained_anew_and_a_stale_one_after_it_does_no_harm(tmp_path, monkeypatch):
    cohort = simulated_cohort(n_donors=24, n_tissues=4, n_genes=8)

    def weights(order, kill_at=None):
        """Train a tissue a wave, the tissues with places `order` among those left."""

        def plan(self, sizes):
            left = sorted(sizes)
            return [[[left[place]]] for place in order if place < len(left)]

        calls = []

        def counted(self, epoch):
            calls.append(epoch)
            if len(calls) == kill_at:
                raise Killed
            return step(self, epoch)

        step = TissueStack.epoch
        with monkeypatch.context() as patch:
            patch.setattr(Run, "_plan", plan)
            patch.setattr(TissueStack, "epoch", counted)
            return fitted("mlp", cohort, tmp_path), len(calls)

    unbroken, n_calls = weights([0, 1, 2])
    assert n_calls == 9
    (tmp_path / "wave0.pt").write_bytes(b"")
    with pytest.raises(Killed):
        weights([1, 0, 2], kill_at=4)
    # The second tissue is in the new wave0.pt and in wave1.pt of the first run.
    again, n_calls = weights([0, 1])
    assert n_calls == 6
    assert all(np.array_equal(again[key], unbroken[key]) for key in unbroken)
