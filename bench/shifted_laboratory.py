"""Blood of another laboratory: models that see z-scores beside models that see ranks.

    .venv/bin/python bench/shifted_laboratory.py results/gtex_five_tissues/cohort

Five folds; the blood of held-out donors is changed after training, what they are told is not:
`depth`, a factor 2^N(0, 1) of each sample's TPM; `genes`, a factor 2^N(0, 0.5) of each gene's, the
same in all samples, as another kit has it; `gain`, log2(1+TPM) times 1.2. Without alignment. Rho
of genes and of samples, mean over folds, and by how much ranks tell more than z-scores.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from panel_baselines import score

from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.models.base import Training
from mtm.models.registry import build

SOURCE = "Whole Blood"
INPUTS = ("z", "ranks")
Change = Callable[[np.ndarray], np.ndarray]


def changes(n_genes: int) -> dict[str, Change]:
    """Return what may befall TPM of blood, ``(n_samples, n_genes)``."""
    rng = np.random.default_rng(0)
    kit = np.exp2(0.5 * rng.standard_normal(n_genes))
    return {
        "as trained": lambda tpm: tpm,
        "depth": lambda tpm: tpm * np.exp2(rng.standard_normal((len(tpm), 1))),
        "genes": lambda tpm: tpm * kit,
        "gain": lambda tpm: np.expm1(1.2 * np.log1p(tpm)),
    }


def changed(cohort: Cohort, change: Change) -> Cohort:
    """Change the blood of a cohort."""
    blood = cohort.tissue == cohort.tissue_index(SOURCE)
    expr_tpm = cohort.expr_tpm.copy()
    expr_tpm[blood] = change(expr_tpm[blood].astype(np.float64))
    return replace(cohort, expr_tpm=expr_tpm)


def main() -> None:
    """Fit, change, score, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path, help="folder of a cohort that the workflow made")
    parser.add_argument("--models", nargs="+", default=["ridge", "joint"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    cohort = Cohort.read(options.cohort / "expression.h5ad", options.cohort / "donors.tsv")
    folds, rows = read_folds(options.cohort / "folds.tsv"), []
    for fold in sorted(folds.unique()):
        training = cohort.of_donors(folds.index[folds != fold])
        held_out = cohort.of_donors(folds.index[folds == fold])
        for name in options.models:
            for inputs in INPUTS:
                start, model = time.process_time(), build(name, {"inputs": inputs})
                model.fit(Training(training, training.tissue_index(SOURCE), device="cpu"))
                about = {"model": name, "inputs": inputs, "fold": fold}
                print(about, f"{time.process_time() - start:.0f} s CPU", flush=True)
                for change, of in changes(cohort.n_genes).items():
                    found = score(model, changed(held_out, of), SOURCE, "source")
                    rows.append(about | {"blood": change} | found)
    table = pd.DataFrame(rows).set_index(["model", "blood", "inputs", "fold"])
    by_inputs = table.unstack("inputs")
    for measure in table:
        of = by_inputs[measure]
        gain = of["ranks"] - of["z"]
        summary = of.groupby(["model", "blood"], sort=False).mean()
        summary["ranks - z"] = gain.groupby(["model", "blood"], sort=False).mean()
        summary["folds above 0"] = (gain > 0).groupby(["model", "blood"], sort=False).sum()
        print(f"\n{measure}\n{summary.round(4).to_string()}")


if __name__ == "__main__":
    main()
