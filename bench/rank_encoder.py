"""Encoders of rank values in folds that they did not see, beside their baselines (methods 6.25).

    .venv/bin/python bench/rank_encoder.py results/gtex_v8_panel/cohort --epochs 8

COHORT is the folder of a run's cohort. Perplexity of masked genes, what linear probes read from
codes, and what codes of the source tell of other tissues, as `mtm.analyses.ranks.score` has it;
seconds are of the processor.
"""

import argparse
import logging
import resource
import tempfile
import time
from pathlib import Path

from mtm.analyses.ranks.encoder import save
from mtm.analyses.ranks.fold import fit_encoder
from mtm.analyses.ranks.score import score_ranks
from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.ranks import Ranks
from mtm.settings.scaling import Scaling


def main() -> None:
    """Train, score, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--folds", type=int, nargs="+", default=[0])
    parser.add_argument("--source", default="Whole Blood")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--rate", type=float, default=Ranks().learning_rate)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    settings = Ranks(
        epochs=options.epochs, layers=options.layers, width=options.width,
        learning_rate=options.rate,
    )  # fmt: skip
    cohort = Cohort.read(options.cohort / "expression.h5ad", options.cohort / "donors.tsv")
    folds = read_folds(options.cohort / "folds.tsv")
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        encoders = {fold: Path(folder) / f"{fold}.safetensors" for fold in options.folds}
        for fold, path in encoders.items():
            encoder, _ = fit_encoder(cohort, folds, fold, settings, "cpu")
            save(encoder, list(cohort.genes.index), path)
        trained = time.process_time() - start
        table = score_ranks(
            cohort, folds, encoders, options.source, settings, AccuracySettings(), Scaling(), "cpu"
        )
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(table.dropna(axis=1, how="all").round(3).to_markdown(index=False))
    print(f"{trained:.0f} s of training, {seconds:.0f} s in all, {peak:,.0f} MB")


if __name__ == "__main__":
    main()
