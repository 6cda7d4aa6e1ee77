"""Accuracy beyond covariates: intervals, null bands and P values of `partial_accuracy`.

Estimand: the population's correlation of prediction and observation given sex and age of the
donor, the same for every gene. A model that knows covariates and nothing more has partial rho 0
(its P and null band are looked at), and so has ridge regression on a source without any relation,
fitted to the donors of the other folds; one that knows more has `RHO`. Tissues have 100%, 80%,
60% and 50% of the donors, three folds; with 40 donors the smallest has too few in each fold and is
left out.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from bench.calibration.accuracy import (
    N_GENES,
    PRESENT,
    RHO,
    SOURCE,
    Written,
    cross_validated_ridge,
    related,
    shared_values,
)
from bench.calibration.trial import Interval, Test

from mtm.analyses.accuracy.partial import partial_accuracy
from mtm.cohort.cohort import Cohort
from mtm.settings.accuracy import AccuracySettings
from mtm.vocabulary import MEAN_OF_TISSUES

EFFECTS = np.random.default_rng(2).normal(0, 0.7, (2, N_GENES))
SETTINGS = AccuracySettings(permutations=1, null_genes=1, bootstraps=200)


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval | Test]:
    """Score a model that knows covariates alone, and one that knows more."""
    traits = np.column_stack([rng.integers(0, 2, n_donors), rng.uniform(20, 70, n_donors)])
    of_traits = (traits - [0.5, 45]) / [0.5, 14.4] @ EFFECTS
    individual = shared_values(rng, n_donors, len(PRESENT))
    unrelated = shared_values(rng, n_donors, len(PRESENT))
    donors = {"sex": traits[:, 0] + 1, "age": traits[:, 1]}
    with TemporaryDirectory() as folder:
        written = Written(rng, Path(folder), 8 + individual + of_traits, PRESENT)
        names = pd.Index([f"D{d:03d}" for d in range(n_donors)], name="donor")
        table = pd.DataFrame(donors, index=names).reset_index()
        table.to_csv(written.folder / "donors.tsv", sep="\t", index=False)
        cohort = Cohort.read(written.folder / "expression.h5ad", written.folder / "donors.tsv")
        tables = {}
        ridge = cross_validated_ridge(shared_values(rng, n_donors, 1)[0], individual)
        for name, values in (
            ("more", related(rng, individual)), ("alone", unrelated), ("ridge", ridge),
        ):  # fmt: skip
            held_out = written.held_out(name, values + of_traits)
            tables[name] = partial_accuracy(
                held_out, cohort, SOURCE, name, SETTINGS, learned=name == "ridge",
                covariates=("sex", "age"), device="cpu",
            )  # fmt: skip
    for tissue, about in (("Lung", "a tissue"), (MEAN_OF_TISSUES, "mean of tissues")):
        row, null = (_row(tables[name], tissue) for name in ("more", "alone"))
        yield Interval(f"partial rho, {about}", row["ci_low"], row["ci_high"], RHO)
        yield Test(f"no partial rho, {about}", null["p"])
        fitted = _row(tables["ridge"], tissue)["p"]
        yield Test(f"no partial rho, ridge fitted without signal, {about}", fitted)
        yield Interval(
            f"null band, {about}", null["null_low"], null["null_high"], null["mean_rho"]
        )


def _row(table: pd.DataFrame, tissue: str) -> pd.Series:
    kept = (table["scale"] == "log2_z") & (table["adjustment"] == "covariates")
    return table[kept & (table["tissue"] == tissue)].iloc[0]
