"""Held-out predictions as a rule's script names them."""

from collections.abc import Sequence
from typing import Any

from mtm.predictions.held_out import HeldOut, read_held_out
from mtm.settings.scaling import Scaling


def held_out(snakemake: Any, files: Sequence[str] | None = None) -> HeldOut:
    """Read held-out predictions of the rule's cohort.

    Parameters
    ----------
    snakemake
        The object that Snakemake gives a script; of its inputs ``expression``, ``folds`` and
        ``predictions`` are read, of its params ``source`` and ``scaling`` (HELD_OUT and
        HELD_OUT_PARAMS of the rules).
    files
        Prediction files of another model; None takes the rule's ``predictions``.
    """
    inputs, params = snakemake.input, snakemake.params
    return read_held_out(
        inputs.expression,
        inputs.folds,
        inputs.predictions if files is None else files,
        source=params.source,
        scaling=Scaling.of(params.scaling),
    )
