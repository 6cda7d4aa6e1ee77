"""Intervals of the coverage of prediction intervals, and of the reliability of a gene.

Coverage: predictions correlate with observations by 0.3, genes share donor-wide factors, and five
tissues have 100% to 40% of the donors. Its estimand is the share of observations of very many new
donors inside the intervals that were judged, calibrated on these donors without a fold, the mean
over folds: of one tissue, and of all.

Reliability: the population's correlation of a gene, of independent normal predictions and of
skewed ones (exponentials of correlated normals), 0.3 on the normal scale; and of ridge regression
fitted in three folds, for genes that the source tells and for genes it does not: there the
estimand is the mean Fisher z over the fits' correlations in very many new donors.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from bench.calibration.accuracy import (
    N_FOLDS,
    N_GENES,
    PRESENT,
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
SHARES = {"Liver": 1.0, "Lung": 0.8, "Ovary": 0.6, "Spleen": 0.5, "Testis": 0.4}
MANY = 4000
TOLD = N_GENES // 2
TERTILE = np.arange(N_GENES) % len(TERTILES)


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval]:
    """Judge intervals of one cohort, and tell the reliability of its genes."""
    yield from _coverage(rng, n_donors)
    observed = rng.standard_normal((len(PRESENT), n_donors, N_GENES))
    error = rng.standard_normal(observed.shape)
    predicted = RHO * observed + (1 - RHO**2) ** 0.5 * error
    yield _gene(rng, "normal", 6 + observed, predicted, np.full(N_GENES, RHO))
    skewed = np.exp(observed), np.exp(predicted)
    truth = (np.exp(RHO) - 1) / (np.e - 1)
    yield _gene(rng, "skewed", skewed[0], skewed[1], np.full(N_GENES, truth))
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


def _gene(
    rng: np.random.Generator,
    about: str,
    observed: np.ndarray,
    predicted: np.ndarray,
    truth: np.ndarray,
    learned: bool = False,
    among: slice = slice(None),
) -> Interval:
    """Reliability of a gene at random; log2(1+TPM), ``(n_tissues, n_donors, n_genes)``."""
    with TemporaryDirectory() as folder:
        held_out = Written(rng, Path(folder), observed, PRESENT).held_out("m", predicted)
        genes = score_predictions(held_out, "m", ACCURACY, learned, device="cpu").gene_wise
        spleen = list(tissues(held_out))[list(PRESENT).index("Spleen")]
        table = reliability(spleen, genes, SETTINGS, ACCURACY, learned)
    row = rng.choice(np.arange(N_GENES)[among])
    ends = table.loc[row, ["ci_low", "ci_high"]]
    return Interval(f"reliability of a gene, {about}", *ends, truth[row])


def _ridge(rng: np.random.Generator, n_donors: int) -> Iterator[Interval]:
    """Ridge fitted to the donors of the other folds, a gene it can tell and one it cannot."""
    source, new_source = (shared_values(rng, n, 1)[0] for n in (n_donors, MANY))
    observed = shared_values(rng, n_donors, len(PRESENT))
    new = shared_values(rng, MANY, 1)[0]
    for of_source, values in ((source, observed), (new_source, new)):
        values[..., :TOLD] = 0.5 * of_source[:, :TOLD] + 0.75**0.5 * values[..., :TOLD]
    folds, predicted, z = np.arange(n_donors) % N_FOLDS, np.empty_like(observed), []
    for fold in range(N_FOLDS):
        train = source[folds != fold]
        for tissue, values in enumerate(observed):
            fit = gcv_ridge(train @ train.T, values[folds != fold])
            told = source[folds == fold] @ train.T @ fit.dual + fit.intercept
            predicted[tissue, folds == fold] = told
            if list(PRESENT)[tissue] == "Spleen":
                of_new = new_source @ train.T @ fit.dual
                rho = [np.corrcoef(a, b)[0, 1] for a, b in zip(of_new.T, new.T, strict=True)]
                z.append(fisher_z(np.array(rho)))
    truth = np.tanh(np.mean(z, 0))
    for about, among in (("told", slice(TOLD)), ("not told", slice(TOLD, None))):
        name = f"ridge, {about} by the source"
        yield _gene(rng, name, 8 + observed, predicted, truth, True, among)
