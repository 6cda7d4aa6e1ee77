"""Time of the rank-sum test, and of the disease analysis with the pairs of He et al. 2023.

Run ``python bench/bench_differential_expression.py [--pairs 117] [--genes 6600] [--threads 2]``.
First the rank-sum test over 5,000 genes against a loop of ``scipy.stats.mannwhitneyu``, in
seconds of CPU, which other work on the machine disturbs least; then all tissue-disease pairs with
their null and intervals, on simulated values.
"""

import argparse
import os
import time

import numpy as np
import torch
from scipy.stats import mannwhitneyu

LOOP_GENES = 250
TEST_GENES = 5000
SIZES = (120, 300, 600)


def best(function, repeats: int = 5) -> tuple[float, object]:
    seconds, result = [], None
    for _ in range(repeats):
        start = time.process_time()
        result = function()
        seconds.append(time.process_time() - start)
    return min(seconds), result


def expression(rng: np.random.Generator, n_samples: int, n_genes: int) -> np.ndarray:
    """TPM with ties: every third gene is rounded to 0.1."""
    expr_tpm = rng.lognormal(1, 1, (n_samples, n_genes))
    expr_tpm[:, ::3] = expr_tpm[:, ::3].round(1)
    return expr_tpm


def compare_with_loop() -> None:
    from mtm.statistics.rank_sum import rank_sum

    rng = np.random.default_rng(0)
    print(f"rank-sum test of {TEST_GENES} genes (loop measured on {LOOP_GENES})")
    print("samples   loop, s CPU   this, s CPU   ratio   largest difference of P")
    for n_samples in SIZES:
        expr_tpm = expression(rng, n_samples, TEST_GENES)
        case = rng.random(n_samples) < 0.4

        def loop(expr_tpm=expr_tpm, case=case):
            return [
                mannwhitneyu(expr_tpm[case, g], expr_tpm[~case, g], method="asymptotic").pvalue
                for g in range(LOOP_GENES)
            ]

        slow, expected = best(loop, 2)
        slow *= TEST_GENES / LOOP_GENES
        fast, p = best(lambda expr_tpm=expr_tpm, case=case: rank_sum(expr_tpm, case))
        difference = np.abs(p[:LOOP_GENES] - expected).max()
        print(
            f"{n_samples:7d}   {slow:11.2f}   {fast:11.3f}   {slow / fast:5.0f}   {difference:.1e}"
        )


def all_pairs(n_pairs: int, n_genes: int) -> None:
    from mtm.analyses.disease.dysregulation import compare_expression
    from mtm.settings.disease import DiseaseSettings

    rng = np.random.default_rng(1)
    settings = DiseaseSettings()
    wall = cpu = 0.0
    for index in range(n_pairs):
        n_samples = int(np.linspace(120, 640, n_pairs)[index])
        observed = expression(rng, n_samples, n_genes).astype(np.float32)
        predicted = observed * rng.lognormal(0, 0.5, observed.shape).astype(np.float32)
        case, fold = rng.random(n_samples) < 0.35, rng.integers(0, 5, n_samples)
        start, cpu_start = time.perf_counter(), time.process_time()
        compare_expression(observed, predicted, case, fold, settings)
        wall += time.perf_counter() - start
        cpu += time.process_time() - cpu_start
    print(
        f"{n_pairs} pairs of {n_genes} genes, 120 to 640 samples, {settings.permutations} "
        f"permutations: {wall:.0f} s, {cpu:.0f} s of CPU"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=117)
    parser.add_argument("--genes", type=int, default=6600)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{arguments.threads} threads, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS')}")
    compare_with_loop()
    all_pairs(arguments.pairs, arguments.genes)


if __name__ == "__main__":
    main()
