"""Failed genes imputed, and codes probed: intervals of `score_imputed` and `share_interval`.

Estimands: what the folds' Gaussian conditionals, as they are fitted, reach in the population (the
correlation of a gene within the tissue in `MANY` donors, Fisher z averaged over folds with weights
n - 3, mean over genes; "mean of tissues" is the mean of that); and the share of the population's
samples whose tissue a fold's linear discriminant analysis names, mean over folds by their samples.
Three tissues, which 100%, 80% and 50% of the donors have, share half of their variance; two
factors make much, little or nothing of the genes. Without signal the null band must hold the mean
rho. Codes are four genes whose means differ a little between tissues.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from bench.calibration.trial import Interval

from mtm.analyses.imputation.impute import Fold, blocks_of, impute
from mtm.analyses.imputation.probes import Part, name_tissues
from mtm.analyses.imputation.score import score_imputed
from mtm.cohort.cohort import Cohort
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.imputation import Imputation
from mtm.settings.scaling import Scaling
from mtm.statistics.correlation import fisher_z, row_correlation
from mtm.vocabulary import MEAN_OF_TISSUES

N_FOLDS, N_GENES, MANY, WIDTH = 3, 25, 3000, 4
PRESENT = {"Liver": 1.0, "Lung": 0.8, "Testis": 0.5}
# Variance of the genes that the factors make.
SHARED = {"no": 0.0, "weak": 0.15, "strong": 0.6}
SETTINGS, SCALING = Imputation(methods=("gaussian",)), Scaling()
ACCURACY = AccuracySettings(permutations=200, bootstraps=200)


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval]:
    """Impute genes that factors make none, little and much of; name tissues by codes."""
    for amount, share in SHARED.items():
        cohort, many = (draw_cohort(rng, n, share) for n in (n_donors, MANY))
        folds = pd.Series(np.arange(n_donors) % N_FOLDS, cohort.donors.index)
        imputed = impute(cohort, folds, SETTINGS, SCALING, "cpu")
        table = score_imputed(cohort, folds, imputed, ACCURACY, SCALING, "cpu")
        table = table[(table["method"] == "gaussian") & (table["level"] == "gene_wise")]
        truth = _truth(cohort, folds, many)
        for tissue, about in (("Testis", "a tissue"), (MEAN_OF_TISSUES, "mean of tissues")):
            row = table[table["tissue"] == tissue].iloc[0]
            yield Interval(
                f"{amount} signal, {about}", row["ci_low"], row["ci_high"], truth[tissue]
            )
            if not share:
                limits = row["null_low"], row["null_high"]
                yield Interval(f"null band, {about}", *limits, row["mean_rho"])
        if share:
            yield from _shares(amount, cohort, folds, many)


def draw_cohort(rng: np.random.Generator, n_donors: int, share: float) -> Cohort:
    """Draw donors."""
    fixed = np.random.default_rng(5)
    loading = fixed.standard_normal((2, N_GENES)) / 2**0.5
    means = 8 + 0.7 * fixed.standard_normal((len(PRESENT), N_GENES))

    def draw(n: int) -> np.ndarray:
        donor = rng.standard_normal((n_donors, 1, n))
        return (donor + rng.standard_normal((n_donors, len(PRESENT), n))) / 2**0.5

    values = share**0.5 * draw(2) @ loading + (1 - share) ** 0.5 * draw(N_GENES)
    has = rng.random((n_donors, len(PRESENT))) < np.array([*PRESENT.values()])
    donor, tissue = np.nonzero(has)
    return Cohort(
        expr_tpm=(np.exp2(means[tissue] + values[donor, tissue]) - 1).astype(np.float32),
        samples=pd.DataFrame(index=[f"{d}-{t}" for d, t in zip(donor, tissue, strict=True)]),
        donor=donor,
        tissue=tissue,
        donors=pd.DataFrame(index=[f"D{i:05d}" for i in range(n_donors)]),
        tissues=tuple(PRESENT),
        genes=pd.DataFrame({"symbol": ""}, index=[f"G{i}" for i in range(N_GENES)]),
    )


def _together(cohort: Cohort, many: Cohort, folds: pd.Series) -> Iterator[tuple[Fold, int]]:
    """Every fold with the population for its held-out donors, and how many it holds out."""
    both = Cohort(
        expr_tpm=np.vstack([cohort.expr_tpm, many.expr_tpm]),
        samples=pd.concat([cohort.samples, many.samples]),
        donor=np.concatenate([cohort.donor, many.donor + len(cohort.donors)]),
        tissue=np.concatenate([cohort.tissue, many.tissue]),
        donors=pd.DataFrame(index=[*cohort.donors.index, *("M" + many.donors.index)]),
        tissues=cohort.tissues,
        genes=cohort.genes,
    )
    for number in range(N_FOLDS):
        kept = (folds.to_numpy()[cohort.donor] != number).tolist() + [True] * many.n_samples
        rows = np.flatnonzero(kept)
        part = Cohort(
            both.expr_tpm[rows], both.samples.iloc[rows], both.donor[rows], both.tissue[rows],
            both.donors, both.tissues, both.genes,
        )  # fmt: skip
        held_out = pd.Series(-1, both.donors.index)
        held_out.iloc[len(cohort.donors) :] = number
        yield Fold.of(part, held_out, number, SCALING, SETTINGS.seed), number


def _truth(cohort: Cohort, folds: pd.Series, many: Cohort) -> dict[str, float]:
    """Return what the folds' fits reach in many donors."""
    fold_of = folds.to_numpy()[cohort.donor]
    total, weight = np.zeros((len(PRESENT), N_GENES)), np.zeros((len(PRESENT), 1))
    for fold, number in _together(cohort, many, folds):
        blocks = blocks_of(N_GENES, SETTINGS.masked, SETTINGS.seed + number)
        told = fold.imputed("gaussian", blocks, SETTINGS, "cpu")
        observed, tissue_of = fold.expr_z[fold.held_out], fold.cohort.tissue[fold.held_out]
        for tissue in range(len(PRESENT)):
            n = ((fold_of == number) & (cohort.tissue == tissue)).sum()
            if n >= ACCURACY.min_donors_per_fold:
                rows = tissue_of == tissue
                rho = row_correlation(told[rows].T, observed[rows].T)
                total[tissue] += (n - 3) * fisher_z(np.nan_to_num(rho))
                weight[tissue] += n - 3
    each = np.tanh(total / weight).mean(1)
    return dict(zip(PRESENT, each, strict=True)) | {MEAN_OF_TISSUES: float(np.nanmean(each))}


def _shares(amount: str, cohort: Cohort, folds: pd.Series, many: Cohort) -> Iterator[Interval]:
    """Name tissues by codes: the interval, and the share of many donors' samples."""
    code = np.log2(1 + cohort.expr_tpm[:, :WIDTH])
    fold_of = folds.to_numpy()[cohort.donor]
    parts = [Part(number, code, fold_of == number) for number in range(N_FOLDS)]
    row = name_tissues(parts, cohort)
    right, n = 0.0, 0
    for fold, number in _together(cohort, many, folds):
        theirs = np.log2(1 + fold.cohort.expr_tpm[:, :WIDTH])
        share = name_tissues([Part(number, theirs, fold.held_out)], fold.cohort)["score"]
        n_samples = int((fold_of == number).sum())
        right, n = right + n_samples * share, n + n_samples
    yield Interval(f"tissues named, {amount} signal", row["ci_low"], row["ci_high"], right / n)
