"""Accuracy beyond covariates: intervals, null bands and P values of `partial_accuracy`.

Estimand: the population's correlation of prediction and observation given sex and age of the
donor, the same for every gene. A model that knows covariates and nothing more has partial rho 0
(its P and null band are looked at); one that knows more has `RHO`. Ridge regression is fitted to
the donors of the other folds, on a source that tells nothing, little or much beyond covariates; it
has what its fits, as they are, reach in the population. With 40 donors the smallest tissue has too
few in each fold and is left out.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from bench.calibration.cohort import (
    N_GENES,
    PRESENT,
    RHO,
    SOURCE,
    TOLD,
    Written,
    cross_validated_ridge,
    related,
    shared_values,
    source_and_targets,
    who_has,
)
from bench.calibration.trial import Interval, Test

from mtm.analyses.accuracy.partial import MIN_LEFT, partial_accuracy
from mtm.cohort.cohort import Cohort
from mtm.settings.accuracy import AccuracySettings
from mtm.vocabulary import MEAN_OF_TISSUES

EFFECTS = np.random.default_rng(2).normal(0, 0.7, (2, N_GENES))
PLACES = (("Lung", "a tissue"), (MEAN_OF_TISSUES, "mean of tissues"))
SETTINGS = AccuracySettings(permutations=1, null_genes=1, bootstraps=200)


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval | Test]:
    """Score a model that knows covariates alone, and one that knows more."""
    donors = pd.DataFrame(
        {"sex": rng.integers(1, 3, n_donors), "age": rng.uniform(20, 70, n_donors)},
        index=pd.Index([f"D{d:03d}" for d in range(n_donors)], name="donor"),
    )
    of_traits = (donors.to_numpy() - [1.5, 45]) / [0.5, 14.4] @ EFFECTS
    has = who_has(rng, n_donors)
    individual, unrelated = (shared_values(rng, n_donors, len(PRESENT)) for _ in range(2))
    predicted = {"more": related(rng, individual), "alone": unrelated}
    tables = _tables(donors, has, individual, of_traits, predicted, learned=False)
    for tissue, about in PLACES:
        row, null = (_row(tables[name], tissue) for name in ("more", "alone"))
        yield Interval(f"partial rho, {about}", row["ci_low"], row["ci_high"], RHO)
        yield Test(f"no partial rho, {about}", null["p"])
        yield Interval(
            f"null band, {about}", null["null_low"], null["null_high"], null["mean_rho"]
        )
    for amount, share in TOLD.items():
        source, individual = source_and_targets(rng, n_donors, share)
        ridge = cross_validated_ridge(source, individual, has, share)
        truth = ridge.truth(taken=len(EFFECTS), least=MIN_LEFT)
        predicted = {"ridge": ridge.predicted}
        table = _tables(donors, has, individual, of_traits, predicted, learned=True)["ridge"]
        for tissue, about in PLACES:
            row, name = _row(table, tissue), f"ridge, {amount} signal, {about}"
            yield Interval(name, row["ci_low"], row["ci_high"], truth[tissue])
            if not share:
                yield Test(f"no partial rho, {name}", row["p"])


def _tables(
    donors: pd.DataFrame,
    has: np.ndarray,
    individual: np.ndarray,
    of_traits: np.ndarray,
    predicted: Mapping[str, np.ndarray],
    learned: bool,
) -> dict[str, pd.DataFrame]:
    """Score models that know what covariates do, and what `predicted` says beside."""
    with TemporaryDirectory() as folder:
        written = Written(Path(folder), 8 + individual + of_traits, has)
        donors.reset_index().to_csv(written.folder / "donors.tsv", sep="\t", index=False)
        cohort = Cohort.read(written.folder / "expression.h5ad", written.folder / "donors.tsv")
        return {
            name: partial_accuracy(
                written.held_out(name, values + of_traits), cohort, SOURCE, name, SETTINGS,
                learned, covariates=("sex", "age"), device="cpu",
            )
            for name, values in predicted.items()
        }  # fmt: skip


def _row(table: pd.DataFrame, tissue: str) -> pd.Series:
    kept = (table["scale"] == "log2_z") & (table["adjustment"] == "covariates")
    return table[kept & (table["tissue"] == tissue)].iloc[0]
