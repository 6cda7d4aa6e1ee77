"""One training run of the per-tissue networks: waves, progress, exact resume."""

import hashlib
import json
import logging
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from mtm.errors import InputError
from mtm.io import atomic_path
from mtm.models.base import Predictor, Training
from mtm.models.device import choose_device, choose_precision
from mtm.models.mlp.stack import TissueStack, plan_waves
from mtm.models.per_tissue import sample_rows

LOGGER = logging.getLogger(__name__)


CHECKPOINT_VERSION = 1


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

    Raises
    ------
    InputError
        No tissue has `min_pairs` pairs.
    """
    rows = sample_rows(training.cohort)
    found = {}
    for target in range(rows.shape[1]):
        if target != training.source:
            both = rows[:, [training.source, target]]
            found[target] = both[(both >= 0).all(1)]
    pairs = {target: both for target, both in found.items() if len(both) >= min_pairs}
    if not pairs:
        source = training.cohort.tissues[training.source]
        raise InputError(
            "training donors",
            f"at most {max(map(len, found.values()), default=0)} with {source} and one other "
            "tissue",
            f"{min_pairs} or more (min_pairs of model mlp) for one tissue at least",
        )
    return pairs, {target: len(both) for target, both in found.items() if target not in pairs}


class _Run:
    """One training run: waves of stacks, progress, checkpoints, the training table."""

    def __init__(self, model: Predictor, training: Training, pairs: dict[int, np.ndarray]):
        p = self.parameters = model.parameters
        self.model, self.training, self.pairs = model, training, pairs
        self.device = choose_device(training.device)
        self.precision = choose_precision(p.precision, self.device)
        if self.device == "cuda":
            tf32 = "tf32" if self.precision == "tf32" else "ieee"
            torch.backends.cuda.matmul.fp32_precision = tf32
        cohort = training.cohort
        expr_z = torch.from_numpy(model.scaler.transform(cohort.expr_tpm, cohort.tissue))
        self.expr_z = expr_z.to(
            self.device, torch.float64 if self.precision == "float64" else torch.float32
        )
        self.per_epoch = max(-(-len(rows) // p.batch_size) for rows in pairs.values())
        self.loss, self.seconds = np.zeros(p.epochs), np.zeros(p.epochs)
        self.held_out: dict[int, dict[str, float]] = {}
        self.folder = None if training.checkpoint is None else Path(training.checkpoint)
        self.key = self._key()

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
        while (saved := self._read(f"wave{n_done}.pt")) is not None:
            for target, layers in saved["fits"].items():
                self.model.fits[target] = [tuple(pair) for pair in layers]
                del left[target]
            self.loss += saved["loss"].numpy()
            self.seconds += saved["seconds"].numpy()
            n_done += 1
        saved = self._read("state.pt")
        waves = []
        if saved is not None and saved["wave"] == n_done:
            waves = [[stack["tissues"] for stack in saved["stacks"]]]
        else:
            saved = None
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
            self.model.fits |= stack.fits()
        loss, seconds, done = np.zeros(p.epochs), np.zeros(p.epochs), 0
        if saved is not None:
            for stack, state in zip(stacks, saved["stacks"], strict=True):
                stack.restore(state)
            loss, seconds = saved["loss"].numpy(), saved["seconds"].numpy()
            self.held_out, done = saved["held_out"], saved["epoch"]
            LOGGER.info("resumed at epoch %d of %d from %s", done, p.epochs, self.folder)
        started = time.monotonic() - (seconds[done - 1] if done else 0.0)
        name = "mlp" if n_waves == 1 else f"mlp {wave + 1}/{n_waves}"
        with tqdm(
            total=p.epochs, initial=done, unit="epoch", desc=name, disable=None, mininterval=1
        ) as bar:
            for epoch in range(done, p.epochs):
                each = torch.cat([stack.epoch(epoch) for stack in stacks]).cpu().numpy()
                if not np.isfinite(each).all():
                    target = [t for stack in tissues for t in stack][np.isfinite(each).argmin()]
                    raise FloatingPointError(
                        f"loss of {self.model.tissues[target]} is not finite in epoch {epoch + 1}"
                    )
                loss[epoch] = each.sum()
                bar.set_postfix(loss=f"{each.mean():.3f}", refresh=False)
                bar.update()
                if self._watched(epoch + 1, n_waves, wave):
                    self.held_out[epoch + 1] = self.training.monitor(self.model)
                seconds[epoch] = time.monotonic() - started
                due = p.checkpoint_every and (epoch + 1) % p.checkpoint_every == 0
                if due and epoch + 1 < p.epochs:
                    self._write(
                        "state.pt",
                        wave=wave,
                        epoch=epoch + 1,
                        stacks=[stack.state() for stack in stacks],
                        loss=torch.from_numpy(loss),
                        seconds=torch.from_numpy(seconds),
                        held_out=self.held_out,
                    )
        self.loss += loss
        self.seconds += seconds
        if wave + 1 < n_waves:
            fits = {
                tissue: [tuple(w.cpu() for w in pair) for pair in layers]
                for stack in stacks
                for tissue, layers in stack.fits().items()
            }
            self.model.fits |= fits
            if p.checkpoint_every:
                self._write(
                    f"wave{wave}.pt",
                    fits=fits,
                    loss=torch.from_numpy(loss),
                    seconds=torch.from_numpy(seconds),
                )

    def _watched(self, epoch: int, n_waves: int, wave: int) -> bool:
        """Whether the monitor is called after `epoch`: where all tissues have come that far."""
        every = self.training.monitor_every
        if not every:
            return False
        if epoch == self.parameters.epochs:
            return wave + 1 == n_waves
        passed = epoch * self.per_epoch // every > (epoch - 1) * self.per_epoch // every
        return passed and n_waves == 1

    def _key(self) -> str:
        """Digest of what a checkpoint must share with the run that takes it up."""
        cohort, training = self.training.cohort, self.training
        settings = self.parameters.model_dump() | {
            "version": CHECKPOINT_VERSION,
            "seed": training.seed,
            "source": training.source,
            "precision": self.precision,
            "donors": list(cohort.donors.index),
            "tissues": cohort.tissues,
            "genes": list(cohort.genes.index),
            "torch": torch.__version__,
            "monitor_every": training.monitor_every,
        }
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        digest.update(self.expr_z.cpu().numpy().data)
        for rows in self.pairs.values():
            digest.update(np.ascontiguousarray(rows).data)
        return digest.hexdigest()

    def _write(self, name: str, **state) -> None:
        if self.folder is None:
            return
        with atomic_path(self.folder / name) as temporary:
            torch.save(state | {"key": self.key}, temporary)
            with open(temporary, "rb") as handle:
                os.fsync(handle.fileno())

    def _read(self, name: str) -> dict | None:
        """Return a saved state, or None where there is none or it belongs to another run."""
        if self.folder is None or not (self.folder / name).exists():
            return None
        saved = torch.load(self.folder / name, map_location="cpu", weights_only=True)
        if saved["key"] != self.key:
            LOGGER.warning("%s is of other settings or data and is not used", self.folder / name)
            return None
        return saved
