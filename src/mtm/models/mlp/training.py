"""One training run of the per-tissue networks: waves, progress, exact resume."""

import logging
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from mtm.models.base import Training
from mtm.models.checkpoint import Checkpoint, run_key
from mtm.models.device import choose_device
from mtm.models.mlp.stack import Layers, TissueStack, plan_waves
from mtm.models.networks import choose_precision, set_precision
from mtm.progress import Bar
from mtm.settings.models.mlp import MLPParameters

LOGGER = logging.getLogger(__name__)
STATE = "state.pt"


def training_pairs(
    training: Training, min_pairs: int
) -> tuple[dict[int, np.ndarray], dict[int, int]]:
    """Return the training donors' samples of the source and of each target tissue.

    Returns
    -------
    dict[int, np.ndarray]
        By target tissue, rows of the training cohort of shape ``(n_pairs, 2)``: source, target.
    dict[int, int]
        Number of pairs of the tissues that have fewer than `min_pairs`.
    """
    rows = training.cohort.row_of()
    found = {}
    for target in range(rows.shape[1]):
        if target != training.source:
            both = rows[:, [training.source, target]]
            found[target] = both[(both >= 0).all(1)]
    pairs = {target: both for target, both in found.items() if len(both) >= min_pairs}
    return pairs, {target: len(both) for target, both in found.items() if target not in pairs}


