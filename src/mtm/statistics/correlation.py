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
    """Take each part's own mean out of ``(n_samples, n_genes)``; what is constant becomes 0."""
    means = (values[part].mean(0, dtype=np.float64) for part in parts)
    centred = [values[part] - mean for part, mean in zip(parts, means, strict=True)]
    return np.concatenate(centred).astype(values.dtype)


def row_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson's rho of each row of ``(n_rows, n_genes)``; one row serves all of the other side."""
    a, b = (_centred(np.atleast_2d(side)) for side in (a, b))
    squares_a, squares_b, products = (
        np.einsum("rg,rg->r", x, y, dtype=np.float64) for x, y in ((a, a), (b, b), (a, b))
    )
    norm = np.sqrt(squares_a * squares_b)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(norm > 0, products / norm, np.nan)


def _centred(rows: np.ndarray) -> np.ndarray:
    """Take the mean out of each row; what is not float32 becomes float64."""
    rows = rows if rows.dtype == np.float32 else rows.astype(float, copy=False)
    return rows - rows.mean(1, keepdims=True, dtype=np.float64).astype(rows.dtype)
