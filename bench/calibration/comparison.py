"""Two models of one cohort: intervals and P values of `compare_accuracy`.

Estimands: the difference of the models' gene-wise correlations in the population, and for samples
of the models' mean sample-wise correlations. Under the null two models know the same amount
(rho 0.3), each with errors of its own, which genes and tissues share: P of per-fold and of pooled
correlations, and the rank-sum P over genes or samples (`p_rank_sum`), which takes them for
independent; the interval is of a model of rho 0.4 against one of 0.25.

Fitted to the donors of the other folds, two ridges on sources that tell nothing are equal as well;
the interval is of one on a source that tells much against one on a source that tells nothing,
their fits as they are.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from bench.calibration.cohort import (
    PRESENT,
    TOLD,
    Written,
    cross_validated_ridge,
    related,
    shared_values,
    source_and_targets,
    who_has,
)
from bench.calibration.trial import Interval, Test

from mtm.analyses.accuracy.comparison import Scored, compare_accuracy
from mtm.analyses.accuracy.points import POOLED_CONVENTIONS
from mtm.analyses.accuracy.score import score_predictions
from mtm.settings.accuracy import AccuracySettings
from mtm.vocabulary import MEAN_OF_TISSUES

RHO = {"same": 0.3, "equal": 0.3, "better": 0.4, "worse": 0.25}
PLACES = {"Spleen": "a tissue", MEAN_OF_TISSUES: "mean of tissues"}
SETTINGS = AccuracySettings(permutations=1, null_genes=1, bootstraps=200)


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval | Test]:
    """Compare two models that know the same amount, and two that do not."""
    has = who_has(rng, n_donors)
    observed = shared_values(rng, n_donors, len(PRESENT))
    predicted = {name: related(rng, observed, rho) for name, rho in RHO.items()}
    table = _compared(observed, has, predicted, [("same", "equal"), ("better", "worse")], False)
    truth = dict.fromkeys(PLACES, RHO["better"] - RHO["worse"])
    yield from _trials(table, "same", "equal models")
    yield from _intervals(table, "better", "difference", truth)

    source, observed = source_and_targets(rng, n_donors, TOLD["strong"])
    fits = {"told": cross_validated_ridge(source, observed, has, TOLD["strong"])}
    for name in ("first", "second"):
        unrelated = shared_values(rng, n_donors, 1)[0]
        fits[name] = cross_validated_ridge(unrelated, observed, has, TOLD["no"])
    predicted = {name: fit.predicted for name, fit in fits.items()}
    table = _compared(observed, has, predicted, [("first", "second"), ("told", "first")], True)
    truth = fits["told"].truth(taken=0, least=SETTINGS.min_donors_per_fold)
    yield from _trials(table, "first", "two ridges, no signal")
    yield from _intervals(table, "told", "ridge, strong signal against none", truth)


def _compared(
    observed: np.ndarray,
    has: np.ndarray,
    predicted: Mapping[str, np.ndarray],
    pairs: list[tuple[str, str]],
    learned: bool,
) -> pd.DataFrame:
    """Score models and compare pairs of them."""
    with TemporaryDirectory() as folder:
        written, scored = Written(Path(folder), 8 + observed, has), {}
        for name, values in predicted.items():
            held_out = written.held_out(name, values)
            scores = score_predictions(held_out, name, SETTINGS, device="cpu")
            scored[name] = Scored(scores.gene_wise, scores.sample_wise, held_out, learned)
        return compare_accuracy(scored, pairs, SETTINGS, device="cpu")


def _trials(table: pd.DataFrame, model: str, name: str) -> Iterator[Test]:
    """P of a model against one that is no better."""
    for tissue, about in PLACES.items():
        for level in ("gene_wise", "sample_wise"):
            row = _row(table, model, level, tissue)
            yield Test(f"{name}, {level} {about}", row["p"])
            if tissue != MEAN_OF_TISSUES:
                yield Test(f"{name}, {level} {about}, p_rank_sum", row["p_rank_sum"])
        for convention in POOLED_CONVENTIONS:
            row = _row(table, model, "gene_wise", tissue, convention)
            yield Test(f"{name}, {convention} {about}", row["p"])


def _intervals(
    table: pd.DataFrame, model: str, name: str, truth: Mapping[str, float]
) -> Iterator[Interval]:
    """Intervals of the difference between a model and a worse one."""
    for tissue, about in PLACES.items():
        row = _row(table, model, "gene_wise", tissue)
        name_of = f"{name}, gene_wise {about}"
        yield Interval(name_of, row["ci_low"], row["ci_high"], truth[tissue])


def _row(
    table: pd.DataFrame, model: str, level: str, tissue: str, convention: str | None = None
) -> pd.Series:
    """Return the row of a convention, of the headline's where none is named."""
    kept = (table["model_a"] == model) & (table["level"] == level) & (table["tissue"] == tissue)
    asked = [convention] if convention else ["per_fold", "per_sample"]
    kept &= table["convention"].isin(asked) & (table["scale"] == "log2_z")
    return table[kept].iloc[0]
