"""MTM's training loop: schedule, progress, exact resume."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from mtm.io import atomic_path
from mtm.models.base import Training
from mtm.models.mtm.engine import LOSSES, Engine
from mtm.models.mtm.graph import (
    StepRunner,
)
from mtm.models.mtm.pairs import PairSampler
from mtm.models.mtm.stopping import stalled
from mtm.pipeline.code_digest import code_digest

LOGGER = logging.getLogger(__name__)


REPORT_EVERY = 25


def train(
    engine: Engine,
    training: Training,
    monitor: Callable[[], dict[str, float]],
    stop_score: Callable[[], float] | None = None,
) -> pd.DataFrame:
    """Run the training loop.

    A killed run that is started again goes on from its last checkpoint and ends with the weights
    of an unbroken run.

    Returns
    -------
    pd.DataFrame
        One row an epoch or monitored step: ``epoch`` (passes done), ``step``, ``seconds`` since
        the start, ``learning_rate``, the mean of every loss since the row before, what `monitor`
        returned, and ``stop_rho``, what `stop_score` returned. Without a new best of it for
        ``stop_patience`` checks the training ends; the last weights are kept, not the best ones.
    """
    p = engine.parameters
    home = "cpu" if engine.plan.chunk_rows else engine.device
    sampler = PairSampler(training.cohort.donor, p, engine.seed, home)
    per_epoch = sampler.steps_per_epoch
    total = p.steps or p.epochs * per_epoch
    schedules = []
    if p.schedule == "one_cycle":
        schedules = [
            torch.optim.lr_scheduler.OneCycleLR(
                optimizer, p.learning_rate, total_steps=total + 1, cycle_momentum=False
            )
            for optimizer in (engine.optimizer, engine.critic)[: 1 + (p.lambda_adversarial > 0)]
        ]
    key = _checkpoint_key(engine, training)
    path = None if training.checkpoint is None else Path(training.checkpoint) / "state.pt"
    rows, step, seconds = [], 0, 0.0
    saved = _read_checkpoint(path, key, engine.device)
    if saved is not None:
        engine.restore(saved["engine"])
        for schedule, state in zip(schedules, saved["schedules"], strict=True):
            schedule.load_state_dict(state)
        rows, step, seconds = saved["rows"], saved["step"], saved["seconds"]
        LOGGER.info("resumed at step %d of %d from %s", step, total, path)
    LOGGER.info(
        "training on %s in %s, %s: %d pairs, %d steps an epoch, %d steps",
        engine.device, engine.precision, engine.plan, len(sampler), per_epoch, total,
    )  # fmt: skip
    take_step = StepRunner(engine)
    started = time.monotonic() - seconds
    since = 0
    with tqdm(
        total=total, initial=step, unit="step", desc="mtm", disable=None, mininterval=1
    ) as bar:
        while step < total:
            for batch in engine.feed(sampler.batches(step // per_epoch)):
                take_step(batch)
                for schedule in schedules:
                    schedule.step()
                step, since = step + 1, since + 1
                bar.update()
                if step % REPORT_EVERY == 0 and not bar.disable:
                    means = (engine.totals / since).tolist()
                    bar.set_postfix(
                        {k[:3]: f"{v:.3f}" for k, v in zip(LOSSES, means, strict=True)}
                    )
                watched = training.monitor_every and step % training.monitor_every == 0
                checked = {}
                if stop_score is not None and step % p.stop_every == 0:
                    checked["stop_rho"] = stop_score()
                    scores = [row["stop_rho"] for row in [*rows, checked] if "stop_rho" in row]
                    if stalled(scores, p.stop_patience):
                        LOGGER.info("no better stop_rho for %d checks", p.stop_patience)
                        total = step
                ended = step % per_epoch == 0 or step == total
                if watched or ended or checked:
                    row = {
                        "epoch": step / per_epoch,
                        "step": step,
                        "seconds": time.monotonic() - started,
                        "learning_rate": float(engine.optimizer.param_groups[0]["lr"]),
                    }
                    row |= dict(zip(LOSSES, (engine.totals / since).tolist(), strict=True))
                    if not np.isfinite([row[name] for name in LOSSES]).all():
                        raise FloatingPointError(f"a loss is not finite at step {step}: {row}")
                    if watched or (step == total and training.monitor_every):
                        row |= monitor()
                    row |= checked
                    rows.append(row)
                    engine.totals.zero_()
                    since = 0
                if step == total:
                    break
            due = p.checkpoint_every and (step // per_epoch) % p.checkpoint_every == 0
            if path is not None and due and step < total:
                state = {
                    "key": key,
                    "engine": engine.state(),
                    "schedules": [schedule.state_dict() for schedule in schedules],
                    "rows": rows,
                    "step": step,
                    "seconds": time.monotonic() - started,
                }
                with atomic_path(path) as temporary:
                    torch.save(state, temporary)
                    with open(temporary, "rb") as handle:
                        os.fsync(handle.fileno())
    return pd.DataFrame(rows)


def _checkpoint_key(engine: Engine, training: Training) -> str:
    """Digest of what a checkpoint must share with the run that takes it up."""
    cohort = training.cohort
    digest = hashlib.sha256()
    settings = engine.parameters.model_dump() | {
        "code": code_digest(__file__),
        "seed": engine.seed,
        "precision": engine.precision,
        "donors": list(cohort.donors.index),
        "genes": list(cohort.genes.index),
        "torch": torch.__version__,
        "monitor_every": training.monitor_every,
    }
    digest.update(json.dumps(settings, sort_keys=True).encode())
    samples = engine.samples
    data = [samples["encoder_expr"], samples["expr_z"], engine.mean, engine.sd]
    for array in [*data, samples["covariates"]] if len(engine.design) else data:
        digest.update(memoryview(array.cpu().numpy()).cast("B"))
    return digest.hexdigest()


def _read_checkpoint(path: Path | None, key: str, device: str) -> dict | None:
    """Return the saved state, or None where there is none or it belongs to another run."""
    if path is None or not path.exists():
        return None
    saved = torch.load(path, map_location=device, weights_only=True)
    if saved["key"] != key:
        LOGGER.warning("%s is of other settings or data and is not used", path)
        return None
    return saved
