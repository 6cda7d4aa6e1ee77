"""Predictability of genes in bootstrap samples of donors."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch

from mtm.analyses.accuracy.resampled import resampled_blocks
from mtm.analyses.genes.contrast import RhoDraws
from mtm.models.device import choose_device
from mtm.predictions.held_out import HeldOut, fold_weights
from mtm.predictions.tissues import BLOCK_GENES, Tissue, of_each, tissues
from mtm.settings.accuracy import AccuracySettings
from mtm.statistics.kernels import mean_over_folds, standardise, weighted_correlations
from mtm.vocabulary import HEADLINE


def resampled_rho(
    held_out: HeldOut,
    settings: AccuracySettings,
    device: str = "auto",
) -> Iterator[RhoDraws]:
    """Yield the per-fold correlations of all genes in bootstrap samples, tissue after tissue.

    Donors are drawn within fold, the same for all tissues, as for the intervals of the accuracy
    tables. Memory is that of a few tissues: samples and ``n_bootstraps`` values a gene.

    Parameters
    ----------
    held_out
        From `mtm.predictions.held_out.read_held_out`.
    settings
        ``bootstraps``, ``min_donors_per_fold`` and ``seed`` are used.
    device
        As in `mtm.analyses.accuracy.score.score_predictions`, with the values of that call.
    """
    weights = fold_weights([held_out], settings)
    torch_device = torch.device(choose_device(device))

    def of_tissue(tissue: Tissue) -> RhoDraws:
        counted = [
            (part, torch.from_numpy(weights[fold][tissue.rows["donor"].iloc[part]].to_numpy()))
            for fold, part in zip(tissue.folds, tissue.parts, strict=True)
            if part.stop - part.start >= settings.min_donors_per_fold
        ]
        weights_of_folds = [part.stop - part.start - 3 for part, _ in counted]
        rho = np.full((settings.bootstraps, tissue.n_genes), np.nan, np.float32)
        for start in range(0, tissue.n_genes if counted else 0, BLOCK_GENES):
            values = tissue.values(HEADLINE.scale, slice(start, start + BLOCK_GENES))
            sides = values.predicted_z, values.observed_z
            of_folds = [
                (*(standardise(side[part], 0)[0] for side in sides), drawn.to(torch_device))
                for part, drawn in counted
            ]
            for genes in resampled_blocks(sides[0].shape[1], torch_device, BLOCK_GENES):
                drawn = [
                    weighted_correlations(p[:, genes], o[:, genes], w) for p, o, w in of_folds
                ]
                averaged = mean_over_folds(drawn, weights_of_folds)
                rho[:, start + genes.start : start + genes.stop] = averaged.cpu().numpy()
        n_donors = sum(part.stop - part.start for part, _ in counted)
        return RhoDraws(tissue.name, pd.Index(held_out.gene_ids), rho, n_donors, len(counted))

    yield from of_each(of_tissue, tissues(held_out, device=str(torch_device)))
