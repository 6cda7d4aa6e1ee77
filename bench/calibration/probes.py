"""Codes of samples probed: intervals of `probe_codes` for donor, expression and tissue.

A code is the log2 expression of four genes; the cohort is that of the area imputation, factors
make much of its genes, and the source is the tissue that all donors have. The estimand is the
mean of the score over cohorts of as many donors: donors and the probes' fits are new in each. How
often the linear probe names the tissue, its fit as it is, is in the area imputation.
"""

from collections.abc import Iterator
from functools import lru_cache

import anndata
import numpy as np
import pandas as pd
from bench.calibration.imputation import N_FOLDS, PRESENT, SHARED, WIDTH, draw_cohort
from bench.calibration.trial import Interval

from mtm.analyses.imputation.probes import probe_codes
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.imputation import Imputation
from mtm.settings.scaling import Scaling

N_TRUTH, SOURCE = 30, next(iter(PRESENT))
SETTINGS = Imputation(methods=("gaussian",), random_features=30)


def probed(rng: np.random.Generator, n_donors: int, bootstraps: int) -> pd.DataFrame:
    """Probe the codes of one cohort."""
    cohort = draw_cohort(rng, n_donors, SHARED["strong"])
    folds = pd.Series(np.arange(n_donors) % N_FOLDS, cohort.donors.index)
    numbers = np.repeat(np.arange(N_FOLDS), cohort.n_samples)
    held_out = numbers == np.tile(folds.to_numpy()[cohort.donor], N_FOLDS)
    obs = pd.DataFrame({"fold": numbers, "held_out": held_out})
    obs.index = obs.index.astype(str)
    code = np.tile(np.log2(1 + cohort.expr_tpm[:, :WIDTH]), (N_FOLDS, 1))
    codes = anndata.AnnData(obs=obs, obsm={"pca": code})
    accuracy = AccuracySettings(bootstraps=bootstraps, seed=int(rng.integers(2**31)))
    table = probe_codes(cohort, folds, codes, SOURCE, SETTINGS, accuracy, Scaling(), "cpu")
    return table.set_index(["target", "probe"])


@lru_cache
def truth(n_donors: int) -> pd.Series:
    """Mean over cohorts of the scores."""
    rng = np.random.default_rng([41, n_donors])
    return pd.concat([probed(rng, n_donors, 2)["score"] for _ in range(N_TRUTH)], axis=1).mean(1)


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval]:
    """Yield the interval of every target and probe."""
    table, true = probed(rng, n_donors, 200), truth(n_donors)
    for key, row in table.iterrows():
        yield Interval(", ".join(key), row["ci_low"], row["ci_high"], true[key])
