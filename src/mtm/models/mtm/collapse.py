"""Codes that no longer tell samples apart, and what a training does then (methods 1.7)."""

import torch
from torch import Tensor

from mtm.models.mtm.engine import Engine

# Samples whose codes are looked at: a step's worth of work is twenty times as much.
PROBES = 256
# Far from the seeds of the other folds, which follow each other.
RESTART_STRIDE = 1_000_003


def code_spread(codes: Tensor) -> float:
    """Return the sd of codes between samples, relative to their root mean square.

    Parameters
    ----------
    codes
        Shape ``(n_samples, code_width)``.

    Returns
    -------
    float
        0 (all equal) to 1 (they share no mean); NaN for fewer than two samples.
    """
    if len(codes) < 2:
        return float("nan")
    codes = codes.double()
    between = codes.var(0, unbiased=False).mean()
    size = codes.square().mean()
    return float((between / size).sqrt()) if size > 0 else 0.0


class Probe:
    """Measures the spread of codes while an engine trains, without any effect on it.

    No random number is drawn and no state is changed: the encoder is read in evaluation mode.

    Parameters
    ----------
    engine
        What is trained.
    source
        Index of the tissue to predict from. Its samples alone are encoded, as codes that know
        their tissue and nothing of the donor differ between tissues.
    """

    def __init__(self, engine: Engine, source: int):
        self.engine = engine
        tissue = engine.samples["tissue"]
        rows = torch.nonzero(tissue == source).flatten()[:PROBES]
        self.expr = engine.samples["encoder_expr"][rows].to(engine.device)
        self.tissue = tissue[rows].to(engine.device)

    @torch.no_grad()
    def __call__(self) -> float:
        """Return the spread of the codes now."""
        return code_spread(self.engine.networks["encoder"](self.expr, self.tissue))


def restart_seed(seed: int, restarts: int) -> int:
    """Return the seed of a training after so many restarts."""
    return seed + RESTART_STRIDE * restarts
