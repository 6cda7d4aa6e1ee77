"""Fit the baselines on the five folds of a cohort and score them beside methods section 7.

    .venv/bin/python bench/panel_baselines.py

reads ``results/gtex_v8_panel/cohort`` (made by
``snakemake --configfile tests/real/panel.yaml results/gtex_v8_panel/cohort/folds.tsv``). Pearson
per fold, mean over genes (or samples), over tissues with at least five held-out donors, then over
folds; log2(1+TPM) z-scores within tissue on training donors, clipped at +-5.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.models.base import Predictor, Training
from mtm.models.registry import build
from mtm.models.requests import SourceChoice, held_out_requests, predict_in_blocks
from mtm.predictions.monitoring import held_out_accuracy

# Methods 7 takes age as brackets: one column each (see `main`).
BRACKETS = tuple(f"age {decade}-{decade + 9}" for decade in range(20, 80, 10))
TRAITS = ("sex", *BRACKETS, "hardy")
# Row, model, parameters, sources, and the two rows of methods 7 (None: not measured there).
ROWS: list[tuple[str, str, dict, SourceChoice, tuple[float, float] | None]] = [
    ("b2 covariates", "covariates", {"covariate_columns": TRAITS}, "source", (0.171, 0.187)),
    ("b3 ridge", "ridge", {}, "source", (0.218, 0.237)),
    ("b3 ridge, ranks", "ridge", {"inputs": "ranks"}, "source", None),
    (
        "b3+b2 ridge, covariates separate",
        "ridge",
        {"covariates": "separate", "covariate_columns": TRAITS},
        "source",
        (0.225, 0.244),
    ),
    (
        "b3+b2 ridge, z-scored together",
        "ridge",
        {"covariates": "together", "covariate_columns": TRAITS},
        "source",
        (0.231, 0.251),
    ),
    (
        "b3+b2 ridge, own penalty",
        "ridge",
        {"covariates": "own_penalty", "covariate_columns": TRAITS},
        "source",
        None,
    ),
    ("b2, age in years", "covariates", {}, "source", None),
    (
        "b3+b2 separate, age in years",
        "ridge",
        {"covariates": "separate"},
        "source",
        None,
    ),
    ("b3+b2 together, age in years", "ridge", {"covariates": "together"}, "source", None),
    ("b3+b2 own penalty, age in years", "ridge", {"covariates": "own_penalty"}, "source", None),
    (
        "b2, shared penalty",
        "covariates",
        {"covariate_columns": TRAITS, "penalty_choice": "shared"},
        "source",
        None,
    ),
    ("b3, shared penalty", "ridge", {"penalty_choice": "shared"}, "source", None),
    (
        "b3+b2 together, shared penalty",
        "ridge",
        {
            "covariates": "together",
            "covariate_columns": TRAITS,
            "penalty_choice": "shared",
        },
        "source",
        None,
    ),
    ("b6 reduced rank 10", "ridge", {"rank": 10}, "source", None),
    ("b1 same gene", "same_gene", {}, "source", None),
    ("b8 20 nearest donors", "nearest_donors", {}, "source", None),
    ("b10 mean of other tissues", "tissue_average", {}, "others", (0.287, 0.304)),
    ("S1 B-GEx, top 10% genes", "bgex", {}, "source", None),
    ("S1 B-GEx, all genes candidates", "bgex", {"top_fraction": 1.0}, "source", None),
    ("S2 TEEBoT, 10 PCs", "teebot", {}, "source", None),
    ("S2 TEEBoT, 30 PCs", "teebot", {"n_components": 30}, "source", None),
    (
        "S2c TEEBoT, 10 PCs, sex and age",
        "teebot",
        {"covariate_columns": ("sex", "age")},
        "source",
        None,
    ),
]


def score(
    model: Predictor, held_out: Cohort, source: str, sources: SourceChoice
) -> dict[str, float]:
    """Return mean gene-wise and sample-wise rho on held-out donors, on the model's scale."""
    requests, target_rows = held_out_requests(held_out, held_out.donors.index, source, sources)
    predicted_z = np.concatenate(list(predict_in_blocks(model, held_out, requests, block=4096)))
    observed_z = model.scaler.transform(held_out.expr_tpm[target_rows], requests.target)
    return held_out_accuracy(predicted_z, observed_z, requests.target)


def main() -> None:
    """Fit, score, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    folder = Path("results/gtex_v8_panel/cohort")
    parser.add_argument("--expression", type=Path, default=folder / "expression.h5ad")
    parser.add_argument("--donors", type=Path, default=folder / "donors.tsv")
    parser.add_argument("--folds", type=Path, default=folder / "folds.tsv")
    parser.add_argument("--source", default="Whole Blood")
    parser.add_argument("--rows", default="", help="only rows whose label starts so")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cohort = Cohort.read(arguments.expression, arguments.donors)
    brackets = pd.get_dummies("age " + cohort.donors["age_bracket"], dtype=float)
    cohort = replace(cohort, donors=cohort.donors.join(brackets))
    folds = read_folds(arguments.folds)
    table = []
    for label, name, parameters, sources, reference in ROWS:
        if not label.startswith(arguments.rows):
            continue
        started, scores = time.perf_counter(), []
        for fold in sorted(folds.unique()):
            model = build(name, parameters)
            training = cohort.of_donors(folds.index[folds != fold])
            held_out = cohort.of_donors(folds.index[folds == fold])
            model.fit(Training(training, source=cohort.tissue_index(arguments.source)))
            scores.append(score(model, held_out, arguments.source, sources))
        means = pd.DataFrame(scores).mean()
        row = {"predictor": label}
        for level, published in zip(means.index, reference or (np.nan, np.nan), strict=True):
            row[level] = means[level]
            row[f"{level}, methods 7"] = published
            row[f"{level}, diff"] = means[level] - published
        table.append(row | {"seconds": time.perf_counter() - started})
    pd.set_option("display.width", 150)
    print(pd.DataFrame(table).round(3).to_string(index=False, na_rep=""))


if __name__ == "__main__":
    main()
