"""Likelihoods of read counts beside Gaussian ones where genes fail (methods 6.24).

    .venv/bin/python bench/count_likelihoods.py results/gtex_v8_panel/cohort \
        ../shared/data/gtex_v8_panel/gene_reads.acmg_59.gct.gz --folds 0

COHORT is the folder of a run's cohort, COUNTS a GCT of the reads of its samples and genes; a
header that promises another number of genes is set right in a copy. Every gene of a fold's
held-out samples is imputed once, in blocks of a fifth that are the same for all methods. `r` is
gene-wise Pearson's r within the tissue, mean of tissues, with its interval over donors;
`explained` the share of squares of z-scores that is told. Seconds are the processor's, memory is
the most that the process had held by then.
"""

import argparse
import gzip
import logging
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.analyses.imputation.counts import read_counts
from mtm.analyses.imputation.impute import Fold, Imputed, blocks_of
from mtm.analyses.imputation.score import score_imputed
from mtm.analyses.imputation.zeros import count_zeros, say_zeros
from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.imputation import AutoencoderSettings, Imputation
from mtm.settings.scaling import Scaling
from mtm.vocabulary import MEAN_OF_TISSUES, TISSUE_MEAN

METHODS = ["gaussian", "vae", "nb", "zinb"]


def read_panel_counts(path: Path, cohort: Cohort) -> np.ndarray:
    """Read counts, ``(n_samples, n_genes)``, by a header that says how many genes follow."""
    with gzip.open(path, "rt") as stream:
        version, size, *rows = stream.read().splitlines()
    with tempfile.TemporaryDirectory() as folder:
        mended = Path(folder) / "reads.gct.gz"
        with gzip.open(mended, "wt", compresslevel=1) as stream:
            head = f"{len(rows) - 1}\t{size.split()[1]}"
            stream.write("\n".join([version, head, *rows]) + "\n")
        return read_counts(mended, cohort)


def impute_folds(
    cohort: Cohort,
    folds: pd.Series,
    numbers: Sequence[int],
    methods: Sequence[str],
    settings: Imputation,
    counts: np.ndarray,
) -> tuple[Imputed, dict[str, float]]:
    """Impute the held-out samples of some folds; seconds are the processor's, memory in MB."""
    names = [TISSUE_MEAN, *methods]
    told = {name: np.full(cohort.expr_tpm.shape, np.nan, np.float32) for name in names}
    observed = np.full(cohort.expr_tpm.shape, np.nan, np.float32)
    seconds, memory = dict.fromkeys(names, 0.0), {}
    for number in numbers:
        fold = Fold.of(cohort, folds, number, Scaling(), settings.seed, counts)
        observed[fold.held_out] = fold.expr_z[fold.held_out]
        blocks = blocks_of(cohort.n_genes, settings.masked, settings.seed + number)
        for name in names:
            start = time.process_time()
            told[name][fold.held_out] = fold.imputed(name, blocks, settings, "cpu")
            seconds[name] += time.process_time() - start
            memory[name] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            logging.info("fold %d, %s: %.0f s so far", number, name, seconds[name])
    return Imputed(told, observed, seconds), memory


def main() -> None:
    """Impute, score, print a table and what the zeros say."""
    network = AutoencoderSettings()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path)
    parser.add_argument("counts", type=Path)
    parser.add_argument("--folds", type=int, nargs="+", default=[0])
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--widths", type=int, nargs="+", default=network.widths)
    parser.add_argument("--epochs", type=int, default=network.epochs)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cohort = Cohort.read(options.cohort / "expression.h5ad", options.cohort / "donors.tsv")
    folds = read_folds(options.cohort / "folds.tsv")
    counts = read_panel_counts(options.counts, cohort)
    print(say_zeros(count_zeros(counts, cohort)))
    network = AutoencoderSettings(widths=tuple(options.widths), epochs=options.epochs)
    settings = Imputation(methods=tuple(options.methods), autoencoder=network)
    imputed, memory = impute_folds(cohort, folds, options.folds, options.methods, settings, counts)
    table = score_imputed(cohort, folds, imputed, AccuracySettings(), Scaling(), "cpu")
    table = table[(table["level"] == "gene_wise") & (table["tissue"] == MEAN_OF_TISSUES)]
    table = table.set_index("method").assign(memory_mb=pd.Series(memory))
    columns = ["mean_rho", "ci_low", "ci_high", "explained", "seconds", "memory_mb"]
    digits = {"seconds": 1, "memory_mb": 0}
    print(table[columns].rename(columns={"mean_rho": "r"}).round(3).round(digits).to_string())


if __name__ == "__main__":
    main()
