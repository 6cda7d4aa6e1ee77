"""Panels of landmarks made whole: intervals and null bands of `score_landmarks`.

Estimand: what the ridge regressions of the folds, as they are fitted, reach in the population:
the correlation of a gene within the tissue in `MANY` donors, Fisher z averaged over folds with
weights n - 3, mean over genes; "mean of tissues" is the mean of that. Three tissues, which 100%,
80% and 50% of the donors have, share half of their variance; five landmarks tell some, much or
nothing of twenty genes. Without signal the null band must hold the mean rho.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from bench.calibration.trial import Interval

from mtm.analyses.landmarks.methods import METHODS, Samples
from mtm.analyses.landmarks.score import score_landmarks
from mtm.cohort.cohort import Cohort
from mtm.cohort.scaling import TissueScaler
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.landmarks import Landmarks
from mtm.settings.scaling import Scaling
from mtm.statistics.correlation import fisher_z, row_correlation
from mtm.vocabulary import MEAN_OF_TISSUES, OTHERS, RANDOM

N_FOLDS, N_LANDMARKS, N_GENES, MANY = 3, 5, 25, 3000
PRESENT = {"Liver": 1.0, "Lung": 0.8, "Testis": 0.5}
# Variance of the other genes that landmarks tell.
TOLD = {"no": 0.0, "weak": 0.1, "strong": 0.5}
SETTINGS, SCALING = Landmarks(n=N_LANDMARKS), Scaling()
ACCURACY = AccuracySettings(permutations=200, bootstraps=200)


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval]:
    """Score ridge regressions that landmarks tell nothing, little and much."""
    for amount, share in TOLD.items():
        cohort = _cohort(rng, n_donors, share)
        folds = pd.Series(np.arange(n_donors) % N_FOLDS, cohort.donors.index)
        panels = pd.DataFrame(
            {
                "panel": RANDOM,
                "fold": np.repeat(np.arange(N_FOLDS), N_LANDMARKS),
                "gene_id": np.tile(cohort.genes.index[:N_LANDMARKS], N_FOLDS),
            }
        )
        table = score_landmarks(
            cohort, folds, panels, RANDOM, "ridge", SETTINGS, ACCURACY, SCALING, "cpu"
        )
        table = table[(table["genes"] == OTHERS) & (table["level"] == "gene_wise")]
        truth = _truth(rng, cohort, folds, share)
        for tissue, about in (("Testis", "a tissue"), (MEAN_OF_TISSUES, "mean of tissues")):
            row = table[table["tissue"] == tissue].iloc[0]
            name = f"{amount} signal, {about}"
            yield Interval(name, row["ci_low"], row["ci_high"], truth[tissue])
            if not share:
                limits = row["null_low"], row["null_high"]
                yield Interval(f"null band, {about}", *limits, row["mean_rho"])


def _cohort(rng: np.random.Generator, n_donors: int, share: float, everyone: bool = False):
    """Draw donors; `everyone` has all tissues."""
    donor_wide = rng.standard_normal((n_donors, 1, N_GENES))
    values = (donor_wide + rng.standard_normal((n_donors, len(PRESENT), N_GENES))) / 2**0.5
    weights = np.random.default_rng(5).standard_normal((N_LANDMARKS, N_GENES - N_LANDMARKS))
    weights /= (weights**2).sum(0) ** 0.5
    rest = values[..., N_LANDMARKS:]
    told = values[..., :N_LANDMARKS] @ weights
    values[..., N_LANDMARKS:] = share**0.5 * told + (1 - share) ** 0.5 * rest
    has = rng.random((n_donors, len(PRESENT))) < np.array([*PRESENT.values()])
    donor, tissue = np.nonzero(has | everyone)
    return Cohort(
        expr_tpm=(np.exp2(8 + values[donor, tissue]) - 1).astype(np.float32),
        samples=pd.DataFrame(index=[f"{d}-{t}" for d, t in zip(donor, tissue, strict=True)]),
        donor=donor,
        tissue=tissue,
        donors=pd.DataFrame(index=[f"D{i:05d}" for i in range(n_donors)]),
        tissues=tuple(PRESENT),
        genes=pd.DataFrame({"symbol": ""}, index=[f"G{i}" for i in range(N_GENES)]),
    )


def _truth(
    rng: np.random.Generator, cohort: Cohort, folds: pd.Series, share: float
) -> dict[str, float]:
    """Return what the folds' fits reach in many donors."""
    many = _cohort(rng, MANY, share, everyone=True)
    fold_of = folds.to_numpy()[cohort.donor]
    total = np.zeros((len(PRESENT), N_GENES - N_LANDMARKS))
    weight = np.zeros((len(PRESENT), 1))
    for fold in range(N_FOLDS):
        train = fold_of != fold
        known = cohort.expr_tpm[train], cohort.tissue[train]
        scaler = TissueScaler.fit(*known, len(PRESENT), "log2_z", SCALING)
        samples, asked = (
            Samples(z[:, :N_LANDMARKS], tissue, tissue, z[:, N_LANDMARKS:])
            for z, tissue in (
                (scaler.transform(*known), known[1]),
                (scaler.transform(many.expr_tpm, many.tissue), many.tissue),
            )
        )
        told = METHODS["ridge"](samples, asked, SETTINGS, 0, "cpu")
        for tissue in range(len(PRESENT)):
            n = (~train & (cohort.tissue == tissue)).sum()
            if n >= ACCURACY.min_donors_per_fold:
                rows = asked.tissue == tissue
                rho = row_correlation(told[rows].T, asked.genes[rows].T)
                total[tissue] += (n - 3) * fisher_z(np.nan_to_num(rho))
                weight[tissue] += n - 3
    each = np.tanh(total / weight).mean(1)
    return dict(zip(PRESENT, each, strict=True)) | {MEAN_OF_TISSUES: float(np.nanmean(each))}
