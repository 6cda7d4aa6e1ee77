"""How networks of analyses are trained: AdamW in one cycle, the weights of the best pass kept."""

import copy
from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np
import torch
from torch import nn

# Share of a training in which the learning rate rises. Nothing is told better for a while then.
RISING = 0.3
# A cycle of fewer steps has no rise.
FEWEST_STEPS = 4


class Schedule(Protocol):
    """Settings of a training: highest learning rate, passes at most, passes to wait."""

    learning_rate: float
    epochs: int
    patience: int


def stepper(
    net: nn.Module, learning_rate: float, n_steps: int, clip: float | None = None
) -> Callable[[torch.Tensor], None]:
    """Return what takes one step down a loss, by AdamW at a rate that rises and falls.

    Parameters
    ----------
    net
        What is trained.
    learning_rate
        The highest.
    n_steps
        Of the whole training.
    clip
        Norm of the gradient at most; None for any.
    """
    optimizer = torch.optim.AdamW(net.parameters(), learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning_rate, total_steps=max(n_steps, FEWEST_STEPS), pct_start=RISING
    )

    def step(loss: torch.Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimizer.step()
        schedule.step()

    return step


def train_to_best(
    net: nn.Module,
    passes: Iterable[object],
    error: Callable[[], float],
    settings: Schedule,
    limit: float = np.inf,
) -> None:
    """Train pass by pass, and leave the weights of the pass with the least error.

    Passes without a smaller error are counted from where the learning rate begins to fall: while
    it rises, errors go up and down, and a training ended there is hardly begun.

    Parameters
    ----------
    net
        Untrained.
    passes
        Trains when the next one is asked for.
    error
        Error of what is left out, asked after each pass.
    settings
        Of the training.
    limit
        Where no pass has a smaller error the weights are those before training.
    """
    best, weights, last = limit, copy.deepcopy(net.state_dict()), 0
    for epoch, _ in enumerate(passes):
        now = error()
        if now < best:
            best, weights, last = now, copy.deepcopy(net.state_dict()), epoch
        elif epoch - max(last, RISING * settings.epochs) >= settings.patience:
            break
    net.load_state_dict(weights)
