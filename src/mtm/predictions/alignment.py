"""Expression measured elsewhere, brought to the level and spread of the training samples."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import digamma, ndtri, polygamma

from mtm.cohort.ranks import mean_ranks
from mtm.cohort.scaling import TissueScaler, log2_tpm
from mtm.errors import InputError
from mtm.models.base import Predictor
from mtm.predictions.samples import NewSamples, Source, let_go
from mtm.settings.transfer import Alignment
from mtm.vocabulary import NEW_ALIGNMENTS, Measure, NewAlignment

LARGEST_LOG2_TPM = 24.0
CONSTANT_SHARE = 1e-6
# How many sds beyond what people differ by a laboratory must be to count as one.
SURE = 2.0
LEAST_SPREAD, FEW_SPREAD = 0.3, 1.0
# Samples that a gene's variance is drawn to all genes' by.
PRIOR_FREEDOM = 4
LEAST_FOR_SD, LARGEST_STRETCH = 8, 4.0
# Training sds that a gene counts as off by, at most.
FARTHEST = 5.0
# Squared errors that a gene must stand out by to be judged by itself.
FAR = 16.0
# Samples that say how genes go together, at most, and values held at a time.
MOST_OF_GRAM, HELD_VALUES = 300, 1 << 21
# Statistics of a single tissue have one row, which broadcasts over samples.
ONE = np.zeros(1, np.int64)


def align_moments(
    expr_tpm: np.ndarray,
    reference_tpm: np.ndarray,
    alignment: Alignment,
    measure: Measure = "tpm",
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
    measure
        On a scale of their own, values are aligned as they are.

    Returns
    -------
    np.ndarray
        TPM, not below 0, shape of `expr_tpm`, float32. A gene that does not vary gets the mean of
        the reference.
    """
    if alignment == "none":
        return expr_tpm.astype(np.float32)
    unit = log2_tpm if alignment == "log2" and measure == "tpm" else np.asarray
    values, reference = (unit(side.astype(np.float64)) for side in (expr_tpm, reference_tpm))
    mean, sd = values.mean(0), values.std(0)
    varies = sd > CONSTANT_SHARE * np.abs(values).max(0)
    stretch = np.divide(reference.std(0), sd, out=np.zeros_like(sd), where=varies)
    aligned = (values - mean) * stretch + reference.mean(0)
    if measure == "own":
        return aligned.astype(np.float32)
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
) -> tuple[Moved, ...]:
    """Bring new samples to what training samples of their tissue are like (methods 6.21).

    Works in place. Samples of one file and tissue are aligned together; one alone is left as it
    is. Genes a file lacks stay NaN.

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
    tuple of Moved
        What was done, one a file and tissue.
    """
    if method not in NEW_ALIGNMENTS:
        raise InputError("alignment", repr(method), f"one of {', '.join(NEW_ALIGNMENTS)}")
    return tuple(_align(_Together(model, samples, source), method) for source in samples.sources)


def _align(lab: "_Together", method: NewAlignment) -> Moved:
    """Align samples that came together."""
    n, reason = len(lab.rows), ""
    mean = lab.mean()
    after, weight = mean, 0.0
    if method != "none" and n == 1:
        reason = "one sample alone tells people and laboratory not apart"
    elif method == "quantile":
        after, weight = lab.to_quantiles(), 1.0
    elif method != "none":
        moments = _Moments.of(lab, mean, method == "combat")
        if moments is None:
            reason = "they differ no more than people do"
        else:
            lab.to_moments(moments)
            after, weight = (1 - moments.weight) * mean, float(moments.weight.mean())
    distance = tuple(float(np.median(np.abs(m))) if len(m) else 0.0 for m in (mean, after))
    done = "none" if reason else method
    return Moved(lab.where, lab.tissue, n, done, weight, distance, reason)


def _training_samples(model: Predictor, tissue: int) -> int:
    """Return how many samples a tissue's training statistics are of; of all donors if unknown."""
    known = 0 if model.reference is None else int(model.reference.n_samples[tissue])
    return known or max(len(model.provenance.training_donors), 1)


