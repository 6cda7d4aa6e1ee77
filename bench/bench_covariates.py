"""What covariates add to a ridge on genes, by the way they enter, up to full width.

    .venv/bin/python bench/bench_covariates.py

simulates blood and one other tissue of the same donors. Factors that both share, and covariates
that the tissue alone follows (sex, age, class of death, ischemic time, RIN, center), make up
`EXPRESSION` and `COVARIATES` of each gene's variance there; in the last block covariates have no
share. Printed: mean gene-wise rho on held-out donors, the weight that the tissue's covariates had
beside the genes, and processor seconds of one fit.
"""

import argparse
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from mtm.cohort.cohort import Cohort
from mtm.models.base import Training
from mtm.models.covariate_design import CovariateDesign, covariate_table
from mtm.models.registry import build
from mtm.models.requests import held_out_requests
from mtm.predictions.monitoring import held_out_accuracy
from mtm.settings.models.base import COVARIATES as NAMES

EXPRESSION, COVARIATES = 0.15, 0.15
N_FACTORS = 20
N_HELD_OUT = 150
ROWS = {
    "none": ("ridge", {}),
    "together": ("ridge", {"covariates": "together"}),
    "separate": ("ridge", {"covariates": "separate"}),
    "own_penalty": ("ridge", {"covariates": "own_penalty"}),
    "covariates alone": ("covariates", {}),
}


def simulate(n_donors: int, n_genes: int, share: float, seed: int) -> Cohort:
    """Make two tissues of the same donors; covariates have `share` of the target's variance."""
    rng = np.random.default_rng(seed)
    donors = pd.DataFrame(
        {
            "sex": rng.integers(1, 3, n_donors),
            "age": rng.choice([24.5, 34.5, 44.5, 54.5, 64.5, 74.5], n_donors),
            "hardy": rng.integers(0, 5, n_donors).astype(float),
            "ischemic_minutes": rng.uniform(0, 1500, n_donors),
            "rin": rng.normal(7, 1, n_donors),
            "center": rng.choice(["B1", "C1", "D1"], n_donors),
        },
        index=pd.Index([f"D{index:05d}" for index in range(n_donors)], name="donor"),
    )
    cohort = Cohort(
        expr_tpm=np.empty((0, n_genes), np.float32),
        samples=pd.DataFrame(index=[f"s{index}" for index in range(2 * n_donors)]),
        donor=np.tile(np.arange(n_donors), 2),
        tissue=np.repeat([0, 1], n_donors),
        donors=donors,
        tissues=("source", "target"),
        genes=pd.DataFrame({"symbol": "G"}, index=[f"g{index}" for index in range(n_genes)]),
    )
    table = covariate_table(cohort, np.arange(n_donors), NAMES)
    columns = CovariateDesign.fit(table).transform(table)
    factors = rng.normal(size=(n_donors, N_FACTORS))

    def expr_log2(share: float) -> np.ndarray:
        parts = ((factors, EXPRESSION), (columns, share), (None, 1 - EXPRESSION - share))
        total = rng.uniform(2, 8, n_genes) + np.zeros((n_donors, 1))
        for basis, variance in parts:
            if basis is None:
                part = rng.normal(size=total.shape)
            else:
                part = basis @ rng.normal(size=(basis.shape[1], n_genes))
            total += 0.5 * np.sqrt(variance) * part / part.std(0)
        return total

    expr = np.vstack([expr_log2(0.0), expr_log2(share)])
    return replace(cohort, expr_tpm=np.maximum(np.exp2(expr) - 1, 0).astype(np.float32))


def measure(cohort: Cohort, row: str) -> dict[str, float]:
    """Fit on all but the last donors and score on those."""
    name, parameters = ROWS[row]
    donors = cohort.donors.index
    training, held_out = cohort.of_donors(donors[:-N_HELD_OUT]), donors[-N_HELD_OUT:]
    started = time.process_time()
    model = build(name, parameters)
    table = model.fit(Training(training, source=0, device="cpu"))
    seconds = time.process_time() - started
    requests, target_rows = held_out_requests(cohort, held_out, "source")
    observed_z = model.scaler.transform(cohort.expr_tpm[target_rows], requests.target)
    accuracy = held_out_accuracy(model.predict(cohort, requests), observed_z, requests.target)
    weight = table.get("covariate_weight", pd.Series([np.nan])).iloc[0]
    return {"rho": accuracy["gene_wise"], "weight": weight, "seconds": seconds}


def main() -> None:
    """Simulate, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--donors", type=int, default=300, help="training donors, full width")
    parser.add_argument("--genes", type=int, default=19_291, help="full width")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    wide = (arguments.genes, arguments.donors)
    table = []
    for n_genes, n_donors, share in (
        (2000, 200, COVARIATES),
        (*wide, COVARIATES),
        (2000, 200, 0.0),
        (*wide, 0.0),
    ):
        for seed in range(arguments.seeds):
            cohort = simulate(n_donors + N_HELD_OUT, n_genes, share, seed)
            for row in ROWS:
                key = {"genes": n_genes, "donors": n_donors, "share": share, "row": row}
                table.append(key | measure(cohort, row))
    groups = pd.DataFrame(table).groupby(["share", "genes", "donors", "row"], sort=False)
    summary = groups.agg(
        rho=("rho", "mean"),
        least=("rho", "min"),
        most=("rho", "max"),
        weight=("weight", "median"),
        seconds=("seconds", "mean"),
    )
    pd.set_option("display.width", 150)
    print(summary.round(4).reset_index().to_string(index=False, na_rep=""))


if __name__ == "__main__":
    main()
