"""Expression measured elsewhere, brought to the level and spread of the training samples."""

import numpy as np

from mtm.cohort.scaling import log2_tpm
from mtm.settings.transfer import Alignment
from mtm.vocabulary import Measure

LARGEST_LOG2_TPM = 24.0
CONSTANT_SHARE = 1e-6


def align_moments(
    expr_tpm: np.ndarray,
    reference_tpm: np.ndarray,
    alignment: Alignment,
    measure: Measure = "tpm",
) -> np.ndarray:
    """Give every gene the mean and sd that it has in the reference.

    Parameters
    ----------
    expr_tpm, reference_tpm
        Shapes ``(n_samples, n_genes)`` and ``(n_reference, n_genes)``, TPM.
    alignment
        - ``"none"``: values as they are
        - ``"log2"``: mean and sd of log2(1+TPM)
        - ``"tpm"``: mean and sd of TPM
    measure
        On a scale of their own, values are aligned as they are.

    Returns
    -------
    np.ndarray
        TPM, not below 0, shape of `expr_tpm`, float32. A gene that does not vary gets the mean of
        the reference.
    """
    if alignment == "none":
        return expr_tpm.astype(np.float32)
    unit = log2_tpm if alignment == "log2" and measure == "tpm" else np.asarray
    values, reference = (unit(side.astype(np.float64)) for side in (expr_tpm, reference_tpm))
    mean, sd = values.mean(0), values.std(0)
    varies = sd > CONSTANT_SHARE * np.abs(values).max(0)
    stretch = np.divide(reference.std(0), sd, out=np.zeros_like(sd), where=varies)
    aligned = (values - mean) * stretch + reference.mean(0)
    if measure == "own":
        return aligned.astype(np.float32)
    if alignment == "log2":
        aligned = np.exp2(np.clip(aligned, 0, LARGEST_LOG2_TPM)) - 1
    return np.maximum(aligned, 0).astype(np.float32)
