"""How well ridge tells tissues from blood by what it sees of it: z-scores, ranks, both.

    .venv/bin/python bench/rank_encodings.py results/gtex_v8_panel/cohort

reads a cohort (``snakemake --configfile tests/real/panel.yaml
results/gtex_v8_panel/cohort/folds.tsv``; likewise the five-tissue set), and prints gene-wise and
sample-wise rho, means over tissues and folds, for every encoding of methods 6.25.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.cohort.ranks import CONSTANT, FARTHEST, RankScaler, normal_scores
from mtm.cohort.scaling import log2_tpm
from mtm.models.solvers.ridge import gcv_ridge
from mtm.settings.models.ridge import RidgeParameters
from mtm.settings.scaling import Scaling
from mtm.statistics.correlation import row_correlation

SOURCE, LEAST = "Whole Blood", 5
TOGETHER = {
    "z-scores and ranks": ("z-scores", "ranks"),
    "ranks, in sds, of levels": ("ranks", "ranks, in sds", "ranks of levels"),
}


def standardised(values: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Bring columns to mean 0 and sd 1 of training rows, and limit them."""
    mean, sd = values[training].mean(0), values[training].std(0)
    return np.clip((values - mean) / np.where(sd > CONSTANT, sd, 1), -FARTHEST, FARTHEST)


def encodings(
    expr_tpm: np.ndarray, expr_z: np.ndarray, training: np.ndarray
) -> dict[str, np.ndarray]:
    """Return samples of the source as ridge may see them, each ``(n_samples, n_features)``."""
    expr_log2 = log2_tpm(expr_tpm).astype(np.float64)
    deviation = expr_log2 - np.median(expr_log2[training], 0)
    sd = np.maximum(expr_log2[training].std(0), CONSTANT)
    ranked = RankScaler.fit(expr_tpm[training], expr_z[training], 0)
    centred = deviation - np.median(deviation, 1, keepdims=True)
    features = {
        "z-scores": expr_z,
        "ranks": ranked.transform(expr_tpm),
        "ranks, in sds": standardised(normal_scores(deviation / sd), training),
        "ranks of levels": standardised(normal_scores(expr_log2), training),
        "deviations over their sd in the sample": standardised(
            centred / np.maximum(centred.std(1, keepdims=True), CONSTANT), training
        ),
    }
    for name, parts in TOGETHER.items():
        features[name] = np.hstack([features[part] for part in parts])
    return {name: values.astype(np.float64) for name, values in features.items()}


def told(x: np.ndarray, target_z: np.ndarray, training: np.ndarray) -> tuple[float, float]:
    """Return gene-wise and sample-wise rho of held-out rows, by ridge as the pipeline fits it."""
    options = RidgeParameters()
    seen = x[training]
    fit = gcv_ridge(
        seen @ seen.T, target_z[training], penalties=options.penalties,
        penalty_choice=options.penalty_choice, device=torch.device("cpu"),
        memory_mb=options.memory_mb,
    )  # fmt: skip
    predicted = x[~training] @ (seen.T @ fit.dual) + fit.intercept
    truth = target_z[~training]
    by_gene, by_sample = row_correlation(predicted.T, truth.T), row_correlation(predicted, truth)
    return float(np.nanmean(by_gene)), float(np.nanmean(by_sample))


def of_fold(cohort: Cohort, fold: np.ndarray, held_out: int) -> pd.DataFrame:
    """Score every encoding in every tissue with `LEAST` held-out donors."""
    source = cohort.tissue_index(SOURCE)
    trained = fold != held_out
    scaler = cohort.scaler("log2_z", Scaling(), trained[cohort.donor])
    expr_z = scaler.transform(cohort.expr_tpm, cohort.tissue)
    blood = np.flatnonzero(cohort.tissue == source)
    place = pd.Series(np.arange(len(blood)), cohort.donor[blood])
    seen = encodings(cohort.expr_tpm[blood], expr_z[blood], trained[cohort.donor[blood]])
    rows = []
    for tissue in np.setdiff1d(np.unique(cohort.tissue), source):
        samples = np.flatnonzero((cohort.tissue == tissue) & np.isin(cohort.donor, place.index))
        training = trained[cohort.donor[samples]]
        if (~training).sum() < LEAST:
            continue
        own = place[cohort.donor[samples]].to_numpy()
        target_z = expr_z[samples].astype(np.float64)
        for name, features in seen.items():
            rows.append((held_out, name, *told(features[own], target_z, training)))
    return pd.DataFrame(rows, columns=["fold", "seen", "gene_wise", "sample_wise"])


def main() -> None:
    """Print both rho of every encoding: all folds, then gene-wise of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path)
    folder = parser.parse_args().cohort
    cohort = Cohort.read(folder / "expression.h5ad", folder / "donors.tsv")
    fold = read_folds(folder / "folds.tsv").reindex(cohort.donors.index).to_numpy()
    parts = [of_fold(cohort, fold, held_out) for held_out in np.unique(fold)]
    by_fold = pd.concat(parts).groupby(["seen", "fold"], sort=False).mean()
    table = by_fold.groupby("seen", sort=False).mean()
    print(table.join(by_fold["gene_wise"].unstack("fold")).round(4).to_string())


if __name__ == "__main__":
    main()
