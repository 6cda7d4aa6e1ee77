"""Whether 90% intervals, calibrated on predictions from blood, hold for people with other tissues.

    .venv/bin/python bench/interval_sources.py results/gtex_v8_panel

after ``predictions/joint`` of all folds. Every held-out sample is predicted by its fold's bundle
from 1, 3 and 10 of its donor's other tissues, drawn at random, and judged by the calibration on
the other folds' donors. Coverage is the mean over a tissue's samples and genes, width in training
sds, both means over tissues with `LEAST` samples.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from mtm.analyses.intervals.calibration import (
    Residuals,
    TissueScores,
    interval_quantiles,
    score_tissue,
)
from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.models.base import Requests
from mtm.models.registry import load
from mtm.models.requests import held_out_requests, predict_with_sd_in_blocks
from mtm.predictions.held_out import read_held_out
from mtm.predictions.tissues import tissues
from mtm.settings.intervals import IntervalSettings

LEVEL, LEAST, SEED = 0.9, 20, 0
SOURCE = "Whole Blood"


def calibrated(results: Path, model: str) -> dict[str, tuple[TissueScores, np.ndarray]]:
    """Scores of every tissue from blood, with the tertile of each gene, by its name."""
    cohort = results / "cohort"
    files = sorted((results / "predictions" / model).glob("fold*.h5ad"))
    held_out = read_held_out(cohort / "expression.h5ad", cohort / "folds.tsv", files, SOURCE)
    found = {}
    for tissue in tissues(held_out):
        predicted, observed = tissue.own_scale()
        own_sd = held_out.predicted_sd(tissue.rows)
        means = np.mean([scaler.mean[0] for scaler in tissue.scalers["log2_z"]], axis=0)
        tertile = 3 * means.argsort(kind="stable").argsort() // len(means)
        residuals = (observed - predicted) / own_sd
        of_tissue = Residuals(tissue.name, tissue.rows, residuals, own_sd, tertile)
        fold = tissue.rows["fold"].to_numpy()
        found[tissue.name] = score_tissue(of_tissue, fold, len(files)), tertile
    return found


def judged(
    results: Path, model: str, number: int, calibration: dict
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield tissue, coverage and width of samples told from `number` other tissues."""
    cohort = Cohort.read(results / "cohort/expression.h5ad", results / "cohort/donors.tsv")
    folds = read_folds(results / "cohort/folds.tsv")
    common = IntervalSettings().common_donors
    scores = [score for score, _ in calibration.values()]
    quantiles = interval_quantiles(scores, [LEVEL], common)[..., 0]
    quantile = dict(zip(calibration, quantiles, strict=True))
    rng = np.random.default_rng(SEED)
    for fold in range(folds.max() + 1):
        fitted = load(results / f"models/{model}/fold{fold}.safetensors")
        donors = folds.index[folds == fold]
        asked, rows = held_out_requests(cohort, donors, SOURCE, "others")
        kept = np.flatnonzero((asked.source_rows >= 0).sum(1) >= number)
        drawn = [rng.choice(of[of >= 0], number, replace=False) for of in asked.source_rows[kept]]
        asked, rows = Requests(np.array(drawn), asked.target[kept]), rows[kept]
        blocks = predict_with_sd_in_blocks(fitted, cohort, asked)
        expr_z, own_sd = map(np.concatenate, zip(*blocks, strict=True))
        scaler = replace(fitted.scaler, clip=None)
        observed_z = scaler.transform(cohort.expr_tpm[rows], asked.target)
        for target in np.unique(asked.target):
            name = cohort.tissues[target]
            if name in calibration:
                score, tertile = calibration[name]
                of = asked.target == target
                half = own_sd[of] * score.sd[fold] * quantile[name][fold][tertile]
                apart = np.abs(observed_z[of] - expr_z[of])
                yield name, (apart <= half).mean(1), 2 * half.mean(1)


def main() -> None:
    """Print a row for each number of tissues."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--model", default="joint")
    parser.add_argument("--numbers", type=int, nargs="*", default=[1, 3, 10])
    options = parser.parse_args()
    torch.set_num_threads(1)
    calibration = calibrated(options.results, options.model)
    print("| tissues given | held at 90% | width | tissues within 0.86 to 0.94 | samples |")
    print("|---|---|---|---|---|")
    for number in options.numbers:
        found: dict[str, list[np.ndarray]] = {}
        for name, *of in judged(options.results, options.model, number, calibration):
            found.setdefault(name, []).append(np.stack(of, 1))
        whole = [np.concatenate(parts) for parts in found.values()]
        means = np.array([of.mean(0) for of in whole if len(of) >= LEAST])
        within = ((means[:, 0] >= 0.86) & (means[:, 0] <= 0.94)).sum()
        held, width = means.mean(0)
        print(
            f"| {number} | {held:.3f} | {width:.2f} | {within} of {len(means)} | "
            f"{sum(map(len, whole)):,} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
