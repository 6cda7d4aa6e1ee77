"""Accuracy by choice of sources: intervals of `score_sources`, of rho and of what is added to it.

Four tissues of a donor, the source that all have among them, share donor-wide factors; a small
joint model is fitted to the donors of the other folds in every simulation. It is linear in what
it is given, so that what the folds' fits, as they are, reach in the population (the estimand) is
known from their slopes. Of all other tissues it is the mixture of who has which; of the difference
it is that of the choice and the source alone. next_tissue.tsv copies what "source and one" has.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from bench.calibration.cohort import (
    BETWEEN,
    N_FOLDS,
    OWN,
    PRESENT,
    SOURCE,
    Written,
    folds_of,
    shared_values,
    slopes_of,
    who_has,
)
from bench.calibration.trial import Interval

from mtm.analyses.sources.accuracy import score_sources
from mtm.cohort.cohort import Cohort
from mtm.models.base import Predictor, Training
from mtm.models.registry import build
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.any_sources import AnySources
from mtm.statistics.correlation import fisher_z
from mtm.vocabulary import ALL_OTHERS, AND, MEAN_OF_TISSUES, ONE_ADDED, ONE_TISSUE

TARGETS = ("Liver", "Lung", "Spleen")
SETTINGS = AnySources(accessible=(), random=(), min_donors=10)
ACCURACY = AccuracySettings(permutations=1, null_genes=1, bootstraps=200)
JOINT = {"n_factors": 3, "noise_rank": 1, "fits": 1, "iterations": 10, "noise_freedom": 0.0,
         "inner_folds": 2, "covariates": ()}  # fmt: skip
GIVEN = {ONE_TISSUE: "Liver", ONE_ADDED: f"{SOURCE}{AND}Liver", ALL_OTHERS: ""}
PLACES = {"Spleen": "a tissue", MEAN_OF_TISSUES: "mean of tissues"}


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval]:
    """Score a joint model by choice of tissues."""
    values = 8 + shared_values(rng, n_donors, 1 + len(TARGETS))
    has, folds, models = who_has(rng, n_donors)[: len(TARGETS)], folds_of(n_donors), {}
    with TemporaryDirectory() as folder:
        written = Written(Path(folder), values[1:], has, values[0])
        files = [written.folder / name for name in ("expression.h5ad", "donors.tsv")]
        written.obs[["donor"]].drop_duplicates().to_csv(files[1], sep="\t", index=False)
        cohort = Cohort.read(*files)
        for fold in range(N_FOLDS):
            others = cohort.of_donors(cohort.donors.index[folds != fold])
            models[fold] = build("joint", JOINT)
            models[fold].fit(Training(others, others.tissue_index(SOURCE), device="cpu"))
        # Predictions say which samples are told; what is told of them comes from the models.
        held_out = written.held_out("joint", values[1:])
        table = score_sources(models, cohort, held_out, "joint", SOURCE, SETTINGS, ACCURACY)
    table = table[table["level"] == "gene_wise"]
    for kind, given in GIVEN.items():
        rows = table[(table["kind"] == kind) & (table["given"] == given)].set_index("tissue")
        targets = rows.index.drop(MEAN_OF_TISSUES)
        true = pd.DataFrame({t: _truth(models, has, kind, given, t) for t in targets})
        true[MEAN_OF_TISSUES] = true.mean(axis=1)
        for tissue, place in PLACES.items():
            row, about = rows.loc[tissue], f"{kind}, {place}"
            rho, alone = true[tissue]
            yield Interval(f"rho, {about}", row["ci_low"], row["ci_high"], rho)
            limits = row["difference_low"], row["difference_high"]
            yield Interval(f"difference, {about}", *limits, rho - alone)


def _truth(
    models: Mapping[int, Predictor], has: np.ndarray, kind: str, given: str, target: str
) -> tuple[float, float]:
    """Give what the folds' fits reach from a choice of tissues, and from the source alone."""
    if kind == ALL_OTHERS:
        others = [tissue for tissue in TARGETS if tissue != target]
        mixture, needed = {}, [target]
        for there in product((False, True), repeat=len(others)):
            named = [tissue for tissue, has_it in zip(others, there, strict=True) if has_it]
            lacking = set(others) - set(named)
            share = np.prod([PRESENT[t] for t in named] + [1 - PRESENT[t] for t in lacking])
            mixture[SOURCE, *named] = share
    else:
        mixture, needed = {tuple(given.split(AND)): 1.0}, [target, *given.split(AND)]
    rows = [TARGETS.index(tissue) for tissue in needed if tissue != SOURCE]
    folds = folds_of(has.shape[1])
    sizes = np.array([(has[rows].all(0) & (folds == fold)).sum() for fold in models])
    weights = np.where(sizes >= ACCURACY.min_donors_per_fold, sizes - 3.0, 0)
    reached = []
    for patterns in (mixture, {(SOURCE,): 1.0}):
        z = np.stack([fisher_z(_reached(model, patterns, target)) for model in models.values()])
        reached.append(float(np.tanh(weights @ z / weights.sum()).mean()))
    return tuple(reached)


def _reached(
    model: Predictor, mixture: Mapping[tuple[str, ...], float], target: str
) -> np.ndarray:
    """Correlation of every gene in the population, `mixture` the share of who gave which."""
    covariance, variance = 0, 0
    for given, share in mixture.items():
        if share:
            slopes, n = slopes_of(model, given, target), len(given)
            among = np.kron(np.ones((n, n)), BETWEEN) + np.kron(np.eye(n), OWN)
            covariance += share * (np.tile(BETWEEN, (n, 1)) * slopes).sum(0)
            variance += share * (slopes * (among @ slopes)).sum(0)
    return covariance / np.sqrt(variance)
