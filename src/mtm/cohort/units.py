"""Expression in the units of a file, checked and brought to TPM."""

from typing import get_args

import numpy as np

from mtm.errors import InputError
from mtm.vocabulary import Units

# TPM of one sample add up to a million, so log2(1+TPM) stays below 20; no whole-transcriptome
# sample has its highest TPM below 30.
LARGEST_LOG2 = 20.0
SMALLEST_MAX_TPM = 30.0
LARGEST_TPM_SUM = 1.1e6


def to_tpm(
    values: np.ndarray, units: Units | None = None, where: object = "expression"
) -> np.ndarray:
    """Check expression values and return them as TPM.

    Parameters
    ----------
    values
        Shape ``(n_samples, n_genes)``: all genes of the data.
    units
        - ``None``: take them for TPM and refuse what cannot be TPM
        - ``"tpm"``: TPM, however they look
        - ``"log2"``: log2(1+TPM)
    where
        File named in errors.

    Returns
    -------
    np.ndarray
        TPM, same shape, float32.

    Raises
    ------
    InputError
        Values are missing, negative or infinite, or do not look like the units.
    """
    values = np.asarray(values, dtype=np.float32)
    if units not in (None, *get_args(Units)):
        raise InputError("units", repr(units), f"one of {', '.join(get_args(Units))}")
    _check_values(values, where)
    if units == "log2":
        largest = float(values.max())
        if largest > LARGEST_LOG2:
            raise InputError(
                where,
                f"values up to {largest:.4g}",
                f"log2(1+TPM), at most {LARGEST_LOG2:g}",
                "If they are TPM, leave out --units log2.",
            )
        return np.exp2(values) - 1
    if units is None:
        _check_looks(values, where)
    return values


def _check_values(values: np.ndarray, where: object) -> None:
    """Refuse what neither TPM nor its logarithm can be."""
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise InputError(
            f"{where}, sample {row + 1}, gene {column + 1}",
            str(values[row, column]),
            "a finite number for every gene and sample",
        )
    if values.size == 0:
        raise InputError(where, f"a table of shape {values.shape}", "samples and genes")
    smallest = float(values.min())
    if smallest < 0:
        raise InputError(
            where,
            f"negative values (down to {smallest:.4g})",
            "TPM or log2(1+TPM)",
            "Give the values before any centring or scaling.",
        )


def _check_looks(values: np.ndarray, where: object) -> None:
    """Refuse what looks log-scaled or like counts."""
    largest = float(values.max())
    if largest < SMALLEST_MAX_TPM:
        raise InputError(
            where,
            f"no value above {largest:.4g}, which looks log-scaled",
            "TPM",
            "Say --units log2 if these are log2(1+TPM), --units tpm if they are TPM after all.",
        )
    largest_sum = float(values.sum(1, dtype=np.float64).max())
    if largest_sum > LARGEST_TPM_SUM:
        raise InputError(
            where,
            f"a sample whose values add up to {largest_sum:.4g}, which looks like counts",
            "TPM, which add up to at most one million a sample",
            "Convert them to TPM, or say --units tpm if you know better.",
        )
