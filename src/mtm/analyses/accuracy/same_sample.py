"""Genes of held-out samples told from others of the same sample, scored as models are."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mtm.analyses.accuracy.score import score_tissues
from mtm.cohort.cohort import Cohort
from mtm.predictions.held_out import HeldOut, fold_weights
from mtm.predictions.tissues import Tissue, line_up
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.scaling import Scaling
from mtm.vocabulary import HEADLINE, SAMPLE_CONVENTION

LEVELS = {"gene_wise": HEADLINE.convention, "sample_wise": SAMPLE_CONVENTION}


def score_told(
    cohort: Cohort,
    folds: pd.Series,
    told: np.ndarray,
    genes: np.ndarray,
    accuracy: AccuracySettings,
    scaling: Scaling,
    device: str,
    both_ways: bool = False,
) -> pd.DataFrame:
    """Score what is told of held-out samples as the headline is.

    Parameters
    ----------
    cohort, folds
        The cohort, and `mtm.cohort.folds.read_folds`.
    told
        z-scores by training statistics of the fold, shape ``(n_samples, n_genes)``; not read
        where nobody holds out the donor. A sample of which nothing is told has NaN throughout.
    genes
        Positions of the genes to score.
    accuracy, scaling
        Sections of the config.
    device
        ``"cpu"`` or ``"cuda"``.
    both_ways
        As `score_tissues` has it.

    Returns
    -------
    pd.DataFrame
        One row a ``level`` (gene_wise, sample_wise) and ``tissue``, as in
        ``accuracy/by_tissue/{model}.tsv``; without genes no rows.
    """
    if not len(genes):
        return pd.DataFrame()
    held_out = _held_out(cohort, folds, scaling, ~np.isnan(told[:, genes]).all(1))
    weights = fold_weights([held_out], accuracy)
    of_tissues = _tissues(cohort, held_out, told, genes, device)
    scores = score_tissues(
        of_tissues, cohort.genes.index[genes], weights, "", accuracy,
        scales=[HEADLINE.scale], both_ways=both_ways,
    ).by_tissue  # fmt: skip
    return scores[scores["convention"] == scores["level"].map(LEVELS)].copy()


def _held_out(cohort: Cohort, folds: pd.Series, scaling: Scaling, is_told: np.ndarray) -> HeldOut:
    """Name every held-out sample of which something is told as one that is predicted."""
    samples = pd.DataFrame(
        {
            "donor": cohort.donors.index[cohort.donor],
            "tissue": np.array(cohort.tissues)[cohort.tissue],
        },
        index=cohort.samples.index.astype(str),
    )
    samples["fold"] = folds.reindex(samples["donor"]).to_numpy()
    rows = samples.rename_axis("sample_id").reset_index()
    rows["cohort_row"] = np.arange(len(rows))
    rows = rows[is_told & (rows["fold"] >= 0)]
    rows = rows.sort_values(["tissue", "fold", "donor"], ignore_index=True)
    return HeldOut(
        Path(), (), HEADLINE.scale, cohort.genes.index, samples, rows, scaling, cohort.measure
    )


def _tissues(
    cohort: Cohort, held_out: HeldOut, told: np.ndarray, genes: np.ndarray, device: str
) -> Iterator[Tissue]:
    """Line up one tissue after the other."""
    for _, rows in held_out.rows.groupby("tissue", sort=True):
        members = np.flatnonzero(held_out.samples["tissue"] == rows["tissue"].iloc[0])
        predicted = np.nan_to_num(told[rows["cohort_row"]])
        yield line_up(
            held_out, rows, predicted, cohort.expr_tpm[members], torch.device(device)
        ).of_genes(genes)
