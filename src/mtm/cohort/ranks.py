"""Rank values: where a gene stands among the genes of its own sample (methods 6.25)."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import ndtri

from mtm.cohort.scaling import log2_tpm
from mtm.vocabulary import Measure

# Values ranked at a time.
HELD_VALUES = 1 << 22
# Standardised scores are limited to plus and minus this, as z-scores are.
FARTHEST = 5.0
# Scores and values that differ by less do not differ.
CONSTANT = 1e-6
# A median is the value of one training sample, which whoever has it finds in a bundle: what is
# kept is rounded to this share of the gene's sd.
MEDIAN_STEP = 0.25


def tissue_medians(
    expr_tpm: np.ndarray, tissue: np.ndarray, n_tissues: int, measure: Measure = "tpm"
) -> np.ndarray:
    """Median of log2(1+TPM) of every gene in every tissue, ``(n_tissues, n_genes)``, float32.

    A tissue without samples has NaN.
    """
    medians = np.full((n_tissues, expr_tpm.shape[1]), np.nan, np.float32)
    for index in np.unique(tissue):
        medians[index] = np.median(log2_tpm(expr_tpm[tissue == index], measure), axis=0)
    return medians


def deviations(
    expr_tpm: np.ndarray, tissue: np.ndarray, medians: np.ndarray, measure: Measure = "tpm"
) -> np.ndarray:
    """log2(1+TPM) less the tissue's median: by how much a gene is above its usual level.

    Shapes ``(n_samples, n_genes)``, ``(n_samples,)`` and ``(n_tissues, n_genes)``.
    """
    return log2_tpm(expr_tpm, measure) - medians[tissue]


def mean_ranks(values: np.ndarray) -> np.ndarray:
    """Rank the values of each row from 1 on; equal ones have their mean rank, NaN stays.

    Shape ``(n_samples, n_genes)``, float64.
    """
    # As scipy.stats.rankdata, whose import takes longer than many a job.
    return pd.DataFrame(values).rank(axis=1).to_numpy()


def normal_scores(values: np.ndarray) -> np.ndarray:
    """Replace each row by the normal quantiles of its ranks; NaN has no rank and stays.

    Equal values have their mean rank. Shape ``(n_samples, n_genes)``, float32.
    """
    scores = np.empty(values.shape, np.float32)
    step = max(1, HELD_VALUES // max(values.shape[1], 1))
    for start in range(0, len(values), step):
        part = values[start : start + step]
        counts = (~np.isnan(part)).sum(1, keepdims=True)
        ranks = mean_ranks(part)
        scores[start : start + step] = ndtri((ranks - 0.5) / np.maximum(counts, 1))
    return scores


@dataclass(frozen=True)
class RankScaler:
    """Samples of one tissue as a model that is given ranks sees them.

    What adds the same to log2(1+TPM) of all genes of a sample leaves ranks alone: a factor of TPM
    does so for genes far above 1 TPM, and not for silent ones.

    Parameters
    ----------
    tissue
        Number of the tissue.
    medians
        Of training samples, log2(1+TPM), in steps of `MEDIAN_STEP`, ``(n_genes,)``, float32.
    mean, sd
        Of the training samples' normal scores, ``(n_genes,)``, float32.
    slope
        Of z-scores on what `transform` gives, in training samples, ``(n_genes,)``, float32.
    measure
        As of `mtm.cohort.scaling.TissueScaler`.
    """

    tissue: int
    medians: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    slope: np.ndarray
    measure: Measure = "tpm"

    @classmethod
    def fit(
        cls, expr_tpm: np.ndarray, expr_z: np.ndarray, tissue: int, measure: Measure = "tpm"
    ) -> "RankScaler":
        """Fit on training samples of `tissue`, TPM and z-scores, ``(n_samples, n_genes)``."""
        own = np.zeros(len(expr_tpm), np.int64)
        medians = tissue_medians(expr_tpm, own, 1, measure)
        step = MEDIAN_STEP * log2_tpm(expr_tpm, measure).std(0)
        step = np.where(step > CONSTANT, step, CONSTANT)
        medians = (np.rint(medians / step) * step).astype(np.float32)
        scores = normal_scores(deviations(expr_tpm, own, medians, measure))
        mean, sd = scores.mean(0, dtype=np.float64), scores.std(0, dtype=np.float64)
        sd = np.where(sd > CONSTANT, sd, 1)
        mean, sd = mean.astype(np.float32), sd.astype(np.float32)
        ranks = cls(tissue, medians[0], mean, sd, np.ones_like(sd), measure)
        seen = ranks.transform(expr_tpm)
        square = np.square(seen).sum(0, dtype=np.float64)
        slope = (seen * expr_z).sum(0, dtype=np.float64) / np.where(square > 0, square, 1)
        return replace(ranks, slope=slope.astype(np.float32))

    def transform(self, expr_tpm: np.ndarray) -> np.ndarray:
        """Return standardised normal scores of samples, ``(n_samples, n_genes)``, float32.

        Ranks are among the genes that a sample has; those it lacks (NaN) stay NaN.
        """
        values = log2_tpm(expr_tpm, self.measure) - self.medians
        return np.clip((normal_scores(values) - self.mean) / self.sd, -FARTHEST, FARTHEST)

    def put_into(self, expr_z: np.ndarray, expr_tpm: np.ndarray, tissue: np.ndarray) -> np.ndarray:
        """Set the rows of the tissue, in place; shapes as of `TissueScaler.transform`."""
        rows = tissue == self.tissue
        expr_z[rows] = self.transform(expr_tpm[rows])
        return expr_z
