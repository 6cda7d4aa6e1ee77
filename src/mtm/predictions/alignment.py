"""Expression measured elsewhere, brought to the level and spread of the training samples."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import digamma, ndtri, polygamma
from scipy.stats import rankdata

from mtm.cohort.scaling import TissueScaler, log2_tpm
from mtm.errors import InputError
from mtm.models.base import Predictor
from mtm.predictions.samples import NewSamples, Source
from mtm.settings.transfer import Alignment
from mtm.vocabulary import NEW_ALIGNMENTS, NewAlignment

LARGEST_LOG2_TPM = 24.0
CONSTANT_SHARE = 1e-6
# How many sds beyond what people differ by a laboratory must be to count as one.
SURE = 2.0
LEAST_SPREAD, FEW_SPREAD = 0.3, 1.0
# Samples that a gene's variance is drawn to all genes' by.
PRIOR_FREEDOM = 4
LEAST_FOR_SD, LARGEST_STRETCH = 8, 4.0
# Statistics of a single tissue have one row, which broadcasts over samples.
ONE = np.zeros(1, np.int64)


def align_moments(
    expr_tpm: np.ndarray, reference_tpm: np.ndarray, alignment: Alignment
) -> np.ndarray:
    """Give every gene the mean and sd that it has in the reference.

    Parameters
    ----------
    expr_tpm, reference_tpm
        Shapes ``(n_samples, n_genes)`` and ``(n_reference, n_genes)``, TPM.
    alignment
        - ``"none"``: values as they are
        - ``"log2"``: mean and sd of log2(1+TPM)
        - ``"tpm"``: mean and sd of TPM

    Returns
    -------
    np.ndarray
        TPM, not below 0, shape of `expr_tpm`, float32. A gene that does not vary gets the mean of
        the reference.
    """
    if alignment == "none":
        return expr_tpm.astype(np.float32)
    unit = log2_tpm if alignment == "log2" else np.asarray
    values, reference = (unit(side.astype(np.float64)) for side in (expr_tpm, reference_tpm))
    mean, sd = values.mean(0), values.std(0)
    varies = sd > CONSTANT_SHARE * np.abs(values).max(0)
    stretch = np.divide(reference.std(0), sd, out=np.zeros_like(sd), where=varies)
    aligned = (values - mean) * stretch + reference.mean(0)
    if alignment == "log2":
        aligned = np.exp2(np.clip(aligned, 0, LARGEST_LOG2_TPM)) - 1
    return np.maximum(aligned, 0).astype(np.float32)


@dataclass(frozen=True)
class Moved:
    """What aligning did to the samples that came together.

    Parameters
    ----------
    where, tissue, n_samples
        Whose.
    method
        One of `NEW_ALIGNMENTS`; ``"none"`` where too few samples came, or nothing was to do.
    weight
        Share of the difference from the training mean that was taken away, mean over genes.
    distance
        Median over genes of the difference of the samples' mean from the training mean, in
        training sds, before and after.
    reason
        Why `method` is not the one that was asked for; empty where it is.
    """

    where: str
    tissue: str
    n_samples: int
    method: NewAlignment
    weight: float
    distance: tuple[float, float]
    reason: str = ""

    def __str__(self) -> str:
        samples = f"{self.n_samples} sample{'s' * (self.n_samples != 1)} of {self.tissue}"
        before, after = self.distance
        if self.method == "none":
            because = f" ({self.reason})" if self.reason else ""
            return f"{samples}: not aligned{because}; {before:.2f} sd from the training mean"
        taken = f", {self.weight:.0%} of the difference taken away" * (self.method != "quantile")
        return (
            f"{samples}: aligned ({self.method}{taken}); {before:.2f} sd from the training mean "
            f"before, {after:.2f} after (median gene)"
        )


def align_to_training(
    model: Predictor, samples: NewSamples, method: NewAlignment
) -> tuple[NewSamples, tuple[Moved, ...]]:
    """Bring new samples to what training samples of their tissue are like (methods 6.23).

    Samples of one file and tissue are aligned together; one alone is left as it is. Genes a file
    lacks stay NaN.

    Parameters
    ----------
    model
        Its scaler holds mean and sd of every gene in training samples of a tissue.
    samples
        From `mtm.predictions.samples`.
    method
        - ``"none"``: values as they are
        - ``"shift"``: the mean of every gene, as far as it differs by more than people do
        - ``"combat"``: its sd too
        - ``"quantile"``: each sample's values get the distribution over genes that training
          samples have

    Returns
    -------
    NewSamples
        Aligned; `samples` itself stays.
    tuple of Moved
        What was done, one a file and tissue.
    """
    if method not in NEW_ALIGNMENTS:
        raise InputError("alignment", repr(method), f"one of {', '.join(NEW_ALIGNMENTS)}")
    expr_tpm, told = samples.expr_tpm, []
    if method != "none":
        expr_tpm = expr_tpm.copy()
    for source in samples.sources:
        scaler, genes = _scaler_of(model, samples, source)
        expr_z = scaler.transform(samples.expr_tpm[np.ix_(source.rows, genes)], ONE)
        aligned_z, weight, reason = _aligned(
            expr_z, scaler, method, len(model.provenance.training_donors)
        )
        if not reason:
            expr_tpm[np.ix_(source.rows, genes)] = scaler.inverse(aligned_z, ONE)
        distance = tuple(float(np.median(np.abs(z.mean(0)))) for z in (expr_z, aligned_z))
        done = "none" if reason else method
        told.append(
            Moved(source.where, source.tissue, len(source.rows), done, weight, distance, reason)
        )
    return samples.with_expression(expr_tpm), tuple(told)


def _scaler_of(
    model: Predictor, samples: NewSamples, source: Source
) -> tuple[TissueScaler, np.ndarray]:
    """Return the scaler of one tissue, not clipped, on the genes that its samples have."""
    tissue = model.tissues.index(source.tissue)
    genes = np.flatnonzero(~np.isnan(samples.expr_tpm[source.rows[0]]))
    mean, sd = (
        values[tissue : tissue + 1, genes].astype(np.float64)
        for values in (model.scaler.mean, model.scaler.sd)
    )
    return replace(model.scaler, mean=mean, sd=sd, clip=None), genes


def _aligned(
    expr_z: np.ndarray, scaler: TissueScaler, method: NewAlignment, n_training: int
) -> tuple[np.ndarray, float, str]:
    """Align samples of one tissue.

    Returns
    -------
    np.ndarray, float, str
        z-scores; the share of the difference that was taken away; and why nothing was done,
        empty where something was.
    """
    if method == "none":
        return expr_z, 0.0, "not asked for"
    if len(expr_z) == 1:
        return expr_z, 0.0, "one sample alone tells people and laboratory not apart"
    if method == "quantile":
        return _to_quantiles(expr_z, scaler), 1.0, ""
    moved = _to_moments(expr_z.astype(np.float64), n_training, method == "combat")
    return (expr_z, 0.0, "they differ no more than people do") if moved is None else (*moved, "")


def _to_moments(
    expr_z: np.ndarray, n_training: int, with_sd: bool
) -> tuple[np.ndarray, float] | None:
    """Shift, and perhaps stretch, genes towards mean 0 and sd 1 (methods 6.23).

    Returns z-scores and the mean weight; None where nothing is to do.
    """
    n = len(expr_z)
    share = 1 / n + 1 / max(n_training, 1)
    mean = expr_z.mean(0)
    centred = expr_z - mean
    variance = centred.var(0) * n / (n - 1)
    # Of few people the training's variance, 1, is the better guess.
    typical = (variance.mean() * (n - 1) + PRIOR_FREEDOM) / (n - 1 + PRIOR_FREEDOM)
    # Where no laboratory differs, mean(m^2) / (typical share) has mean 1 and this sd, as genes go
    # together.
    spread = _relative_spread(centred)
    beyond = (mean**2).mean() - typical * share * (1 + SURE * spread)
    noise = (variance * (n - 1) + typical * PRIOR_FREEDOM) / (n - 1 + PRIOR_FREEDOM)
    weight = max(beyond, 0) / (max(beyond, 0) + noise * share)
    stretch = np.ones_like(mean)
    if with_sd and n >= LEAST_FOR_SD:
        stretch = _stretch(variance, n, spread / np.sqrt(n - 1))
    if beyond <= 0 and (stretch == 1).all():
        return None
    return (centred * stretch + (1 - weight) * mean).astype(np.float32), float(weight.mean())


def _relative_spread(centred: np.ndarray) -> float:
    """Sd of a mean square over genes, relative to it: sqrt(2 tr(S^2)) / tr(S).

    tr(S^2) is freed from its bias (Bai and Saranadasa 1996); of few samples it is hardly known,
    and no less than `LEAST_SPREAD` is taken.
    """
    n = len(centred)
    if n < 4:
        return FEW_SPREAD
    gram = centred @ centred.T / (n - 1)
    total = np.trace(gram)
    square = (n - 1) ** 2 / ((n - 2) * (n + 1)) * ((gram**2).sum() - total**2 / (n - 1))
    return max(float(np.sqrt(2 * max(square, 0)) / max(total, 1e-12)), LEAST_SPREAD)


def _stretch(variance: np.ndarray, n: int, noise_of_all: float) -> np.ndarray:
    """Factors that bring sds of genes to 1, drawn to their common factor as in ComBat.

    `noise_of_all` is the sd of the logarithm of their common variance, as people vary together.
    """
    freedom = n - 1
    varies = variance > 1e-8
    if not varies.any():
        return np.ones_like(variance)
    log_variance = np.log(variance[varies]) - (digamma(freedom / 2) - np.log(freedom / 2))
    noise = float(polygamma(1, freedom / 2))
    common, between = log_variance.mean(), max(log_variance.var() - noise, 0)
    away = between / (between + noise) * (log_variance - common)
    # James and Stein: nothing of a factor that people alone may give.
    drawn = away + common * max(0.0, 1 - (SURE * noise_of_all / common) ** 2)
    stretch = np.ones_like(variance)
    stretch[varies] = np.exp(-drawn / 2)
    return np.clip(stretch, 1 / LARGEST_STRETCH, LARGEST_STRETCH)


def _to_quantiles(expr_z: np.ndarray, scaler: TissueScaler) -> np.ndarray:
    """Give each sample the distribution over genes of training samples, by its ranks."""
    mean, sd = scaler.mean[0], scaler.sd[0]
    n_genes, n_draws = expr_z.shape[1], 9
    normal = ndtri((np.arange(n_draws) + 0.5) / n_draws)
    pooled = np.sort(np.maximum(mean[:, None] + sd[:, None] * normal, 0), axis=None)
    reference = pooled[n_draws // 2 :: n_draws]
    values = expr_z * sd + mean
    ranks = rankdata(values, axis=1) - 1
    return ((np.interp(ranks, np.arange(n_genes), reference) - mean) / sd).astype(np.float32)
