"""How well profiles are told, from sums over chromosomes, which are what intervals are over."""

from collections.abc import Callable

import numpy as np

from mtm.statistics.group_jackknife import jackknife_interval

# Below this a profile has no shape.
FLAT = 1e-9


def r2_sums(
    told: np.ndarray, true: np.ndarray, base: np.ndarray, hidden: np.ndarray
) -> np.ndarray:
    """Squared errors of what was hidden, of the prediction and of its base, ``(n_genes, 2)``."""
    errors = [np.where(hidden, one - true, 0) ** 2 for one in (told, base)]
    return np.stack([error.sum(1) for error in errors], 1)


def r2(sums: np.ndarray) -> float:
    """Share of the base's squared error that the prediction does away with."""
    return 1 - sums[0] / sums[1] if sums[1] > 0 else np.nan


def pooled_sums(
    told: np.ndarray, true: np.ndarray, base: np.ndarray, hidden: np.ndarray
) -> np.ndarray:
    """Moments of what was hidden about the base, ``(n_genes, 6)``."""
    x, y = (np.where(hidden, one - base, 0) for one in (told, true))
    parts = hidden, x, y, x * x, y * y, x * y
    return np.stack([part.sum(1) for part in parts], 1).astype(float)


def pooled_r(sums: np.ndarray) -> float:
    """Pearson's r of all hidden values together; 0 where nothing is told."""
    n, x, y, xx, yy, xy = sums
    if n < 2 or yy - y * y / n <= FLAT:
        return np.nan
    spread = xx - x * x / n
    return (xy - x * y / n) / np.sqrt(spread * (yy - y * y / n)) if spread > FLAT else 0.0


def row_sums(told: np.ndarray, true: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Each gene's r over what was hidden, and whether it has one, ``(n_genes, 2)``.

    A gene of which three tissues or fewer were hidden, or whose profile is flat, has none; a flat
    prediction tells 0.
    """
    n = hidden.sum(1)
    x, y = (
        np.where(hidden, one - (np.where(hidden, one, 0).sum(1) / n.clip(min=1))[:, None], 0)
        for one in (told, true)
    )
    xx, yy = (x * x).sum(1), (y * y).sum(1)
    has = (n > 3) & (yy > FLAT)
    r = np.where(has & (xx > FLAT), (x * y).sum(1) / np.sqrt(xx * yy).clip(min=FLAT), 0)
    return np.stack([r, has.astype(float)], 1)


def mean_sums(values: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Sum of values of what was hidden and their number, ``(n_genes, 2)``."""
    return np.stack([np.where(hidden, values, 0).sum(1), hidden.sum(1)], 1).astype(float)


def mean(sums: np.ndarray) -> float:
    """First over second."""
    return sums[0] / sums[1] if sums[1] else np.nan


def over_chromosomes(
    sums: np.ndarray, chrom: np.ndarray, measure: Callable[[np.ndarray], float]
) -> dict[str, float]:
    """Return a measure of all genes, with an interval of its value in other chromosomes.

    Parameters
    ----------
    sums
        Of each gene, shape ``(n_genes, n_sums)``.
    chrom
        Its chromosome's number, shape ``(n_genes,)``.
    measure
        Of sums, shape ``(n_sums,)``.

    Returns
    -------
    dict
        ``value``, and ``ci_low`` and ``ci_high``: 95% by the jackknife over chromosomes; NaN of
        fewer than three.
    """
    names, code = np.unique(chrom, return_inverse=True)
    parts = np.zeros((len(names), sums.shape[1]))
    np.add.at(parts, code, sums)
    total = parts.sum(0)
    value = float(measure(total))
    low = high = np.nan
    if len(names) > 2 and np.isfinite(value):
        left_out = np.array([measure(total - part) for part in parts])
        low, high = jackknife_interval(value, left_out, np.bincount(code))
    return {"value": value, "ci_low": low, "ci_high": high}
