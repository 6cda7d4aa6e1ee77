"""Whether classes of reliability say how well people are told whom they were not made from.

    .venv/bin/python bench/reliability_classes.py FOLDER MODEL

reads ``FOLDER/cohort`` and ``FOLDER/predictions/MODEL`` of a run. Fold by fold, genes are classed
by the held-out donors of the other folds, as a certificate's are by those of all; the correlation
in the fold that is left is set beside. Means over genes, tissues and folds; the number of such
correlations, and of the samples of an ordinary one; the smallest and largest mean of a single
fold. The last line says in how many folds a better class was told better. Models of other folds
have learned from the fold that is left; that is what a certificate's classes are of, too.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.analyses.accuracy.score import score_predictions
from mtm.analyses.intervals.reliability import reliability
from mtm.predictions.held_out import HeldOut, read_held_out
from mtm.predictions.tissues import tissues
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.intervals import IntervalSettings
from mtm.statistics.correlation import row_correlation
from mtm.vocabulary import HEADLINE, RELIABILITY

FEWEST = 5


def of_fold(held_out: HeldOut, fold: int, settings: AccuracySettings) -> pd.DataFrame:
    """Return class and expected correlation by the other folds, and ``found`` in this one."""
    others, mine = (
        replace(held_out, rows=held_out.rows[kept].reset_index(drop=True))
        for kept in (held_out.rows["fold"] != fold, held_out.rows["fold"] == fold)
    )
    scored = score_predictions(others, "model", settings).gene_wise
    classed = pd.concat(
        [reliability(tissue, scored, IntervalSettings(), settings) for tissue in tissues(others)]
    ).set_index(["tissue", "gene_id"])
    parts = []
    for tissue in tissues(mine):
        if tissue.n_samples < FEWEST:
            continue
        values = tissue.values(HEADLINE.scale, slice(None))
        with np.errstate(invalid="ignore", divide="ignore"):
            rho = row_correlation(values.predicted_z.numpy().T, values.observed_z.numpy().T)
        key = {"tissue": tissue.name, "gene_id": tissue.gene_ids}
        parts.append(pd.DataFrame(key | {"found": rho, "n": tissue.n_samples}))
    found = pd.concat(parts).set_index(["tissue", "gene_id"])
    return classed[["reliability", "expected_rho"]].join(found, how="inner").assign(fold=fold)


def in_order(table: pd.DataFrame) -> int:
    """Count the folds in which a better class has a higher mean."""
    means = table.groupby(["fold", "reliability"])["found"].mean().unstack()
    means = means.reindex(columns=list(RELIABILITY))
    return sum(row.dropna().is_monotonic_increasing for _, row in means.iterrows())


def main() -> None:
    """Print a table, a row a class."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("model")
    options = parser.parse_args()
    files = sorted((options.folder / "predictions" / options.model).glob("fold*.h5ad"))
    cohort = options.folder / "cohort"
    held_out = read_held_out(cohort / "expression.h5ad", cohort / "folds.tsv", files)
    settings = AccuracySettings(permutations=200, bootstraps=20)
    folds = sorted(held_out.rows["fold"].unique())
    table = pd.concat([of_fold(held_out, fold, settings) for fold in folds]).dropna()
    print(f"{options.model}, {held_out.rows['tissue'].nunique()} tissues, {len(folds)} folds")
    print("| class | correlations | samples | expected | found | of single folds |")
    print(f"|{'---|' * 6}")
    for name in reversed(RELIABILITY):
        of_class = table[table["reliability"] == name]
        if of_class.empty:
            continue
        by_fold = of_class.groupby("fold")["found"].mean()
        means = of_class[["expected_rho", "found"]].mean()
        cells = [name, f"{len(of_class):,}", f"{of_class['n'].median():.0f}"]
        cells += [f"{value:.3f}" for value in means]
        print(f"| {' | '.join(cells)} | {by_fold.min():.3f} to {by_fold.max():.3f} |")
    print(f"in order in {in_order(table)} of {len(folds)} folds")


if __name__ == "__main__":
    main()
