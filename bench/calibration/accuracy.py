"""Accuracy of one model: intervals, null bands and P values of `score_predictions`.

Estimands. Gene-wise: the population's correlation of prediction and observation of a gene, the
same for every gene, `RHO`, in folds of any size. Sample-wise: the mean over donors of the
correlation over genes, from `MANY` donors. "Mean of tissues" is their mean over tissues. Tissues
have 100%, 80%, 60% and 50% of the donors, three folds; genes share three donor-wide factors, in
the prediction as in the observation, and tissues share half of their variance.

Null: predictions know nothing of a donor, but their errors are shared over genes and tissues as
observations are. The null band must hold the mean rho in 95% of cohorts, one gene's P must be
uniform, and a gene of 80%, 90% or 95% zeros on both sides must have one as well; "any predictable"
is the least q of a tissue, all false. These predictions are fitted to nothing.

Ridge regression is fitted to the donors of the other folds, on a source that shares nothing,
little or much with the targets (`TOLD`). The estimand is what its fits, as they are, reach in the
population.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from bench.calibration.cohort import (
    N_GENES,
    PRESENT,
    RHO,
    TOLD,
    Written,
    cross_validated_ridge,
    related,
    shared_values,
    source_and_targets,
    who_has,
)
from bench.calibration.trial import Interval, Test

from mtm.analyses.accuracy.score import Scores, score_predictions
from mtm.settings.accuracy import AccuracySettings
from mtm.vocabulary import MEAN_OF_TISSUES

MANY = 20_000
ZEROS = (0.8, 0.9, 0.95)
SPARSE_GENES = 20
SETTINGS = AccuracySettings(permutations=200, bootstraps=200)
PLACES = (("Spleen", "a tissue"), (MEAN_OF_TISSUES, "mean of tissues"))


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval | Test]:
    """Score a model that knows something, and one that knows nothing."""
    observed, has = shared_values(rng, n_donors, len(PRESENT)), who_has(rng, n_donors)
    scores = _scores(8 + observed, has, related(rng, observed))
    for level, truth in (("gene_wise", RHO), ("sample_wise", _sample_wise())):
        for tissue, about in PLACES:
            row = _row(scores, level, tissue)
            yield Interval(f"{level} {about}", row["ci_low"], row["ci_high"], truth)

    unrelated = shared_values(rng, n_donors, len(PRESENT))
    sparse_observed, sparse_predicted = (_sparse(rng, n_donors) for _ in range(2))
    expr_log2 = np.concatenate([8 + observed, sparse_observed], 2)
    scores = _scores(expr_log2, has, np.concatenate([unrelated, sparse_predicted], 2))
    genes = scores.gene_wise[scores.gene_wise["scale"] == "log2_z"]
    genes = genes[genes["tissue"] == "Spleen"].reset_index(drop=True)
    yield Test("gene without zeros", genes["p"][int(rng.integers(N_GENES))])
    for number, zeros in enumerate(ZEROS):
        first = N_GENES + number * SPARSE_GENES
        assessed = genes["p"][first : first + SPARSE_GENES].dropna().to_numpy()
        p = rng.choice(assessed) if len(assessed) else np.nan
        yield Test(f"gene of {zeros:.0%} zeros", p)
    yield Test("any predictable, without signal", genes["q"].min())

    scores = _scores(8 + observed, has, unrelated)
    yield from _null_bands(scores, "null band")
    for amount, share in TOLD.items():
        yield from _fitted(rng, has, amount, share)


def _fitted(
    rng: np.random.Generator, has: np.ndarray, amount: str, share: float
) -> Iterator[Interval | Test]:
    """Score a ridge that is fitted to the donors of the other folds."""
    source, observed = source_and_targets(rng, has.shape[1], share)
    ridge = cross_validated_ridge(source, observed, has, share)
    scores = _scores(8 + observed, has, ridge.predicted, learned=True)
    truth = ridge.truth(taken=0, least=SETTINGS.min_donors_per_fold)
    for tissue, about in PLACES:
        row = _row(scores, "gene_wise", tissue)
        name = f"ridge, {amount} signal, gene_wise {about}"
        yield Interval(name, row["ci_low"], row["ci_high"], truth[tissue])
    if share:
        return
    for tissue, about in PLACES:
        row = _row(scores, "sample_wise", tissue)
        name = f"ridge, {amount} signal, sample_wise {about}"
        yield Interval(name, row["ci_low"], row["ci_high"], 0.0)
    genes = scores.gene_wise[scores.gene_wise["scale"] == "log2_z"]
    genes = genes[genes["tissue"] == "Spleen"].reset_index(drop=True)
    yield Test(f"gene, ridge, {amount} signal", genes["p"][int(rng.integers(N_GENES))])
    yield from _null_bands(scores, f"null band, ridge, {amount} signal")


def _null_bands(scores: Scores, name: str) -> Iterator[Interval]:
    """Null bands, which should hold the mean rho."""
    for level in ("gene_wise", "sample_wise"):
        for tissue, about in PLACES:
            row = _row(scores, level, tissue)
            yield Interval(
                f"{name}, {level} {about}", row["null_low"], row["null_high"], row["mean_rho"]
            )


def _scores(
    expr_log2: np.ndarray, has: np.ndarray, predicted: np.ndarray, learned: bool = False
) -> Scores:
    with TemporaryDirectory() as folder:
        written = Written(Path(folder), expr_log2, has)
        held_out = written.held_out("m", predicted)
        return score_predictions(held_out, "m", SETTINGS, learned, device="cpu")


def _row(scores: Scores, level: str, tissue: str) -> pd.Series:
    table = scores.by_tissue
    kept = (table["scale"] == "log2_z") & (table["level"] == level) & (table["tissue"] == tissue)
    return table[kept & table["convention"].isin(["per_fold", "per_sample"])].iloc[0]


def _sparse(rng: np.random.Generator, n_donors: int) -> np.ndarray:
    """Expression of sparse genes on log2(1 + TPM), independent."""
    zeros = np.repeat(ZEROS, SPARSE_GENES)
    shape = (len(PRESENT), n_donors, len(zeros))
    return np.log2(1 + rng.lognormal(0.5, 1, shape)) * (rng.random(shape) >= zeros)


@lru_cache
def _sample_wise() -> float:
    """Mean sample-wise rho of very many donors."""
    rng = np.random.default_rng(1)
    observed = shared_values(rng, MANY, 1)
    predicted = related(rng, observed)
    rho = [np.corrcoef(p, o)[0, 1] for p, o in zip(predicted[0], observed[0], strict=True)]
    return float(np.mean(rho))
