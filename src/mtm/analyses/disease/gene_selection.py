"""Genes that a fold's donors are tested on: chosen over all donors, or over the other folds'."""

import numpy as np
import pandas as pd
from scipy import stats

from mtm.analyses.accuracy.predictable_genes import PAPER_RHO
from mtm.predictions.tissues import BLOCK_GENES, Tissue
from mtm.settings.accuracy import AccuracySettings
from mtm.statistics.correlation import fisher_z
from mtm.statistics.coupled_folds import coupling
from mtm.statistics.kernels import pearson, pearson_without
from mtm.statistics.testing import benjamini_hochberg
from mtm.vocabulary import SELECTIONS, Reading


def gene_selections(
    tissue: Tissue, gene_wise: pd.DataFrame, reading: Reading, accuracy: AccuracySettings
) -> dict[str, np.ndarray]:
    """Which genes each fold's donors are tested on, ``(n_folds, n_genes)``, by selection."""
    chosen = (
        np.tile(tissue.predictable(gene_wise, reading), (len(tissue.folds), 1)),
        predictable_elsewhere(tissue, reading, accuracy),
    )
    return dict(zip(SELECTIONS, chosen, strict=True))


def predictable_elsewhere(
    tissue: Tissue, reading: Reading, accuracy: AccuracySettings
) -> np.ndarray:
    """Which genes are predictable over the held-out donors of all folds but one.

    Headline: Fisher-z averaged rho of the other folds above the config's bound, with q below its
    bound; P from the normal distribution of Fisher's z, one-sided, as wide as folds that learn
    from each other make it (methods 6.18), whatever the model. Paper: rho of the other folds'
    values in TPM, put together, above 0.3.

    Returns
    -------
    np.ndarray
        Shape ``(n_folds, n_genes)``, bool; all False where a tissue has one fold.
    """
    n_folds, n_genes = len(tissue.folds), tissue.n_genes
    chosen = np.zeros((n_folds, n_genes), bool)
    if n_folds < 2:
        return chosen
    sizes = np.array([part.stop - part.start for part in tissue.parts])
    fold_z = np.full((n_folds, n_genes), np.nan)
    for start in range(0, n_genes, BLOCK_GENES):
        genes = slice(start, min(start + BLOCK_GENES, n_genes))
        values = tissue.values(reading.scale, genes)
        if not reading.by_fold:
            sides = values.predicted_raw, values.observed_raw
            chosen[:, genes] = (pearson_without(*sides, tissue.parts) > PAPER_RHO).numpy()
            continue
        for index, part in enumerate(tissue.parts):
            if sizes[index] >= accuracy.min_donors_per_fold:
                rho = pearson(values.predicted_z[part], values.observed_z[part], 0)
                fold_z[index, genes] = fisher_z(rho).numpy()
    if not reading.by_fold:
        return chosen
    weights = np.where(np.isfinite(fold_z), sizes[:, None] - 3, 0)
    weighted = weights * np.nan_to_num(fold_z)
    for index in range(n_folds):
        total = weights.sum(0) - weights[index]
        with np.errstate(invalid="ignore", divide="ignore"):
            mean_z = (weighted.sum(0) - weighted[index]) / total
        others = (np.arange(n_folds) != index) & (sizes >= accuracy.min_donors_per_fold)
        ratio = coupling(sizes[others], sizes[others] - 3, sizes.sum())
        p = np.where(total > 0, stats.norm.sf(mean_z * np.sqrt(total) / ratio), np.nan)
        q = benjamini_hochberg(p)
        high = np.tanh(mean_z) > accuracy.predictable_rho
        chosen[index] = high & (q < accuracy.predictable_q)
    return chosen
