"""Accuracy of held-out predictions: correlations per gene and per sample, with their uncertainty.

Three ways of pooling held-out folds are reported side by side (methods 6.1; docs/contracts.md):
Pearson within each fold, averaged as Fisher z with weights n - 3 (``per_fold``, the headline);
folds concatenated as z-scores of each fold's own training statistics (``pooled_z``); and folds
concatenated in expression units (``pooled_raw``, as the paper most likely did).

Null intervals permute donors within fold, the same way for all genes of a tissue; that of the mean
over tissues is as wide as tissues vary together (methods 6.16). Confidence intervals are those of
Student's t by the standard error over bootstrap samples of donors within fold, the same draws for
all tissues. Both are wider where folds learn from each other (methods 6.18). On large cohorts both
use a random sample of genes (`AccuracySettings.null_genes`, `AccuracySettings.bootstrap_genes`);
point estimates, p-values and counts are of all genes.

The tissue is the unit of work: memory is that of a few tissues' samples, and the arrays derived
from them are made for `block_genes` genes at a time.
"""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from mtm.analyses.accuracy.counted import UNCOUPLED
from mtm.analyses.accuracy.points import point_estimates
from mtm.analyses.accuracy.resampled import (
    bootstrap_means,
    draws_of,
    fold_coupling,
    permute_genes,
    resample_samples,
    sampled_genes,
)
from mtm.analyses.accuracy.tables import Scores, Tables
from mtm.models.device import choose_device
from mtm.predictions.held_out import HeldOut, fold_weights
from mtm.predictions.tissues import BLOCK_GENES, Tissue, of_each, tissues
from mtm.settings.accuracy import AccuracySettings
from mtm.vocabulary import SCALES, Scale


def score_predictions(
    held_out: HeldOut,
    model: str,
    settings: AccuracySettings,
    learned: bool = True,
    device: str = "auto",
    block_genes: int = BLOCK_GENES,
) -> Scores:
    """Score held-out predictions on both scales (methods 3, 6.1, 6.2).

    Training statistics of a fold are those of all samples of donors held out in other folds.
    Predictions come to the scale that is not the model's own through TPM. On ``"log2_z"``, both
    sides are clipped.

    Parameters
    ----------
    held_out
        From `read_held_out`.
    model
        Name written into the tables.
    settings
        The accuracy section of the config.
    learned
        Whether the model of a fold has learned from the donors of the others. Its null and its
        intervals are wider then (methods 6.18): as wide as those of models that are linear in
        their training targets, whatever the model is.
    device
        ``"cpu"``, ``"cuda"`` or ``"auto"``.
    block_genes
        Genes worked on at a time; the results do not depend on it.

    Raises
    ------
    InputError
        A prediction is not finite, or a fold has no training sample of a predicted tissue.
    """
    weights = fold_weights([held_out], settings)
    of_tissues = tissues(held_out, device=choose_device(device))
    return score_tissues(
        of_tissues,
        held_out.gene_ids,
        weights,
        model,
        settings,
        learned,
        held_out.scales,
        block_genes,
    )


def score_tissues(
    of_tissues: Iterable[Tissue],
    gene_ids: pd.Index,
    weights: Mapping[int, pd.DataFrame],
    model: str,
    settings: AccuracySettings,
    learned: bool = True,
    scales: Sequence[Scale] = SCALES,
    block_genes: int = BLOCK_GENES,
    both_ways: bool = False,
) -> Scores:
    """Score tissue by tissue, as `score_predictions` does.

    Parameters
    ----------
    of_tissues
        Samples predicted and observed.
    gene_ids
        Their genes.
    weights
        From `mtm.predictions.held_out.fold_weights`.
    model, settings, learned, block_genes
        As in `score_predictions`.
    scales
        What to score on.
    both_ways
        Whether genes are told from each other: what two of them share by chance then counts
        twice in the mean, which permutations do not see (methods 6.24).
    """
    null_genes = sampled_genes(len(gene_ids), settings.null_genes, settings.seed)
    bootstrap_genes = sampled_genes(len(gene_ids), settings.bootstrap_genes, settings.seed)
    twice = 2**0.5 if both_ways else 1.0
    tables = Tables(gene_ids, settings)

    def scored(tissue: Tissue) -> list[tuple]:
        draws, found = draws_of(tissue, weights, settings), []
        for scale in scales:
            points = point_estimates(tissue, scale, settings, block_genes)
            ratio = fold_coupling(tissue, points) if learned else UNCOUPLED
            nulls, p = permute_genes(tissue, scale, points, draws, null_genes, ratio, block_genes)
            resampled = bootstrap_means(
                tissue, scale, points, draws.weights, bootstrap_genes, ratio, block_genes
            )
            nulls = {key: null.wider(twice) for key, null in nulls.items()}
            rho = {key: value.cpu().numpy() for key, value in points.rho.items()}
            of_samples, null, means = resample_samples(tissue, points, draws, ratio)
            of_samples = of_samples, null.wider(twice), means
            found.append((scale, tissue.rows, (rho, p, nulls, resampled, ratio), of_samples))
        return found

    for found in of_each(scored, of_tissues):
        for scale, rows, of_genes, of_samples in found:
            tables.add_genes(scale, rows, *of_genes)
            tables.add_samples(scale, rows, *of_samples)
    return tables.scores(model)
