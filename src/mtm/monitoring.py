"""Held-out accuracy while a model is being trained."""

from collections.abc import Callable

import numpy as np

from mtm.cohort import Cohort
from mtm.errors import InputError
from mtm.evaluation.accuracy import held_out_accuracy
from mtm.models.base import Predictor
from mtm.prediction import held_out_requests, predict_in_blocks


def held_out_monitor(held_out: Cohort, source: str) -> Callable[[Predictor], dict[str, float]]:
    """Return what `mtm.models.base.Training.monitor` takes: accuracy on held-out donors.

    Parameters
    ----------
    held_out
        Samples of the held-out donors.
    source
        Name of the tissue to predict from.

    Returns
    -------
    Callable
        Takes a predictor and returns ``held_out_gene_wise`` and ``held_out_sample_wise``: mean
        Pearson's rho on the model's own scale, z by the training statistics in its scaler.

    Raises
    ------
    InputError
        No held-out donor has both the source and another tissue.
    """
    requests, target_rows = held_out_requests(held_out, held_out.donors.index, source)
    if not len(requests):
        raise InputError(
            "held-out donors", "no pair of samples to predict", f"{source} and another tissue"
        )
    expr_tpm = held_out.expr_tpm[target_rows]

    def monitor(model: Predictor) -> dict[str, float]:
        predicted_z = np.concatenate(list(predict_in_blocks(model, held_out, requests)))
        observed_z = model.scaler.transform(expr_tpm, requests.target)
        accuracy = held_out_accuracy(predicted_z, observed_z, requests.target)
        return {f"held_out_{level}": rho for level, rho in accuracy.items()}

    return monitor
