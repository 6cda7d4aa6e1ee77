"""How well each gene of a tissue is told in people whom the model has not seen (methods 6.11).

The correlation of held-out predictions with observations within folds, as the accuracy tables
have it, with P and q of permuted donors. Its interval is that of Fisher's z, as wide as the fourth
moments of prediction and observation make it, at least that of normal values, 1 / sum of (n - 3).
What further people are expected to show is drawn towards the mean of the tissue's genes, as the
best of many genes are so by chance in part; this expected correlation makes the classes.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from scipy import stats

from mtm.predictions.tissues import BLOCK_GENES, Tissue
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.intervals import IntervalSettings
from mtm.statistics.correlation import fisher_z
from mtm.statistics.coupled_folds import coupling
from mtm.statistics.kernels import standardise, summed
from mtm.statistics.testing import LIMITS
from mtm.vocabulary import HEADLINE, MEAN_OF_TISSUES, RELIABILITY


def reliability(
    tissue: Tissue,
    gene_wise: pd.DataFrame,
    settings: IntervalSettings,
    accuracy: AccuracySettings,
    learned: bool = True,
) -> pd.DataFrame:
    """Say of each gene how well held-out donors are told.

    Parameters
    ----------
    tissue
        Its held-out samples.
    gene_wise
        ``accuracy/gene_wise/{model}.parquet``.
    settings, accuracy
        Thresholds of the classes, and the least fold.
    learned
        Whether the model of a fold has learned from the donors of the others. The interval is of
        the fits as they are; what a further fit is expected to reach is less certain (methods
        6.18).

    Returns
    -------
    pd.DataFrame
        ``tissue``, ``gene_id``, ``n`` (samples), ``rho``, ``ci_low``, ``ci_high``, ``p``, ``q``,
        ``expected_rho``, ``reliability`` (of `RELIABILITY`); NaN and "none" where a gene has no
        correlation.
    """
    mine = (gene_wise["tissue"] == tissue.name) & (gene_wise["scale"] == HEADLINE.scale)
    scored = gene_wise[mine].set_index("gene_id").reindex(tissue.gene_ids)
    rho = scored[HEADLINE.rho].to_numpy(float)
    parts = [p for p in tissue.parts if p.stop - p.start >= accuracy.min_donors_per_fold]
    sizes = np.array([part.stop - part.start for part in parts], float)
    weights, degrees = sizes - 3, int((sizes - 3).sum())
    variance = _error(tissue, parts, weights)
    variance[np.isnan(rho)] = np.nan
    z = fisher_z(rho)
    half = stats.t.ppf(LIMITS[1], degrees) * np.sqrt(variance) if degrees > 0 else variance
    ratio = coupling(sizes, weights, tissue.n_samples) if learned else 1.0
    expected = np.tanh(_shrunk(z, ratio**2 * variance))
    return pd.DataFrame(
        {
            "tissue": tissue.name,
            "gene_id": np.asarray(tissue.gene_ids),
            "n": tissue.n_samples,
            "rho": rho,
            "ci_low": np.tanh(z - half),
            "ci_high": np.tanh(z + half),
            "p": scored["p"].to_numpy(float),
            "q": scored["q"].to_numpy(float),
            "expected_rho": expected,
            "reliability": reliability_class(expected, scored["q"].to_numpy(float), settings),
        }
    )


def reliability_class(
    expected_rho: np.ndarray, q: np.ndarray, settings: IntervalSettings
) -> np.ndarray:
    """Class of each gene, of `RELIABILITY`: the best whose threshold it reaches."""
    classes = np.full(np.shape(expected_rho), RELIABILITY[0], object)
    for name in RELIABILITY[1:]:
        classes[(expected_rho >= settings.thresholds[name]) & (q < settings.reliable_q)] = name
    return classes


def reliability_counts(model: str, genes: pd.DataFrame) -> pd.DataFrame:
    """Count the genes of each class.

    Parameters
    ----------
    model
        Its name.
    genes
        From `reliability`, of all tissues.

    Returns
    -------
    pd.DataFrame
        One row a tissue, and their mean: ``model``, ``tissue``, ``n_samples``, ``n_genes`` (with
        a correlation), ``mean_rho``, ``mean_expected_rho``, and ``n_`` of every class.
    """
    known = genes[genes["rho"].notna()]
    by_tissue = known.groupby("tissue")
    table = pd.DataFrame(
        {
            "n_samples": by_tissue["n"].first(),
            "n_genes": by_tissue.size(),
            "mean_rho": by_tissue["rho"].mean(),
            "mean_expected_rho": by_tissue["expected_rho"].mean(),
        }
    )
    for name in reversed(RELIABILITY):
        table[f"n_{name}"] = (known["reliability"] == name).groupby(known["tissue"]).sum()
    counts = [name for name in table if name.startswith("n_")]
    mean = table.mean().to_frame(MEAN_OF_TISSUES).T
    mean["n_samples"] = table["n_samples"].sum()
    table = pd.concat([table, mean]).rename_axis("tissue").reset_index()
    table[counts] = table[counts].round().astype("Int64")
    table.insert(0, "model", model)
    return table


def _error(tissue: Tissue, parts: Sequence[slice], weights: np.ndarray) -> np.ndarray:
    """Variance of each gene's Fisher z over the folds that count, ``(n_genes,)``.

    The influence of a donor on a fold's rho is ab - rho (a^2 + b^2) / 2, with a and b the
    standardised prediction and observation. No gene has less than normal values have: few donors
    tell fourth moments badly, and without relation there is no less.
    """
    variance = np.full(tissue.n_genes, np.nan)
    for start in range(0, tissue.n_genes if parts else 0, BLOCK_GENES):
        genes = slice(start, start + BLOCK_GENES)
        values = tissue.values(HEADLINE.scale, genes)
        known = torch.zeros(values.observed_z.shape[1], dtype=torch.float64)
        total = torch.zeros_like(known)
        for part, weight in zip(parts, weights, strict=True):
            a, untold = standardise(values.predicted_z[part], 0)
            b, fixed = standardise(values.observed_z[part], 0)
            rho = summed(a * b, 0).to(a)
            influence = a * b - rho * (a.square() + b.square()) / 2
            left = (1 - rho.square()).clamp_min(1e-6)
            # Of normal values n / (n + 2) is expected, not 1.
            ratio = (len(a) + 2) * summed(influence.square_(), 0) / left.square()
            total += weight * ratio.masked_fill(untold | fixed, 0)
            known += weight * ~fixed
        variance[genes] = ((total / known).clamp_min(1) / known).numpy()
    return variance


def _shrunk(z: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Draw each z to the mean of all, as far as they differ by chance (normal prior)."""
    known = np.isfinite(z) & np.isfinite(variance)
    if known.sum() < 2:
        return z
    between = max(z[known].var(ddof=1) - variance[known].mean(), 0.0)
    share = between / np.maximum(between + variance, 1e-12)
    return z[known].mean() + share * (z - z[known].mean())
