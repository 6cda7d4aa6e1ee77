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


def best_weights(
    net: nn.Module,
    passes: Iterable[object],
    errors: Callable[[], np.ndarray],
    settings: Schedule,
    limits: np.ndarray,
) -> list[dict[str, torch.Tensor]]:
    """Train pass by pass, and return the weights of the pass with the least error of each kind.

    Passes without a smaller error are counted from where the learning rate begins to fall: while
    it rises, errors go up and down, and a training ended there is hardly begun.

    Parameters
    ----------
    net
        Untrained.
    passes
        Trains when the next one is asked for.
    errors
        Errors of what is left out, asked after each pass, shape ``(n_kinds,)``.
    settings
        Of the training.
    limits
        Where no pass has a smaller error of a kind, its weights are those before training.

    Returns
    -------
    list of dict
        Weights, a kind of error each.
    """
    best, last = limits, 0
    weights = [copy.deepcopy(net.state_dict())] * len(limits)
    for epoch, _ in enumerate(passes):
        now = errors()
        better = now < best
        if better.any():
            these = copy.deepcopy(net.state_dict())
            weights = [these if new else old for new, old in zip(better, weights, strict=True)]
            best, last = np.where(better, now, best), epoch
        elif epoch - max(last, RISING * settings.epochs) >= settings.patience:
            break
    return weights


def train_to_best(
    net: nn.Module,
    passes: Iterable[object],
    error: Callable[[], float],
    settings: Schedule,
    limit: float = np.inf,
) -> None:
    """Train as `best_weights` does by one error, and leave the network with its weights."""
    limits = np.array([limit])
    [weights] = best_weights(net, passes, lambda: np.array([error()]), settings, limits)
    net.load_state_dict(weights)
