"""MTM's training loop: schedule, progress, exact resume."""

import logging
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from mtm.models.base import Training
from mtm.models.checkpoint import Checkpoint, run_key
from mtm.models.mtm.collapse import Probe
from mtm.models.mtm.engine import LOSSES, Engine
from mtm.models.mtm.graph import StepRunner
from mtm.models.mtm.pairs import PairSampler
from mtm.models.mtm.stopping import stalled
from mtm.progress import Bar
from mtm.settings.models.mtm import COLLAPSED, LEAST_STEPS

LOGGER = logging.getLogger(__name__)
REPORT_EVERY = 25
STATE = "state.pt"


class Run:
    """One training run: its steps, the training table, its checkpoint.

    Parameters
    ----------
    monitor
        Returns figures for the training table.
    stop_score
        Returns what the training may end early by; None ends it after its last step alone.
    restarts
        How often the training was started again before; the engine has a seed of its own.
    started
        When it was first started, as `time.monotonic` tells.
    """

    def __init__(
        self,
        engine: Engine,
        training: Training,
        monitor: Callable[[], dict[str, float]],
        stop_score: Callable[[], float] | None = None,
        restarts: int = 0,
        started: float | None = None,
    ):
        p = engine.parameters
        self.restarts, self.given_up, self.warned = restarts, False, False
        self.spread = Probe(engine, training.source)
        self.engine, self.monitor, self.stop_score = engine, monitor, stop_score
        self.monitor_every = training.monitor_every
        home = "cpu" if engine.plan.chunk_rows else engine.device
        self.sampler = PairSampler(training.cohort.donor, p, engine.seed, home)
        self.per_epoch = self.sampler.steps_per_epoch
        self.total = p.steps or p.epochs * self.per_epoch
        stepped = [engine.optimizer, engine.critic][: 1 + (p.lambda_adversarial > 0)]
        self.schedules = [
            torch.optim.lr_scheduler.OneCycleLR(
                optimizer, p.learning_rate, total_steps=self.total + 1, cycle_momentum=False
            )
            for optimizer in stepped
            if p.schedule == "one_cycle"
        ]
        data = (engine.samples.get(name) for name in ("encoder_expr", "expr_z", "covariates"))
        arrays = [*(array for array in data if array is not None), engine.mean, engine.sd]
        key = run_key(training, p, engine.precision, arrays)
        self.checkpoint = Checkpoint(training.checkpoint, key)
        self.rows: list[dict[str, float]] = []
        self.step = self.since = 0
        self.started = time.monotonic() if started is None else started

    def train(self) -> pd.DataFrame | None:
        """Train to the end.

        A killed run that is started again goes on from its last checkpoint and ends with the
        weights of an unbroken run. Where that is a later attempt's, this one was given up.

        Returns
        -------
        pd.DataFrame or None
            One row an epoch or monitored step: ``epoch`` (passes done), ``step``, ``seconds``
            since the start, ``learning_rate``, the mean of every loss since the row before,
            on a graphics card ``gpu_gb`` (most memory held there so far, 1e9 bytes),
            ``code_spread`` (see `mtm.models.mtm.collapse`), ``restarts``, what `monitor`
            returned, and ``stop_rho``, what `stop_score` returned; ``collapsed`` (1, 0) in the
            last row. Without a new best of ``stop_rho`` for ``stop_patience`` checks the training
            ends; the last weights are kept, not the best ones. None where codes have collapsed
            and there are restarts left.
        """
        engine = self.engine
        self._resume()
        LOGGER.info(
            "training on %s in %s, %s: %d pairs, %d steps an epoch, %d steps",
            engine.device, engine.precision, engine.plan, len(self.sampler), self.per_epoch,
            self.total,
        )  # fmt: skip
        if engine.parameters.lambda_adversarial and self.total < LEAST_STEPS:
            z = "" if engine.parameters.encoder_input == "z" else "encoder_input z, "
            LOGGER.warning(
                "%d steps are few for a training with the adversarial loss, which has told donors "
                "apart after some 2,000 at the earliest (methods 1.7): %smore epochs, or a model "
                "of class joint or ridge tell more",
                self.total,
                z,
            )
        take_step = StepRunner(engine)
        with Bar(self.total, "step", "mtm", self.step) as bar:
            while self.step < self.total and not self.given_up:
                for batch in engine.feed(self.sampler.batches(self.step // self.per_epoch)):
                    take_step(batch)
                    for schedule in self.schedules:
                        schedule.step()
                    self.step, self.since = self.step + 1, self.since + 1
                    bar.update()
                    if self.step % REPORT_EVERY == 0 and not bar.disable:
                        means = self._mean_losses().items()
                        bar.set_postfix({name[:3]: f"{mean:.3f}" for name, mean in means})
                    self._note()
                    if self.step == self.total or self.given_up:
                        break
                self._save()
        return None if self.given_up else pd.DataFrame(self.rows)

    def _mean_losses(self) -> dict[str, float]:
        """Return the mean of every loss since the last row of the table."""
        return dict(zip(LOSSES, (self.engine.totals / self.since).tolist(), strict=True))

    def _note(self) -> None:
        """Add a row to the table where it is time for one; cut the run short where it stalls."""
        p, step = self.engine.parameters, self.step
        watched = self.monitor_every and step % self.monitor_every == 0
        checked = {}
        if self.stop_score is not None and step % p.stop_every == 0:
            checked["stop_rho"] = self.stop_score()
            scores = [row["stop_rho"] for row in [*self.rows, checked] if "stop_rho" in row]
            if stalled(scores, p.stop_patience):
                LOGGER.info("no better stop_rho for %d checks", p.stop_patience)
                self.total = step
        judged = step == self.total or (step == p.restart_step and self.restarts < p.restarts)
        if not (watched or checked or step % self.per_epoch == 0 or judged):
            return
        losses = self._mean_losses()
        row = {
            "epoch": step / self.per_epoch,
            "step": step,
            "seconds": time.monotonic() - self.started,
            "learning_rate": float(self.engine.optimizer.param_groups[0]["lr"]),
        } | losses
        if not np.isfinite(list(losses.values())).all():
            raise FloatingPointError(f"a loss is not finite at step {step}: {row}")
        if torch.device(self.engine.device).type == "cuda":
            row["gpu_gb"] = torch.cuda.max_memory_reserved(self.engine.device) / 1e9
        row |= {"code_spread": self.spread(), "restarts": self.restarts}
        collapsed = self._collapsed(row["code_spread"], judged)
        if watched or (step == self.total and self.monitor_every):
            row |= self.monitor()
        if step == self.total:
            row["collapsed"] = int(collapsed)
        self.rows.append(row | checked)
        self.engine.totals.zero_()
        self.since = 0

    def _collapsed(self, spread: float, judged: bool) -> bool:
        """Whether codes have collapsed; give the run up where it is judged and may start again."""
        collapsed = spread < COLLAPSED
        # Early on all codes are alike, which says nothing yet.
        if collapsed and (judged or 2 * self.step > self.total and not self.warned):
            self.warned = True
            self.given_up = judged and self.restarts < self.engine.parameters.restarts
            LOGGER.warning(
                "codes of different donors differ by %.2g of their size at step %d of %d, less "
                "than %g: %s",
                spread, self.step, self.total, COLLAPSED,
                "the training starts again with another seed" if self.given_up
                else "the encoder has collapsed and tells donors apart no more" if judged
                else "the encoder may have collapsed",
            )  # fmt: skip
        return collapsed

    def _save(self) -> None:
        """Keep the state of a whole epoch where one is due."""
        every = self.engine.parameters.checkpoint_every
        at_end = self.given_up or self.step == self.total
        if every and (self.step // self.per_epoch) % every == 0 and not at_end:
            self.checkpoint.write(
                STATE,
                engine=self.engine.state(),
                schedules=[schedule.state_dict() for schedule in self.schedules],
                rows=self.rows,
                step=self.step,
                restarts=self.restarts,
                seconds=time.monotonic() - self.started,
            )

    def _resume(self) -> None:
        """Go to where the last checkpoint was written."""
        saved = self.checkpoint.read(STATE, self.engine.device)
        if saved is None or saved["restarts"] < self.restarts:
            return
        if saved["restarts"] > self.restarts:
            self.given_up = True
            return
        self.engine.restore(saved["engine"])
        for schedule, state in zip(self.schedules, saved["schedules"], strict=True):
            schedule.load_state_dict(state)
        self.rows, self.step = saved["rows"], saved["step"]
        self.started = time.monotonic() - saved["seconds"]
        LOGGER.info("resumed at step %d of %d", self.step, self.total)
