"""Measures of one sample against a tissue's training donors (methods 6.20)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mtm.cohort.ranks import mean_ranks
from mtm.cohort.scaling import TissueScaler, log2_tpm
from mtm.models.layout import Layout, summary
from mtm.statistics.left_out import GroupSums
from mtm.vocabulary import Measure

MEASURES = ("rho", "margin", "tpm_sum", "clipped", "distance")
LIMITS = (
    "rho_low", "margin_low", "tpm_sum_low", "tpm_sum_high", "clipped_high", "distance_high",
    "sex_high",
)  # fmt: skip
# Genes that are ranked, spread evenly over all where there are more.
RANKED = 5000
# z-scores beyond this count as clipped, whatever the model's own limit.
BEYOND = 5.0
SEX_CODES = (1, 2)
SEX_GENES = 8
FEWEST_OF_A_SEX = 10
# A gene tells the sexes where their means are so many sds apart.
SEX_DIFFERENCE, LEAST_SD = 2.5, 0.05
# The sex score of a sample is -1 for sex 1 and 1 for sex 2 on average: beyond the middle it speaks
# against a given sex, and where limits lie beyond the other sex's mean it says nothing.
MIDDLE, OTHER_SEX = 0.0, 0.9
LEAST_DISTANCE = 1e-3


@dataclass(frozen=True)
class Measured:
    """Some samples of one tissue, ``(n_samples,)`` each.

    Parameters
    ----------
    rho
        Spearman's correlation over genes with the tissue's training mean.
    best, rho_best
        Number of the other tissue whose training mean fits best (-1: there is none), and how.
    tpm_sum
        Sum of TPM over the model's genes; NaN of values on a scale of their own.
    clipped
        Share of genes whose z-score is beyond `BEYOND`.
    distance
        Root mean square over genes of the z-scores, limited to `BEYOND`.
    sex_score
        About -1 for sex 1, about 1 for sex 2; NaN where no gene tells.
    """

    rho: np.ndarray
    best: np.ndarray
    rho_best: np.ndarray
    tpm_sum: np.ndarray
    clipped: np.ndarray
    distance: np.ndarray
    sex_score: np.ndarray

    @property
    def margin(self) -> np.ndarray:
        """How much better the named tissue fits than the best other."""
        return self.rho - self.rho_best


@dataclass(frozen=True)
class Sexes:
    """Genes that tell the sexes apart in each tissue.

    Parameters
    ----------
    genes
        Their numbers, ``(n_tissues, SEX_GENES)``, int32; -1 for none.
    votes
        Weights of log2(1+TPM), as `genes`, float32.
    offset
        Of the score, ``(n_tissues,)``, float32.
    """

    genes: np.ndarray
    votes: np.ndarray
    offset: np.ndarray

    @classmethod
    def untold(cls, n_tissues: int) -> "Sexes":
        """Start where no gene tells in any tissue."""
        genes = np.full((n_tissues, SEX_GENES), -1, np.int32)
        votes = np.zeros((n_tissues, SEX_GENES), np.float32)
        return cls(genes, votes, np.zeros(n_tissues, np.float32))

    def learn(self, tissue: int, sums: GroupSums, of_sex: Sequence[np.ndarray]) -> None:
        """Learn one tissue from some groups of its samples.

        Parameters
        ----------
        sums
            Of log2(1+TPM).
        of_sex
            Groups of each of `SEX_CODES`, ``(n_groups,)``, bool.
        """
        if min(map(sums.count, of_sex)) >= FEWEST_OF_A_SEX:
            chosen, votes, offset = _telling(*map(sums.moments, of_sex))
            self.genes[tissue, : len(chosen)], self.votes[tissue, : len(chosen)] = chosen, votes
            self.offset[tissue] = offset

    def without(self, tissues: np.ndarray) -> "Sexes":
        """Let no gene tell in some tissues, ``(n_tissues,)``, bool."""
        genes, votes, offset = self.genes.copy(), self.votes.copy(), self.offset.copy()
        genes[tissues], votes[tissues], offset[tissues] = -1, 0, 0
        return replace(self, genes=genes, votes=votes, offset=offset)

    @staticmethod
    def layout(shape: tuple[int, int]) -> Layout:
        """Return the arrays, of so many tissues and genes."""
        of_genes = shape[0], SEX_GENES
        return {
            "sex_genes": summary(of_genes, "int32", -1, shape[1] - 1),
            "sex_votes": summary(of_genes),
            "sex_offset": summary(shape[:1]),
        }

    def score(
        self,
        expr_tpm: np.ndarray,
        tissue: int,
        found: np.ndarray | None = None,
        of: Measure = "tpm",
    ) -> np.ndarray:
        """Score samples of a tissue, ``(n_samples,)``; NaN unless all its genes were `found`."""
        genes = self.genes[tissue]
        genes, votes = genes[genes >= 0], self.votes[tissue][genes >= 0]
        if not len(genes) or (found is not None and not found[genes].all()):
            return np.full(len(expr_tpm), np.nan)
        return log2_tpm(expr_tpm[:, genes], of) @ votes + self.offset[tissue]


def _telling(*sexes: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray, float]:
    """Choose genes that tell the sexes by their means and variances; votes and the offset."""
    means, variances = zip(*sexes, strict=True)
    sd = np.sqrt(np.mean(variances, axis=0))
    gap = means[1] - means[0]
    apart = np.abs(gap) / np.maximum(sd, LEAST_SD)
    telling = np.flatnonzero(apart >= SEX_DIFFERENCE)
    chosen = telling[np.argsort(-apart[telling], kind="stable")][:SEX_GENES]
    # Every gene votes: -1 at the mean of the first group, 1 at that of the second.
    votes = 2 / (gap[chosen] * max(len(chosen), 1))
    return chosen, votes, -float((votes * np.mean(means, axis=0)[chosen]).sum())


def sexes_of(donors: pd.DataFrame) -> np.ndarray:
    """Sex of each donor, ``(n_donors,)``: 1, 2, or 0 where it is neither or not known."""
    given = donors["sex"] if "sex" in donors else pd.Series(0, donors.index)
    codes = pd.to_numeric(given, errors="coerce").to_numpy(np.float64)
    return np.where(np.isin(codes, SEX_CODES), codes, 0).astype(np.int64)


def measure(
    scaler: TissueScaler,
    sexes: Sexes | None,
    expr_tpm: np.ndarray,
    tissue: int,
    found: np.ndarray | None = None,
    means: np.ndarray | None = None,
) -> Measured:
    """Measure samples said to be of one tissue.

    Parameters
    ----------
    scaler, sexes
        Of training donors; without `sexes` there is no score of the sex.
    expr_tpm
        ``(n_samples, n_genes)``, TPM, finite.
    tissue
        Its number.
    found
        Genes that the samples have, ``(n_genes,)``, bool; None for all. Others are in the sum of
        TPM alone.
    means
        What `unit_ranks` gives of the scaler's means, of the genes found; None to rank them here.
    """
    genes = slice(None) if found is None else np.flatnonzero(found)
    kept = expr_tpm[:, genes]
    means = unit_ranks(scaler.mean[:, genes]) if means is None else means
    rho = unit_ranks(kept) @ means.T
    others = np.delete(np.arange(len(scaler.mean)), tissue)
    others = others[~np.isnan(scaler.mean[others, 0])]
    best = others[rho[:, others].argmax(1)] if len(others) else np.full(len(kept), -1)
    rho_best = rho[np.arange(len(kept)), best] if len(others) else np.full(len(kept), np.nan)
    values = log2_tpm(kept, scaler.measure) if scaler.scale == "log2_z" else kept
    expr_z = np.abs((values - scaler.mean[tissue, genes]) / scaler.sd[tissue, genes])
    return Measured(
        rho[:, tissue].astype(np.float64),
        best,
        rho_best.astype(np.float64),
        _tpm_sum(expr_tpm, scaler.measure),
        (expr_z > BEYOND).mean(1),
        np.sqrt(np.square(np.minimum(expr_z, BEYOND)).mean(1, dtype=np.float64)),
        np.full(len(kept), np.nan)
        if sexes is None
        else sexes.score(expr_tpm, tissue, found, scaler.measure),
    )


def _tpm_sum(expr_tpm: np.ndarray, of: Measure) -> np.ndarray:
    """Sum over genes; NaN of values on a scale of their own, which add up to nothing."""
    total = expr_tpm.sum(1, dtype=np.float64)
    return total if of == "tpm" else np.full_like(total, np.nan)


def unit_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks over genes, centred and of norm 1; 0 if all tie.

    Parameters
    ----------
    values
        Shape ``(n_rows, n_genes)``.

    Returns
    -------
    np.ndarray
        Of every so manieth gene, `RANKED` at most, float32.
    """
    values = values[:, :: -(-values.shape[1] // RANKED)]
    ranks = mean_ranks(values).astype(np.float32) - np.float32((values.shape[1] + 1) / 2)
    norm = np.linalg.norm(ranks, axis=1, keepdims=True)
    return np.divide(ranks, norm, out=np.zeros_like(ranks), where=norm > 0)


def to_badness(measured: Measured, sex: np.ndarray, n_genes: int) -> np.ndarray:
    """Turn measures into numbers that are larger the worse, even in spread.

    Returns
    -------
    np.ndarray
        In the order of `LIMITS`, ``(n_samples, 7)``; minus infinity for what was not measured.
    """
    log_sum = np.log(measured.tpm_sum + 1)
    columns = [
        np.log(1 - measured.rho + 1e-3),
        -measured.margin,
        -log_sum,
        log_sum,
        np.log(measured.clipped + 1 / n_genes),
        np.log(measured.distance + LEAST_DISTANCE),
        np.where(sex > 0, measured.sex_score * (3 - 2 * sex), np.nan),
    ]
    badness = np.stack(columns, axis=1)
    return np.where(np.isnan(badness), -np.inf, badness)


def _back(badness: np.ndarray, n_genes: int) -> list[np.ndarray]:
    """Undo `to_badness`, column by column, but for the sex."""
    return [
        1 + 1e-3 - np.exp(badness[:, 0]),
        -badness[:, 1],
        np.exp(-badness[:, 2]) - 1,
        np.exp(badness[:, 3]) - 1,
        np.exp(badness[:, 4]) - 1 / n_genes,
        np.exp(badness[:, 5]) - LEAST_DISTANCE,
    ]


def to_typical(medians: np.ndarray, n_genes: int) -> np.ndarray:
    """Medians of `to_badness` as medians of `MEASURES`, ``(n_tissues, 5)``."""
    rho, margin, _, tpm_sum, clipped, distance = _back(medians, n_genes)
    return _finite(np.stack([rho, margin, tpm_sum, clipped, distance], axis=1))


def to_limits(limits: np.ndarray, n_genes: int) -> np.ndarray:
    """Limits of `to_badness` as `LIMITS`, ``(n_tissues, 7)``; NaN where the sex cannot be told."""
    sex = np.maximum(limits[:, 6], MIDDLE)
    found = [*_back(limits, n_genes), np.where(sex < OTHER_SEX, sex, np.nan)]
    return _finite(np.stack(found, axis=1))


def _finite(values: np.ndarray) -> np.ndarray:
    """Return them with no limit for what was not measured."""
    return np.where(np.isfinite(values), values, np.nan)
