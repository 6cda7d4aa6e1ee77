"""Time the batched rivals S1 and S2 against gene-by-gene loops of scikit-learn.

    .venv/bin/python bench/bench_rivals.py

runs on random numbers with a few donor-wide factors, in one process with one thread for either
side. The loops are timed on the first genes alone and scaled to all of them: they do the same for
every gene. Both sides select features and make components. "Solver" is what the loops do as well;
"training" is all that a model learns, limits for new samples and the scaler's statistics besides,
of which the loops have nothing. The second table has the batched side alone, as genes and donors
grow.
"""

import argparse
import time

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import BayesianRidge, LassoCV
from threadpoolctl import threadpool_limits

from mtm.cohort.cohort import Cohort
from mtm.models.base import Training
from mtm.models.registry import build

MODELS = {"S1 B-GEx": "bgex", "S2 TEEBoT": "teebot"}


def simulate(n_donors: int, n_genes: int, seed: int = 0) -> Cohort:
    """Make two tissues of the same donors, with 20 factors that both share."""
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(n_donors, 20)) * np.geomspace(1, 0.2, 20)
    expr_log2 = np.concatenate(
        [
            rng.uniform(1, 8, n_genes)
            + 0.5 * factor @ rng.normal(size=(20, n_genes))
            + rng.normal(size=(n_donors, n_genes))
            for _ in range(2)
        ]
    )
    donors = pd.Index([f"D{index:05d}" for index in range(n_donors)], name="donor")
    return Cohort(
        expr_tpm=np.maximum(np.exp2(expr_log2) - 1, 0.01).astype(np.float32),
        samples=pd.DataFrame(index=[f"s{index}" for index in range(2 * n_donors)]),
        donor=np.tile(np.arange(n_donors), 2),
        tissue=np.repeat([0, 1], n_donors),
        donors=pd.DataFrame(index=donors),
        tissues=("source", "target"),
        genes=pd.DataFrame({"symbol": "G"}, index=[f"g{index}" for index in range(n_genes)]),
    )


def log_tpm(cohort: Cohort) -> tuple[np.ndarray, np.ndarray]:
    """Return log(1+TPM) of source and target, float64."""
    values = np.log1p(cohort.expr_tpm.astype(np.float64))
    return values[cohort.tissue == 0], values[cohort.tissue == 1]


def loop_bgex(cohort: Cohort, n_timed: int) -> None:
    """B-GEx as published, gene by gene, for the first `n_timed` genes."""
    x, y = log_tpm(cohort)
    x = x[:, (x > 0).all(0)]
    variation = x.std(0, ddof=1) / x.mean(0)
    x = x[:, np.argsort(-variation)[: int(np.ceil(0.1 * x.shape[1]))]]
    x = (x - x.mean(0)) / x.std(0, ddof=1)
    for gene in range(n_timed):
        z = (y[:, gene] - y[:, gene].mean()) / y[:, gene].std(ddof=1)
        best = np.argsort(-np.abs(x.T @ z))[:10]
        BayesianRidge().fit(x[:, best], z)


def loop_teebot(cohort: Cohort, n_timed: int) -> None:
    """TEEBoT as published, gene by gene, for the first `n_timed` genes."""
    x, y = log_tpm(cohort)
    scores = PCA(10, svd_solver="full").fit_transform(x)
    scores = scores / scores.std(0)
    for gene in range(n_timed):
        LassoCV(alphas=100, cv=5).fit(scores, y[:, gene])


LOOPS = {"S1 B-GEx": loop_bgex, "S2 TEEBoT": loop_teebot}


def seconds(function, *arguments) -> float:
    """Return the wall time of one call."""
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


def batched(label: str, cohort: Cohort, device: str) -> tuple[float, float]:
    """Return the seconds of one training and of its solver, each the best of three runs."""
    training, runs = Training(cohort, source=0, device=device), []
    for _ in range(3):
        model, in_solver = build(MODELS[label]), []
        solve = model._fit_tissue

        def timed(*arguments, solve=solve, in_solver=in_solver):
            started = time.perf_counter()
            solved = solve(*arguments)
            in_solver.append(time.perf_counter() - started)
            return solved

        model._fit_tissue = timed
        runs.append((seconds(model.fit, training), sum(in_solver)))
    return tuple(map(min, zip(*runs, strict=True)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--donors", type=int, default=300)
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--timed-genes", type=int, default=100, help="genes that the loops do")
    parser.add_argument("--device", default="cpu", help="of the batched side: cpu, cuda, auto")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        cohort = simulate(arguments.donors, arguments.genes)
        rows = []
        for label, loop in LOOPS.items():
            fixed = seconds(loop, cohort, 0)
            timed = seconds(loop, cohort, arguments.timed_genes) - fixed
            scaled = fixed + timed * arguments.genes / arguments.timed_genes
            training, solver = batched(label, cohort, arguments.device)
            rows.append(
                {
                    "model": label,
                    "genes": arguments.genes,
                    "donors": arguments.donors,
                    f"loop, {arguments.timed_genes} genes (s)": fixed + timed,
                    "loop, scaled to all (s)": scaled,
                    "training (s)": training,
                    "ratio": scaled / training,
                    "solver (s)": solver,
                    "ratio of solver": scaled / solver,
                }
            )
        growth = []
        for label in MODELS:
            for n_donors, n_genes in (
                (300, 1000),
                (300, 2000),
                (300, 4000),
                (300, 8000),
                (75, 2000),
                (150, 2000),
                (600, 2000),
            ):
                training, solver = batched(label, simulate(n_donors, n_genes), arguments.device)
                row = {"model": label, "donors": n_donors, "genes": n_genes}
                row |= {"training (s)": training, "solver (s)": solver}
                growth.append(row | {"solver, ms a gene": 1e3 * solver / n_genes})
    pd.set_option("display.width", 150)
    print("One tissue, batched against gene-by-gene loops:")
    print(pd.DataFrame(rows).round(2).to_string(index=False))
    print("\nOne tissue, batched, growth:")
    print(pd.DataFrame(growth).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
