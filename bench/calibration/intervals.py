"""Intervals of the coverage of prediction intervals, and of the reliability of a gene.

Coverage: predictions correlate with observations by 0.3, genes share donor-wide factors, and five
tissues have 100% to 40% of the donors. Its estimand is the share of observations of very many new
donors inside the intervals that were judged, calibrated on these donors without a fold, the mean
over folds: of one tissue, and of all.

Reliability: the population's correlation of a gene, of independent normal predictions and of
skewed ones (exponentials of normals that correlate by 0.3); and of ridge regression fitted in
three folds, for genes that the source tells and for genes it does not, which share factors with
each other that the source does not have: there the estimand is the mean Fisher z over the fits'
correlations in very many new donors. The tissue has 60% of the donors.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from bench.calibration.cohort import (
    N_FOLDS,
    N_GENES,
    RHO,
    Written,
    related,
    shared_values,
)
from bench.calibration.trial import Interval

from mtm.analyses.accuracy.score import score_predictions
from mtm.analyses.intervals.calibration import (
    Residuals,
    TissueScores,
    interval_quantiles,
    score_tissue,
)
from mtm.analyses.intervals.coverage import coverage_table
from mtm.analyses.intervals.reliability import reliability
from mtm.models.solvers.ridge import gcv_ridge
from mtm.predictions.tissues import tissues
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.intervals import IntervalSettings
from mtm.statistics.correlation import fisher_z
from mtm.vocabulary import MEAN_OF_TISSUES, TERTILES

SETTINGS = IntervalSettings()
ACCURACY = AccuracySettings(permutations=20, bootstraps=20)
SHARE = 0.6
SHARES = {"Liver": 1.0, "Lung": 0.8, "Ovary": 0.6, "Spleen": 0.5, "Testis": 0.4}
MANY = 4000
# Sd of the normals whose exponentials are skewed genes.
SKEW = 0.6
TOLD = N_GENES // 2
TERTILE = np.arange(N_GENES) % len(TERTILES)


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval]:
    """Judge intervals of one cohort, and tell the reliability of its genes."""
    yield from _coverage(rng, n_donors)
    yield from _planted(rng, n_donors)
    yield from _ridge(rng, n_donors)


def _coverage(rng: np.random.Generator, n_donors: int) -> Iterator[Interval]:
    """Coverage of one tissue and of the mean of tissues."""
    observed = shared_values(rng, n_donors, len(SHARES))
    left, fold = observed - related(rng, observed), np.arange(n_donors) % N_FOLDS
    scores = []
    for values, (name, share) in zip(left, SHARES.items(), strict=True):
        has = rng.random(n_donors) < share
        donors = [f"D{number:04d}" for number in np.flatnonzero(has)]
        rows = pd.DataFrame({"donor": donors, "n_sources": 1})
        given = Residuals(name, rows, values[has].astype(np.float32), None, TERTILE)
        scores.append(score_tissue(given, fold[has], N_FOLDS))
    quantiles = interval_quantiles(scores, SETTINGS.levels, SETTINGS.common_donors)
    table = coverage_table("m", scores, scores, SETTINGS).query("by == 'all'")
    for index, level in enumerate(SETTINGS.levels):
        truth = [_true_coverage(s, q[..., index]) for s, q in zip(scores, quantiles, strict=True)]
        of_level = table[table["level"] == level].set_index("tissue")
        for name, value in (("Spleen", truth[3]), (MEAN_OF_TISSUES, np.mean(truth))):
            row = of_level.loc[name]
            about = "mean of tissues" if name == MEAN_OF_TISSUES else "a tissue"
            ends = row["ci_low"], row["ci_high"]
            yield Interval(f"coverage at {level:.0%}, {about}", *ends, value)


def _true_coverage(scores: TissueScores, quantile: np.ndarray) -> float:
    """Coverage in new donors, by the calibrations that judged each sample."""
    half = quantile[:, TERTILE] * scores.sd
    held = np.array([(np.abs(_new_residuals()) <= one).mean() for one in half])
    return float(held[scores.group].mean())


@lru_cache
def _new_residuals() -> np.ndarray:
    rng = np.random.default_rng(1)
    observed = shared_values(rng, MANY, 1)
    return (observed - related(rng, observed))[0]


def _reliability(
    rng: np.random.Generator, observed: np.ndarray, predicted: np.ndarray, learned: bool
) -> pd.DataFrame:
    """Reliability of genes of a tissue; log2(1+TPM) and predictions, ``(n_donors, n_genes)``."""
    with TemporaryDirectory() as folder:
        has = rng.random((1, len(observed))) < SHARE
        written = Written(Path(folder), observed[None], has)
        held_out = written.held_out("m", predicted[None])
        genes = score_predictions(held_out, "m", ACCURACY, learned, device="cpu").gene_wise
        return reliability(next(tissues(held_out)), genes, SETTINGS, ACCURACY, learned)


def _planted(rng: np.random.Generator, n_donors: int) -> Iterator[Interval]:
    """Genes of a known correlation, normal and skewed."""
    observed, error = rng.standard_normal((2, n_donors, N_GENES))
    predicted = RHO * observed + (1 - RHO**2) ** 0.5 * error
    skewed = (np.exp(SKEW**2 * RHO) - 1) / (np.exp(SKEW**2) - 1)
    for about, sides, truth in (
        ("normal", (6 + observed, predicted), RHO),
        ("skewed", (np.exp(SKEW * observed), np.exp(SKEW * predicted)), skewed),
    ):
        row = _reliability(rng, *sides, learned=False).iloc[int(rng.integers(N_GENES))]
        yield Interval(f"reliability of a gene, {about}", row["ci_low"], row["ci_high"], truth)


def _related_to_source(rng: np.random.Generator, n_donors: int) -> tuple[np.ndarray, np.ndarray]:
    """Source and target, each ``(n_donors, n_genes)``; the first `TOLD` genes have a relation."""
    source, target = (shared_values(rng, n_donors, 1)[0] for _ in range(2))
    told = 0.5 * source + 0.75**0.5 * target
    return source, np.where(np.arange(N_GENES) < TOLD, told, target)


def _ridge(rng: np.random.Generator, n_donors: int) -> Iterator[Interval]:
    """Ridge fitted to the donors of the other folds, a gene it can tell and one it cannot."""
    source, observed = _related_to_source(rng, n_donors)
    new_source, new = _related_to_source(rng, MANY)
    folds, predicted, z = np.arange(n_donors) % N_FOLDS, np.empty_like(observed), []
    for fold in range(N_FOLDS):
        train = source[folds != fold]
        fit = gcv_ridge(train @ train.T, observed[folds != fold])
        predicted[folds == fold] = source[folds == fold] @ train.T @ fit.dual + fit.intercept
        of_new = new_source @ train.T @ fit.dual
        rho = [np.corrcoef(a, b)[0, 1] for a, b in zip(of_new.T, new.T, strict=True)]
        z.append(fisher_z(np.array(rho)))
    table, truth = _reliability(rng, 8 + observed, predicted, learned=True), np.tanh(np.mean(z, 0))
    for about, first, last in (("told", 0, TOLD), ("not told", TOLD, N_GENES)):
        gene = int(rng.integers(first, last))
        low, high = table.loc[gene, ["ci_low", "ci_high"]]
        name = f"reliability of a gene, ridge, {about} by the source"
        yield Interval(name, low, high, truth[gene])
