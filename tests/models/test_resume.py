"""Every class of model, killed whenever it has kept a state: the next fit ends as it would."""

from contextlib import suppress

import numpy as np
import pytest
from cohorts import simulated_cohort
from pandas.testing import assert_frame_equal
from tests.hostile.models import KEY, TINY

from mtm.models.base import Training
from mtm.models.checkpoint import Checkpoint
from mtm.models.registry import build, model_names

# Long enough for several states; a class that is not named here trains at its smallest settings.
LONGER = {
    "mtm": {"steps": 0, "epochs": 6, "checkpoint_every": 2},
    "mlp": {"epochs": 6, "checkpoint_every": 2},
    "joint": {"iterations": 8, "checkpoint_every": 2, "tolerance": 0, "noise_freedom": [20]},
}
# The others are fitted in one go; a class that comes to keep states is named here.
STATEFUL = {"mtm", "mlp", "joint"}


class Killed(BaseException):
    """What no code of a model may catch."""


@pytest.fixture(scope="module")
def cohort():
    return simulated_cohort(n_donors=40)


@pytest.fixture(scope="module")
def members(cohort, tmp_path_factory):
    """Bundles of the models that those made of others take."""
    folder = tmp_path_factory.mktemp("members")
    paths = {}
    for name in sorted({name for given in TINY.values() for name in given.get("models", ())}):
        model = build(name, TINY[name])
        model.fit(Training(cohort, cohort.tissue_index("Whole Blood"), device="cpu"))
        model.save(paths.setdefault(name, folder / f"{name}.safetensors"), KEY)
    return paths


@pytest.mark.slow
@pytest.mark.parametrize("name", model_names())
def test_a_fit_killed_after_any_state_goes_on_to_the_same_bits(
    name, cohort, members, tmp_path, monkeypatch
):
    parameters = TINY.get(name, {}) | LONGER.get(name, {})

    def fit(checkpoint):
        model = build(name, parameters)
        source = cohort.tissue_index("Whole Blood")
        given = {part: members[part] for part in parameters.get("models", ())}
        training = Training(
            cohort, source, device="cpu", checkpoint=checkpoint, members=given, donors_key=KEY
        )
        table = model.fit(training)
        return model.state(), table

    write, states = Checkpoint.write, []

    def killed(self, name, **state):
        write(self, name, **state)
        # Fits within a fit keep none.
        if self.folder is not None:
            states.append(name)
            raise Killed

    whole, whole_table = fit(tmp_path / "unbroken")
    monkeypatch.setattr(Checkpoint, "write", killed)
    # Killed after every state in turn, and taken up from it.
    for _ in range(50):
        with suppress(Killed):
            resumed, resumed_table = fit(tmp_path / "killed")
            break
    assert (len(states) > 1) == (name in STATEFUL)
    assert resumed.keys() == whole.keys()
    for of, array in whole.items():
        np.testing.assert_array_equal(resumed[of], array)
    timed = ["seconds"]
    assert_frame_equal(
        resumed_table.drop(columns=timed, errors="ignore"),
        whole_table.drop(columns=timed, errors="ignore"),
    )
