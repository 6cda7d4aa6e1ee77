"""How far fits of the joint model from other starts, or with other ranks of noise, lie apart.

    .venv/bin/python bench/joint_starts.py results/gtex_five_tissues [--fold 0] [--seeds 5]

reads the cohort and folds that a run left there. Every row is fitted to the training donors of one
fold, Gaussian noise, and tells its held-out donors from the source and from all other tissues:
log2 z-scores, correlations within the fold, means over genes (or samples) and then over tissues.
A row "fit" is one fit of 14 factors; "default" averages fits as the settings have it.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.models.base import Training
from mtm.models.registry import build
from mtm.models.requests import held_out_requests, predict_in_blocks
from mtm.statistics.correlation import row_correlation

SOURCES = ("source", "others")
RANKS = (4, 8, 16, 32)
ONE = {"n_factors": 14, "fits": 1}


def told(cohort: Cohort, fold_of: pd.Series, fold: int, source: str, parameters: dict, seed: int):
    """Return rho of genes and of samples from each choice of sources."""
    model = build("joint", parameters | {"noise_freedom": 0})
    training = cohort.of_donors(fold_of.index[fold_of != fold])
    model.fit(Training(training, training.tissue_index(source), seed=seed, device="cpu"))
    row = {}
    for sources in SOURCES:
        asked, rows = held_out_requests(cohort, fold_of.index[fold_of == fold], source, sources)
        predicted = np.concatenate(list(predict_in_blocks(model, cohort, asked)))
        observed = model.scaler.transform(cohort.expr_tpm[rows], asked.target)
        rhos = []
        for target in np.unique(asked.target):
            mine = asked.target == target
            pair = observed[mine], predicted[mine]
            genes, samples = row_correlation(*(x.T for x in pair)), row_correlation(*pair)
            rhos.append((np.nanmean(genes), np.nanmean(samples)))
        row[f"{sources}, genes"], row[f"{sources}, samples"] = np.mean(rhos, 0)
    return row


def main() -> None:
    """Print one row a fit, and the range over seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--source", default="Whole Blood")
    options = parser.parse_args()
    folder = options.results / "cohort"
    cohort = Cohort.read(folder / "expression.h5ad", folder / "donors.tsv")
    fold_of = read_folds(folder / "folds.tsv", list(cohort.donors.index))
    fold_of = fold_of[fold_of >= 0]
    tried = [("fit", seed, ONE) for seed in range(options.seeds)]
    tried += [("default", seed, {}) for seed in range(options.seeds)]
    tried += [(f"noise of {rank}", 0, {"noise_rank": rank}) for rank in RANKS]
    rows = []
    for name, seed, parameters in tried:
        row = told(cohort, fold_of, options.fold, options.source, parameters, seed)
        rows.append({"what": name, "seed": seed} | row)
        print(name, seed, {key: round(float(value), 4) for key, value in row.items()}, flush=True)
    table = pd.DataFrame(rows).drop(columns="seed").groupby("what", sort=False)
    print(table.agg(["min", "mean", "max"]).round(3).to_string())


if __name__ == "__main__":
    main()