class Run:
    """One training run: waves of stacks, progress, checkpoints, the training table.

    Parameters
    ----------
    parameters
        Hyper-parameters.
    training
        What the networks learn from.
    expr_z
        Its samples, shape ``(n_samples, n_genes)``.
    pairs
        As `training_pairs` returns them.
    monitor
        Returns figures for the training table.

    Attributes
    ----------
    fits
        Layers of every tissue in training or trained.
    """

    def __init__(
        self,
        parameters: MLPParameters,
        training: Training,
        expr_z: np.ndarray,
        pairs: dict[int, np.ndarray],
        monitor: Callable[[], dict[str, float]],
    ):
        p = self.parameters = parameters
        self.training, self.pairs, self.monitor = training, pairs, monitor
        self.fits: dict[int, Layers] = {}
        self.device = choose_device(training.device)
        self.precision = choose_precision(p.precision, self.device)
        dtype = set_precision(self.precision, self.device)
        self.expr_z = torch.from_numpy(expr_z).to(self.device, dtype)
        self.per_epoch = max(-(-len(rows) // p.batch_size) for rows in pairs.values())
        self.loss, self.seconds = np.zeros(p.epochs), np.zeros(p.epochs)
        self.held_out: dict[int, dict[str, float]] = {}
        arrays = [self.expr_z, *(torch.from_numpy(rows) for rows in pairs.values())]
        self.checkpoint = Checkpoint(
            training.checkpoint, run_key(training, p, self.precision, arrays)
        )

    def train(self) -> pd.DataFrame:
        """Train every tissue to the end.

        Returns
        -------
        pd.DataFrame
            One row an epoch: ``epoch`` (passes done), ``step`` (optimiser steps of the tissue
            with most pairs), ``seconds`` of training, all tissues together, ``loss`` (mean over
            tissues) and what the monitor returned.
        """
        left, n_done = dict(self.pairs), 0
        while (saved := self._read(f"wave{n_done}.pt", left)) is not None:
            for target, layers in saved["fits"].items():
                self.fits[target] = [tuple(pair) for pair in layers]
                del left[target]
            self.loss += saved["loss"].numpy()
            self.seconds += saved["seconds"].numpy()
            n_done += 1
        saved = self._read(STATE, left)
        if saved is not None and saved["wave"] != n_done:
            saved = None
        waves = [] if saved is None else [[stack["tissues"] for stack in saved["stacks"]]]
        planned = {t for wave in waves for stack in wave for t in stack}
        waves += self._plan({t: len(rows) for t, rows in left.items() if t not in planned})
        n_waves = n_done + len(waves)
        if self.training.monitor_every and n_waves > 1:
            LOGGER.warning("not all tissues fit into memory: held-out accuracy at the end alone")
        LOGGER.info(
            "training on %s in %s: %d tissues, %d pairs, %d stacks in %d waves, %d epochs",
            self.device, self.precision, len(left), sum(map(len, left.values())),
            sum(map(len, waves)), n_waves, self.parameters.epochs,
        )  # fmt: skip
        for wave, tissues in enumerate(waves, n_done):
            self._train_wave(wave, n_waves, tissues, saved)
            saved = None
        steps = np.arange(1, self.parameters.epochs + 1)
        table = pd.DataFrame(
            {
                "epoch": steps,
                "step": steps * self.per_epoch,
                "seconds": self.seconds,
                "loss": self.loss / len(self.pairs),
            }
        )
        return table.join(pd.DataFrame.from_dict(self.held_out, orient="index"), on="epoch")

    def _plan(self, sizes: dict[int, int]) -> list[list[list[int]]]:
        if not sizes:
            return []
        p = self.parameters
        budget = p.memory_mb * 2**20
        if self.device == "cuda":
            # A tenth is left to the allocator's fragments and the libraries' workspaces.
            budget = 0.9 * torch.cuda.mem_get_info()[0]
        widths = p.widths(self.expr_z.shape[1])
        return plan_waves(sizes, widths, p.batch_size, self.precision, self.device, budget)

    def _train_wave(
        self, wave: int, n_waves: int, tissues: list[list[int]], saved: dict | None
    ) -> None:
        """Train the stacks of one wave from their first epoch, or from `saved`, to their last."""
        p = self.parameters
        stacks = [
            TissueStack(
                p, {t: self.pairs[t] for t in stack}, self.expr_z, self.precision,
                self.training.seed,
            )
            for stack in tissues
        ]  # fmt: skip
        for stack in stacks:
            self.fits |= stack.fits()
        loss, seconds, done = np.zeros(p.epochs), np.zeros(p.epochs), 0
        if saved is not None:
            for stack, state in zip(stacks, saved["stacks"], strict=True):
                stack.restore(state)
            loss, seconds = saved["loss"].numpy(), saved["seconds"].numpy()
            self.held_out, done = saved["held_out"], saved["epoch"]
            LOGGER.info("resumed at epoch %d of %d", done, p.epochs)
        started = time.monotonic() - (seconds[done - 1] if done else 0.0)
        name = "mlp" if n_waves == 1 else f"mlp {wave + 1}/{n_waves}"
        with Bar(p.epochs, "epoch", name, done) as bar:
            for epoch in range(done, p.epochs):
                each = self._epoch(stacks, epoch)
                loss[epoch] = each.sum()
                bar.set_postfix(loss=f"{each.mean():.3f}", refresh=False)
                bar.update()
                if self._watched(epoch + 1, n_waves, wave):
                    self.held_out[epoch + 1] = self.monitor()
                seconds[epoch] = time.monotonic() - started
                due = p.checkpoint_every and (epoch + 1) % p.checkpoint_every == 0
                if due and epoch + 1 < p.epochs:
                    self._write(
                        STATE, loss, seconds, wave=wave, epoch=epoch + 1,
                        stacks=[stack.state() for stack in stacks], held_out=self.held_out,
                    )  # fmt: skip
        self.loss += loss
        self.seconds += seconds
        if wave + 1 < n_waves:
            fits = {
                tissue: [tuple(w.cpu() for w in pair) for pair in layers]
                for stack in stacks
                for tissue, layers in stack.fits().items()
            }
            self.fits |= fits
            if p.checkpoint_every:
                self._write(f"wave{wave}.pt", loss, seconds, fits=fits)

    def _epoch(self, stacks: list[TissueStack], epoch: int) -> np.ndarray:
        """Train all stacks for one epoch; return the loss of each tissue."""
        losses = torch.cat([stack.epoch(epoch) for stack in stacks]).cpu().numpy()
        if not np.isfinite(losses).all():
            target = [t for stack in stacks for t in stack.tissues][np.isfinite(losses).argmin()]
            raise FloatingPointError(
                f"loss of {self.training.cohort.tissues[target]} is not finite in epoch "
                f"{epoch + 1}"
            )
        return losses

    def _watched(self, epoch: int, n_waves: int, wave: int) -> bool:
        """Whether the monitor is called after `epoch`: where all tissues have come that far."""
        every = self.training.monitor_every
        if not every:
            return False
        if epoch == self.parameters.epochs:
            return wave + 1 == n_waves
        passed = epoch * self.per_epoch // every > (epoch - 1) * self.per_epoch // every
        return passed and n_waves == 1

    def _write(self, name: str, loss: np.ndarray, seconds: np.ndarray, **state) -> None:
        times = {"loss": torch.from_numpy(loss), "seconds": torch.from_numpy(seconds)}
        self.checkpoint.write(name, **state, **times)

    def _read(self, name: str, left: dict[int, np.ndarray]) -> dict | None:
        """Return a state; None where there is none of tissues that are all `left` to train.

        A state outlives that of an earlier wave where that one was damaged.
        """
        saved = self.checkpoint.read(name)
        if saved is None:
            return None
        stacks = saved["stacks"] if "stacks" in saved else [{"tissues": saved["fits"]}]
        return saved if all(left.keys() >= set(stack["tissues"]) for stack in stacks) else None
