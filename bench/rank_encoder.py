"""Perplexity of the encoder of rank values in a fold that it did not see (methods 6.25).

    .venv/bin/python bench/rank_encoder.py results/gtex_v8_panel/cohort --epochs 6

COHORT is the folder of a run's cohort. Beside the encoder stand counts of genes over those that a
sentence does not show, of all places together and by place.
"""

import argparse
import logging
import time
from pathlib import Path

import numpy as np

from mtm.analyses.ranks.baselines import counted_losses
from mtm.analyses.ranks.encoder import draw_masks, masked_losses
from mtm.analyses.ranks.fold import Fold, fit_encoder
from mtm.analyses.ranks.score import PARTS
from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.settings.ranks import Ranks


def main() -> None:
    """Train, tell masked genes of held-out samples, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=6)
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
    encoder, _ = fit_encoder(cohort, folds, options.fold, settings, "cpu")
    seconds = time.process_time() - start
    fold = Fold.of(cohort, folds, options.fold)
    train, out = (fold.sentences(cohort, rows, settings) for rows in (fold.train, fold.out))
    masks = draw_masks(out, settings.masked, settings.seed + fold.number)
    losses = {
        "encoder": masked_losses(encoder, out, masks),
        "counts of genes not shown": counted_losses(train, out, masks, cohort.n_genes, 1),
        "the same by place": counted_losses(train, out, masks, cohort.n_genes, PARTS),
    }
    for name, values in losses.items():
        print(f"{name}: {np.exp(np.mean(values)):.3f}")
    print(
        f"{masks.sum():,} masked genes of {len(out):,} samples; {seconds:.0f} s of the processor"
    )


if __name__ == "__main__":
    main()
