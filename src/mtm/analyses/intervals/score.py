"""One pass over the tissues of a model's held-out predictions: intervals and reliability."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm.analyses.intervals.calibration import (
    Residuals,
    TissueScores,
    interval_quantiles,
    score_tissue,
)
from mtm.analyses.intervals.coverage import coverage_table
from mtm.analyses.intervals.reliability import reliability, reliability_counts
from mtm.predictions.held_out import HeldOut
from mtm.predictions.tissues import Tissue, by_tissue, of_each, tissues
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.intervals import IntervalSettings
from mtm.statistics.group_jackknife import donor_groups
from mtm.vocabulary import TERTILES

# Donors of a cohort with one fold are dealt out to so many groups.
GROUPS_OF_ONE_FOLD = 5


@dataclass(frozen=True)
class Calibrated:
    """What `calibrate_intervals` returns; columns as in docs/contracts.md.

    Parameters
    ----------
    genes, quantiles, coverage, reliability
        The tables of the intervals rule.
    """

    genes: pd.DataFrame
    quantiles: pd.DataFrame
    coverage: pd.DataFrame
    reliability: pd.DataFrame


def calibrate_intervals(
    held_out: HeldOut,
    gene_wise: pd.DataFrame,
    model: str,
    settings: IntervalSettings,
    accuracy: AccuracySettings,
    learned: bool = True,
) -> Calibrated:
    """Calibrate a model's intervals on its held-out donors, judge them, and class its genes.

    Parameters
    ----------
    held_out
        From `mtm.predictions.held_out.read_held_out`.
    gene_wise
        ``accuracy/gene_wise/{model}.parquet``.
    model
        Its name, for the tables.
    settings, accuracy
        Sections of the config.
    learned
        As in `mtm.analyses.accuracy.score.score_predictions`.
    """
    (group_of, n_groups), scored = _groups(held_out), by_tissue(gene_wise)

    def of_tissue(tissue: Tissue) -> tuple[TissueScores, TissueScores, pd.DataFrame, float]:
        group = group_of[tissue.rows["donor"]].to_numpy()
        own_sd = held_out.predicted_sd(tissue.rows)
        predicted, observed = tissue.own_scale()
        tertile = _tertiles(tissue)
        residuals = observed - predicted
        if own_sd is not None:
            residuals /= own_sd
        given = Residuals(tissue.name, tissue.rows, residuals, own_sd, tertile)
        around_mean = Residuals(tissue.name, tissue.rows, observed, None, tertile)
        score, reference = (score_tissue(of, group, n_groups) for of in (given, around_mean))
        table = reliability(tissue, scored[tissue.name], settings, accuracy, learned)
        table.insert(2, "expression", np.array(TERTILES, object)[tertile])
        table.insert(3, "sd", score.sd[-1])
        mean_sd = 1.0 if own_sd is None else float(own_sd.mean(dtype=np.float64))
        return score, reference, table, mean_sd

    scores, reference, genes, mean_sd = zip(*of_each(of_tissue, tissues(held_out)), strict=True)
    of_genes = pd.concat(genes, ignore_index=True)
    return Calibrated(
        of_genes,
        _quantile_table(scores, settings, held_out.has_own_sd, mean_sd),
        coverage_table(model, scores, reference, settings),
        reliability_counts(model, of_genes),
    )


def _groups(held_out: HeldOut) -> tuple[pd.Series, int]:
    """Group of each donor, and the number of groups: folds, or parts of the only one."""
    fold_of = held_out.rows.drop_duplicates("donor").set_index("donor")["fold"]
    folds = np.unique(fold_of)
    if len(folds) > 1:
        return pd.Series(np.searchsorted(folds, fold_of), fold_of.index), len(folds)
    fold_of = fold_of.sort_index()
    groups = donor_groups(len(fold_of), GROUPS_OF_ONE_FOLD, seed=0)
    return pd.Series(groups, fold_of.index), GROUPS_OF_ONE_FOLD


def _tertiles(tissue: Tissue) -> np.ndarray:
    """Position in `TERTILES` of each gene by its mean over training donors, ``(n_genes,)``."""
    means = np.mean([scaler.mean[0] for scaler in tissue.scalers["log2_z"]], axis=0)
    rank = np.empty(len(means), np.int64)
    rank[np.argsort(means, kind="stable")] = np.arange(len(means))
    return len(TERTILES) * rank // len(means)


def _quantile_table(
    scores: Sequence[TissueScores],
    settings: IntervalSettings,
    own_sd: bool,
    mean_own_sd: Sequence[float],
) -> pd.DataFrame:
    """Quantiles of the calibration on all donors, one row a tissue, tertile and level."""
    quantiles = interval_quantiles(scores, settings.levels, settings.common_donors)[:, -1]
    index = pd.MultiIndex.from_product(
        [[tissue.tissue for tissue in scores], TERTILES, settings.levels],
        names=["tissue", "expression", "level"],
    )
    table = pd.DataFrame({"quantile": quantiles.ravel()}, index).reset_index()
    sizes = {tissue.tissue: tissue.sizes[-1] for tissue in scores}
    table.insert(1, "n", table["tissue"].map(sizes))
    of_tissue = dict(zip(sizes, mean_own_sd, strict=True))
    return table.assign(own_sd=int(own_sd), mean_own_sd=table["tissue"].map(of_tissue))
