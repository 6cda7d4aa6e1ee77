"""Imputed genes scored, and values that stand out from what the others say (methods 6.24)."""

import numpy as np
import pandas as pd

from mtm.analyses.accuracy.resampled import nothing_to_score
from mtm.analyses.accuracy.same_sample import score_told
from mtm.analyses.imputation.impute import Imputed
from mtm.cohort.cohort import Cohort
from mtm.models.device import choose_device
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.imputation import Imputation
from mtm.settings.scaling import Scaling
from mtm.vocabulary import MEAN_OF_TISSUES, TISSUE_MEAN

# Residuals of a gene and tissue that a robust sd is made of, at least; of Gaussian ones, the sd is
# this many median absolute deviations.
MIN_RESIDUALS, PER_MAD = 10, 1.4826
ACCURACY = [
    "method", "level", "tissue", "n_samples", "n_genes", "mean_rho", "ci_low", "ci_high",
    "null_low", "null_high", "explained", "seconds",
]  # fmt: skip
OUTLIERS = [
    "sample_id", "donor", "tissue", "fold", "gene_id", "symbol", "observed_z", "imputed_z",
    "score",
]  # fmt: skip


def score_imputed(
    cohort: Cohort,
    folds: pd.Series,
    imputed: Imputed,
    accuracy: AccuracySettings,
    scaling: Scaling,
    device: str,
) -> pd.DataFrame:
    """Score every method as the headline is.

    Returns
    -------
    pd.DataFrame
        One row a ``method``, ``level`` (gene_wise, sample_wise) and ``tissue``; columns as in
        docs/contracts.md.

    Raises
    ------
    CannotDo
        No tissue has enough held-out donors in any fold.
    """
    device, genes = choose_device(device), np.arange(cohort.n_genes)
    tables = []
    for method, told in imputed.by_method.items():
        table = score_told(cohort, folds, told, genes, accuracy, scaling, device, both_ways=True)
        share = _explained(cohort, imputed.observed_z, told)
        table["explained"] = table["tissue"].map(share)
        of_all = table["tissue"] == MEAN_OF_TISSUES
        scored = table[table["mean_rho"].notna() & ~of_all].groupby("level")
        table.loc[of_all, "explained"] = table["level"].map(scored["explained"].mean())
        table.loc[of_all, "seconds"] = imputed.seconds[method]
        tables.append(table.assign(method=method))
    table = pd.concat(tables, ignore_index=True)
    if table.loc[table["level"] == "gene_wise", "n_samples"].isna().all():
        raise nothing_to_score("imputation", accuracy)
    return table[ACCURACY]


def _explained(cohort: Cohort, observed_z: np.ndarray, told: np.ndarray) -> dict[str, float]:
    """Share of the squares of held-out z-scores that is told, by tissue."""
    share = {}
    for index, tissue in enumerate(cohort.tissues):
        rows = (cohort.tissue == index) & np.isfinite(told[:, 0])
        if rows.any():
            observed = observed_z[rows]
            left = ((observed - told[rows]) ** 2).sum(dtype=np.float64)
            share[tissue] = 1 - left / max((observed**2).sum(dtype=np.float64), 1e-12)
    return share


def find_outliers(
    cohort: Cohort, folds: pd.Series, imputed: Imputed, settings: Imputation
) -> pd.DataFrame:
    """Find values far from what the sample's other genes say.

    The score is what is left of a held-out value by the Gaussian conditional, else by the first
    method there is, less the median of what is left of the gene in its tissue, over its robust sd.

    Returns
    -------
    pd.DataFrame
        One row a sample and gene whose score is beyond ``settings.outlier``, the farthest first,
        at most ``settings.most_outliers``: columns as in docs/contracts.md.
    """
    others = [name for name in imputed.by_method if name != TISSUE_MEAN]
    told = imputed.by_method["gaussian" if "gaussian" in others else others[0]]
    left = imputed.observed_z - told
    for index in range(len(cohort.tissues)):
        rows = np.flatnonzero((cohort.tissue == index) & np.isfinite(told[:, 0]))
        part = left[rows]
        if len(rows) < MIN_RESIDUALS:
            left[rows] = np.nan
            continue
        part -= np.median(part, 0)
        sd = PER_MAD * np.median(np.abs(part), 0)
        # A gene that hardly varies, or is mostly 0, has no robust sd.
        left[rows] = np.where(sd > 1e-3, part / np.where(sd > 1e-3, sd, 1), np.nan)
    sample, gene = np.nonzero(np.abs(np.nan_to_num(left)) > settings.outlier)
    score = left[sample, gene]
    first = np.argsort(-np.abs(score), kind="stable")[: settings.most_outliers]
    sample, gene = sample[first], gene[first]
    donor = cohort.donors.index[cohort.donor[sample]]
    return pd.DataFrame(
        {
            "sample_id": cohort.samples.index[sample],
            "donor": donor,
            "tissue": np.array(cohort.tissues)[cohort.tissue[sample]],
            "fold": folds.reindex(donor).to_numpy(),
            "gene_id": cohort.genes.index[gene],
            "symbol": cohort.genes["symbol"].to_numpy()[gene],
            "observed_z": imputed.observed_z[sample, gene],
            "imputed_z": told[sample, gene],
            "score": score[first],
        }
    )[OUTLIERS]
