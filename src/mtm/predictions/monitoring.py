"""Held-out accuracy while a model is being trained."""

from collections.abc import Callable

import numpy as np
import torch

from mtm.cohort.cohort import Cohort
from mtm.errors import InputError
from mtm.models.base import Predictor
from mtm.models.requests import held_out_requests, predict_in_blocks
from mtm.settings.accuracy import MIN_DONORS
from mtm.statistics.kernels import pearson
from mtm.statistics.over_tissues import known_mean


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


def held_out_accuracy(
    predicted_z: np.ndarray,
    observed_z: np.ndarray,
    tissue: np.ndarray,
    min_donors: int = MIN_DONORS,
) -> dict[str, float]:
    """Mean accuracy on the held-out donors of one fold, cheap enough for learning curves.

    Pearson per gene and per sample within each tissue, averaged over genes (samples), then over
    tissues (methods 7).

    Parameters
    ----------
    predicted_z, observed_z
        Shape ``(n_samples, n_genes)``, z-scores of one scale.
    tissue
        Target tissue of each sample, shape ``(n_samples,)``.
    min_donors
        Tissues with fewer samples are left out.

    Returns
    -------
    dict
        ``gene_wise`` and ``sample_wise``; NaN without any tissue of `min_donors` samples.
    """
    gene_wise, sample_wise = [], []
    for index in np.unique(tissue):
        rows = np.flatnonzero(tissue == index)
        if len(rows) < min_donors:
            continue
        predicted = torch.from_numpy(np.asarray(predicted_z[rows], np.float64))
        observed = torch.from_numpy(np.asarray(observed_z[rows], np.float64))
        gene_wise.append(float(pearson(predicted, observed, 0).nanmean()))
        sample_wise.append(float(pearson(predicted, observed, 1).nanmean()))
    return {
        "gene_wise": float(known_mean(np.array(gene_wise))),
        "sample_wise": float(known_mean(np.array(sample_wise))),
    }
