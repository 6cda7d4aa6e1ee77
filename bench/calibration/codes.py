"""Similarity of codes within donors and between them, donors in three folds with a model each.

The estimand is the mean of the difference, and of the share of comparisons in which the own sample
is the more similar, over new donors. P values and null bands, which are of the mean within donors,
are of codes that hold nothing of their donor; the rank-sum test over pairs (`p_as_paper`) is shown
beside the permutations.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from bench.calibration.trial import Interval, Test

from mtm.analyses.representations.within_donors import (
    compare_donors,
    sample_similarity,
    summarise_folds,
)

N_TISSUES, WIDTH, N_FOLDS, N_TRUTH = 4, 10, 3, 200
OF_DONOR = {"nothing of the donor": 0.0, "something of the donor": 0.5}
LIMITS = {"difference": ("ci_low", "ci_high"), "auc": ("auc_low", "auc_high")}


def summary(
    rng: np.random.Generator, n_donors: int, of_donor: float, permutations: int, bootstraps: int
) -> list[dict[str, float | str]]:
    """Summarise one cohort."""
    parts = []
    places = np.random.default_rng(11).normal(size=(N_FOLDS, N_TISSUES, WIDTH))
    for fold, mine in enumerate(np.array_split(np.arange(n_donors), N_FOLDS)):
        there = rng.random((len(mine), N_TISSUES)) < 0.7
        there[:, 0] = True
        donor, tissue = np.nonzero(there)
        state = of_donor * rng.normal(size=(len(mine), WIDTH))
        codes = places[fold, tissue] + state[donor] + rng.normal(size=(len(donor), WIDTH))
        similarity = sample_similarity(codes)
        seed = (int(rng.integers(2**31)), fold)
        parts.append(compare_donors(similarity, donor, tissue, permutations, bootstraps, seed))
    return summarise_folds(parts, permutations)


@lru_cache
def truth(n_donors: int, of_donor: float) -> list[dict[str, float]]:
    """Means over cohorts, one row a comparison."""
    rng = np.random.default_rng([5, n_donors])
    cohorts = [summary(rng, n_donors, of_donor, 1, 1) for _ in range(N_TRUTH)]
    return [
        {name: float(np.mean([row[name] for row in rows])) for name in LIMITS}
        for rows in zip(*cohorts, strict=True)
    ]


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval | Test]:
    """Yield intervals of codes of either kind, P values of those that know nothing."""
    for about, of_donor in OF_DONOR.items():
        found, true = summary(rng, n_donors, of_donor, 199, 200), truth(n_donors, of_donor)
        for row, planted in zip(found, true, strict=True):
            name = f"{row['comparison']}, {about}"
            for measure, (low, high) in LIMITS.items():
                if np.isfinite(row[low]):
                    yield Interval(f"{measure}: {name}", row[low], row[high], planted[measure])
            if not of_donor:
                yield Test(f"p: {name}", row["p"])
                limits = row["null_low"], row["null_high"]
                yield Interval(f"null band: {name}", *limits, row["mean_within"])
                if np.isfinite(row["p_as_paper"]):
                    yield Test(f"p_as_paper: {name}", row["p_as_paper"])
