"""A panel of L1000's size made whole at the width of the transcriptome (methods 6.22).

    .venv/bin/python bench/landmarks_full_width.py --methods ridge one_ridge dgex

Simulated: samples of eight tissues with factors of their donors, which all tissues share, and of
the sample; every gene has noise of its own, and tissues read factors each in its own way in part.
One fold. `rho` is over held-out samples within the tissue, mean of genes and tissues, and cannot
be more than `reach`, what the factors themselves would tell. Seconds are of the processor; a
pass of a network takes as many times longer as there are more samples.
"""

import argparse
import resource
import time

import numpy as np

from mtm.analyses.landmarks.methods import METHODS, Samples
from mtm.analyses.landmarks.panel import choose_landmarks
from mtm.settings.landmarks import Landmarks
from mtm.statistics.correlation import row_correlation

N_FACTORS, SHARED, SIGNAL, N_FOLDS = 60, 0.5, 0.5, 5
# Training samples of a fold of GTEx.
FULL_SAMPLES = 13_860


def simulated(n_donors: int, n_tissues: int, n_genes: int) -> tuple[np.ndarray, ...]:
    """Draw z-scores, ``(n_samples, n_genes)``, what factors tell of them, tissue and donor."""
    rng = np.random.default_rng(0)
    donor, tissue = np.divmod(np.arange(n_donors * n_tissues), n_tissues)
    factors = rng.standard_normal((n_donors, N_FACTORS), np.float32)[donor]
    factors += rng.standard_normal(factors.shape, np.float32)
    common = rng.standard_normal((N_FACTORS, n_genes), np.float32)
    signal = np.empty((len(donor), n_genes), np.float32)
    for index in range(n_tissues):
        own = rng.standard_normal(common.shape, np.float32)
        loadings = SHARED**0.5 * common + (1 - SHARED) ** 0.5 * own
        loadings *= SIGNAL**0.5 / (2**0.5 * np.sqrt(np.square(loadings).sum(0)))
        signal[tissue == index] = factors[tissue == index] @ loadings
    noise = rng.standard_normal(signal.shape, np.float32)
    return signal + (1 - SIGNAL) ** 0.5 * noise, signal, tissue, donor


def rho(told: np.ndarray, true: np.ndarray, tissue: np.ndarray) -> float:
    """Correlate within tissues, mean of genes and tissues."""
    of = (tissue == index for index in np.unique(tissue))
    return float(np.mean([np.nanmean(row_correlation(told[i].T, true[i].T)) for i in of]))


def main() -> None:
    """Choose a panel, make it whole, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", default=["ridge", "one_ridge", "dgex"])
    parser.add_argument("--landmarks", type=int, default=943)
    parser.add_argument("--donors", type=int, default=200)
    parser.add_argument("--tissues", type=int, default=8)
    parser.add_argument("--genes", type=int, default=19_291)
    parser.add_argument("--epochs", type=int, default=Landmarks().dgex.epochs)
    options = parser.parse_args()
    expr_z, signal, tissue, donor = simulated(options.donors, options.tissues, options.genes)
    train = donor % N_FOLDS != 0
    start = time.process_time()
    chosen, _ = choose_landmarks(expr_z[train], tissue[train], options.landmarks)
    seconds = time.process_time() - start
    full = seconds * FULL_SAMPLES / train.sum()
    print(f"{options.landmarks} landmarks of {options.genes:,} genes chosen on {train.sum():,}")
    print(f"samples: {seconds:.0f} s; on {FULL_SAMPLES:,} {full:,.0f} s by computation")
    others = np.setdiff1d(np.arange(options.genes), chosen)
    samples = Samples(expr_z[:, chosen], tissue, donor, expr_z[:, others])
    settings = Landmarks()
    settings = settings.with_(dgex=settings.dgex.with_(epochs=options.epochs))
    held_out = samples.of(~train)
    reach = rho(signal[~train][:, others], held_out.genes, tissue[~train])
    print(f"reach {reach:.3f}\n| method | rho | s | MB at most so far |\n|---|---|---|---|")
    for method in options.methods:
        start = time.process_time()
        told = METHODS[method](samples.of(train), held_out, settings, 0, "cpu")
        seconds = time.process_time() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        accuracy = rho(told, held_out.genes, tissue[~train])
        print(f"| {method} | {accuracy:.3f} | {seconds:.0f} | {peak:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
