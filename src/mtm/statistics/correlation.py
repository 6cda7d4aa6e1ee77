"""Correlations of rows, and Fisher's z of correlations."""

from collections.abc import Sequence
from numbers import Real

import numpy as np

# Of float32 values, what varies by less than this share of the largest is rounding alone.
CONSTANT_TOLERANCE = 1e-6
# The largest float32 below 1 but one: one limit, whatever the type of a correlation.
FISHER_LIMIT = 1 - 2.0**-23


def fisher_z(rho):
    """Fisher's z of correlations, clamped to `FISHER_LIMIT`; array, number or tensor."""
    if isinstance(rho, np.ndarray | Real):
        return np.arctanh(np.clip(rho, -FISHER_LIMIT, FISHER_LIMIT))
    clamped = rho.clamp(-FISHER_LIMIT, FISHER_LIMIT)
    if clamped.device.type != "cpu":
        return clamped.arctanh_()
    # NumPy's takes a third of the time of torch's.
    np.arctanh(clamped.numpy(), out=clamped.numpy())
    return clamped


def centre(values: np.ndarray, parts: Sequence[slice]) -> np.ndarray:
    """Take each part's own mean out of ``(n_samples, n_genes)``."""
    return np.concatenate([values[part] - values[part].mean(0) for part in parts])


def row_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson's rho of each row of ``(n_rows, n_genes)``; one row serves all of the other side."""
    a, b = (np.atleast_2d(side).astype(float) for side in (a, b))
    a, b = (side - side.mean(1, keepdims=True) for side in (a, b))
    norm = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(norm > 0, (a * b).sum(1) / norm, np.nan)
