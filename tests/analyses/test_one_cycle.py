import numpy as np
import pytest
import torch
from torch import nn

from mtm.analyses.one_cycle import best_weights, stepper, train_to_best
from mtm.settings.landmarks import DGEXSettings

# The learning rate of ten passes rises in the first three.
SETTINGS = DGEXSettings(epochs=10, patience=2)


def counting():
    """Return a weight that says how many passes it has seen, what they are, and their list."""
    net, seen = nn.Linear(1, 1, bias=False), []
    nn.init.zeros_(net.weight)

    def passes():
        for _ in range(SETTINGS.epochs):
            nn.init.constant_(net.weight, len(seen) + 1)
            seen.append(None)
            yield

    return net, passes, seen


def trained(errors, limit=float("inf")):
    """Train that weight; return it, and the number of passes."""
    net, passes, seen = counting()
    train_to_best(net, passes(), lambda: errors[len(seen) - 1], SETTINGS, limit)
    return int(net.weight.item()), len(seen)


@pytest.mark.parametrize(
    ("errors", "kept", "n_passes"),
    [
        # Nothing better from the first on: two passes are waited for once the rate falls.
        ([5, 6, 6, 6, 6, 6, 6, 6, 6, 6], 1, 6),
        ([9, 8, 7, 6, 5, 5, 4, 4, 4, 0], 7, 9),
        ([9, 8, 7, 6, 5, 4, 4, 4, 0, 0], 6, 8),
        ([9, 8, 7, 6, 5, 4, 3, 2, 1, 0], 10, 10),
        ([float("nan")] * 10, 0, 6),
    ],
)
def test_best_pass_is_kept_and_training_ends_when_nothing_gets_better(errors, kept, n_passes):
    assert trained(errors) == (kept, n_passes)


def test_what_is_no_better_than_nothing_is_as_before_training():
    assert trained([5, 4, 3, 3, 3, 3, 3, 3, 3, 3], limit=3) == (0, 6)


def test_each_kind_of_error_has_the_weights_of_its_own_best_pass():
    net, passes, seen = counting()
    errors = np.array([[3, 1, 2, 2, 2, 2, 2, 2, 2, 2], [9, 8, 7, 6, 5, 4, 4, 4, 3, 2], [9] * 10]).T
    limits = np.array([5.0, 9.5, 9.0])
    weights = best_weights(net, passes(), lambda: errors[len(seen) - 1], SETTINGS, limits)
    assert [int(one["weight"].item()) for one in weights] == [2, 6, 0]
    assert len(seen) == 8


def test_steps_reach_the_minimum_and_huge_gradients_do_no_harm():
    for clip in (None, 1.0):
        weight = nn.Linear(1, 1, bias=False)
        step = stepper(weight, 0.1, 400, clip)
        for _ in range(400):
            step(1e6 * (weight(torch.ones(1)) - 3).square().sum())
        # AdamW's decay of weights holds a little against it.
        assert weight.weight.item() == pytest.approx(3, abs=0.1)