class _Together:
    """Samples of one file and tissue as z-scores, not clipped, some of them at a time."""

    def __init__(self, model: Predictor, samples: NewSamples, source: Source):
        tissue = model.tissues.index(source.tissue)
        self.where, self.tissue, self.rows = source.where, source.tissue, source.rows
        self.expr_tpm = samples.expr_tpm
        self.genes = np.flatnonzero(~np.isnan(self.expr_tpm[self.rows[0]]))
        self.n_training = _training_samples(model, tissue)
        self.mean_sd = [
            values[tissue : tissue + 1, self.genes].astype(np.float64)
            for values in (model.scaler.mean, model.scaler.sd)
        ]
        self.scaler = model.scaler

    def _scaler_of(self, genes: slice) -> TissueScaler:
        mean, sd = (values[:, genes] for values in self.mean_sd)
        return replace(self.scaler, mean=mean, sd=sd, clip=None)

    def by_genes(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield all samples' z-scores of some genes, float64."""
        step = max(1, HELD_VALUES // len(self.rows))
        for start in range(0, len(self.genes), step):
            part = slice(start, start + step)
            values = self.expr_tpm[np.ix_(self.rows, self.genes[part])]
            yield part, self._scaler_of(part).transform(values, ONE).astype(np.float64)
            let_go(self.expr_tpm)

    def mean(self) -> np.ndarray:
        """Return the mean of every gene, ``(n_genes,)``."""
        return np.concatenate([np.empty(0), *(expr_z.mean(0) for _, expr_z in self.by_genes())])

    def to_moments(self, moments: "_Moments") -> None:
        """Shift and stretch."""
        for part, expr_z in self.by_genes():
            mean, weight, stretch = (
                values[part] for values in (moments.mean, moments.weight, moments.stretch)
            )
            aligned_z = (expr_z - mean) * stretch + (1 - weight) * mean
            aligned_tpm = self._scaler_of(part).inverse(aligned_z, ONE)
            self.expr_tpm[np.ix_(self.rows, self.genes[part])] = aligned_tpm

    def to_quantiles(self) -> np.ndarray:
        """Give samples the training's distribution over genes; return the mean of every gene."""
        scaler, total = self._scaler_of(slice(None)), np.zeros(len(self.genes))
        step = max(1, HELD_VALUES // max(len(self.genes), 1))
        for start in range(0, len(self.rows), step):
            cells = np.ix_(self.rows[start : start + step], self.genes)
            aligned_z = _to_quantiles(scaler.transform(self.expr_tpm[cells], ONE), scaler)
            self.expr_tpm[cells] = scaler.inverse(aligned_z, ONE)
            total += aligned_z.sum(0)
            let_go(self.expr_tpm)
        return total / len(self.rows)


@dataclass(frozen=True)
class _Moments:
    """How samples are shifted and stretched, each ``(n_genes,)``.

    Parameters
    ----------
    mean
        Of the samples, in training sds.
    weight
        Share of it that is taken away.
    stretch
        Factor of the differences from it.
    """

    mean: np.ndarray
    weight: np.ndarray
    stretch: np.ndarray

    @classmethod
    def of(cls, lab: _Together, mean: np.ndarray, with_sd: bool) -> "_Moments | None":
        """Find what is to be done (methods 6.21); None where nothing is."""
        n = len(lab.rows)
        kept = np.linspace(0, n - 1, min(n, MOST_OF_GRAM)).astype(int)
        gram = np.zeros((len(kept), len(kept)))
        variance, near, spread_of = (np.empty(len(mean)) for _ in range(3))
        for part, expr_z in lab.by_genes():
            variance[part] = expr_z.var(0) * n / (n - 1)
            # No single gene, far off, shall speak for all.
            expr_z = np.clip(expr_z, -FARTHEST, FARTHEST)
            near[part], spread_of[part] = expr_z.mean(0), expr_z.var(0) * n / (n - 1)
            few = expr_z[kept] - expr_z[kept].mean(0)
            gram += few @ few.T / (len(kept) - 1)
        share = 1 / n + 1 / lab.n_training
        # Of few people the training's variance, 1, is the better guess.
        typical = spread_of.mean() if len(mean) else 1.0
        typical = (typical * (n - 1) + PRIOR_FREEDOM) / (n - 1 + PRIOR_FREEDOM)
        # Where no laboratory differs, mean(m^2) / (typical share) has mean 1 and this sd, as genes
        # go together.
        spread = _relative_spread(gram)
        found = (near**2).mean() if len(mean) else 0.0
        beyond = max(found - typical * share * (1 + SURE * spread), 0)
        noise = (variance * (n - 1) + typical * PRIOR_FREEDOM) / (n - 1 + PRIOR_FREEDOM) * share
        # A gene that stands out by itself is of a wider kind than the rest.
        own = np.maximum(mean**2 - FAR * noise, 0) if beyond else 0.0
        beyond = np.maximum(beyond, own)
        stretch = np.ones_like(mean)
        if with_sd and n >= LEAST_FOR_SD:
            stretch = _stretch(variance, n, spread / np.sqrt(n - 1))
        weight = beyond / (beyond + noise)
        if not weight.any() and (stretch == 1).all():
            return None
        return cls(mean, weight, stretch)


def _relative_spread(gram: np.ndarray) -> float:
    """Sd of a mean square over genes, relative to it: sqrt(2 tr(S^2)) / tr(S).

    `gram` has the trace and the square of the samples' covariance S over genes. tr(S^2) is freed
    from its bias (Bai and Saranadasa 1996); of few samples it is hardly known, and no less than
    `LEAST_SPREAD` is taken.
    """
    n = len(gram)
    if n < 4:
        return FEW_SPREAD
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
    least = 0.0 if scaler.measure == "tpm" else -np.inf
    pooled = np.sort(np.maximum(mean[:, None] + sd[:, None] * normal, least), axis=None)
    reference = pooled[n_draws // 2 :: n_draws]
    values = expr_z * sd + mean
    ranks = mean_ranks(values) - 1
    return ((np.interp(ranks, np.arange(n_genes), reference) - mean) / sd).astype(np.float32)
