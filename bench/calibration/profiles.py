"""Profiles of genes over tissues: intervals over chromosomes of `measure_accuracy`.

Estimand: what the folds' fits, as they are, reach in `MANY` further genes of other chromosomes,
mean over folds. Twelve chromosomes, which differ in how alike neighbours are, hold four genes for
each donor of other areas; six tissues go in two groups, and the gene beside shares some or none of
a shape. The linear part is scored by all measures, with all tissues hidden and with one; coverage
is that of the stack's intervals, which are the linear part's here.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from bench.calibration.trial import Interval

from mtm.analyses.profiles import score
from mtm.analyses.profiles.features import Surroundings
from mtm.analyses.profiles.held_out import Hidden, chromosome_folds, measure_accuracy
from mtm.analyses.profiles.stack import asked, fit_stack, tell
from mtm.analyses.profiles.table import Table
from mtm.settings.profiles import ProfileSettings
from mtm.vocabulary import ALL_GENES, WHOLE_GENE

N_CHROMOSOMES, MANY, N_TISSUES = 12, 5000, 6
# Share of a shape's variance that neighbours share, mean of chromosomes, which differ by as much.
SHARED = {"no": 0.0, "some": 0.5}
SETTINGS = ProfileSettings(parts=("neighbours",), hidden=(1,), seen=(), n_folds=3)
WAYS = Hidden("1 hidden", 1), Hidden(WHOLE_GENE, 0)


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval]:
    """Hold chromosomes out whose neighbours share nothing, and some."""
    for amount, shared in SHARED.items():
        table = _table(rng, 4 * n_donors // N_CHROMOSOMES, N_CHROMOSOMES, shared)
        around = Surroundings(table, ("neighbours",), {}, [""] * table.n_genes)
        scores = measure_accuracy(around, SETTINGS, "cpu")
        truth = _truth(rng, around, shared)
        for way, measure in truth:
            method = "stack" if measure == "coverage" else "neighbours"
            row = scores[
                (scores["hidden"] == way)
                & (scores["genes"] == ALL_GENES)
                & (scores["method"] == method)
                & (scores["measure"] == measure)
            ].iloc[0]
            name = f"{measure}, {way}, {amount} sharing"
            yield Interval(name, row["ci_low"], row["ci_high"], truth[way, measure])


def _table(rng: np.random.Generator, per_chromosome: int, n: int, shared: float) -> Table:
    """Draw genes in pairs, two groups of three tissues."""
    per_chromosome += per_chromosome % 2
    n_genes = per_chromosome * n
    alike = np.repeat(shared * rng.uniform(0.5, 1.5, n), per_chromosome)[:, None]
    pair = np.repeat(rng.standard_normal((n_genes // 2, 2)), 2, 0)
    shape = alike**0.5 * pair + (1 - alike) ** 0.5 * rng.standard_normal((n_genes, 2))
    values = np.repeat(shape, N_TISSUES // 2, 1) + 0.5 * rng.standard_normal((n_genes, N_TISSUES))
    values += rng.standard_normal((n_genes, 1))
    genes = pd.DataFrame(
        {
            "symbol": "",
            "chrom": np.repeat(np.arange(n), per_chromosome),
            "tss": 50_000 * np.arange(n_genes),
            "strand": 1,
        },
        index=pd.Index([f"G{i}" for i in range(n_genes)], name="gene_id"),
    )
    return Table(values, tuple("abcdef"), genes)


def _truth(
    rng: np.random.Generator, around: Surroundings, shared: float
) -> dict[tuple[str, str], float]:
    """Return what the folds' fits reach in many chromosomes."""
    chrom = around.table.genes["chrom"].to_numpy()
    each = len(chrom) // N_CHROMOSOMES
    many = _table(rng, each, MANY // each, shared)
    elsewhere = Surroundings(many, ("neighbours",), {}, [""] * many.n_genes)
    expr = around.table.expr_log2
    fold = chromosome_folds(chrom, np.ones(len(expr), bool), SETTINGS.n_folds)
    reached: dict[tuple[str, str], list[float]] = {}
    for out in range(SETTINGS.n_folds):
        train = np.where((fold == out)[:, None], np.nan, expr)
        stack = fit_stack(around, train, SETTINGS, SETTINGS.seed + out, "cpu")
        genes = asked(elsewhere, many.expr_log2, stack.linear.tissue_mean, SETTINGS)
        for way in WAYS:
            hidden = way.draw(rng, np.isfinite(genes.seen))
            told = tell(stack, genes.of(np.arange(many.n_genes), hidden))
            left = ~hidden
            own = np.where(left, genes.seen, 0).sum(1, keepdims=True)
            base = np.repeat(own / left.sum(1, keepdims=True).clip(min=1), N_TISSUES, 1)
            for measure, value in _measures(told, genes.seen, base, hidden, way).items():
                reached.setdefault((way.name, measure), []).append(value)
    return {key: float(np.mean(values)) for key, values in reached.items()}


def _measures(told, true, base, hidden, way: Hidden) -> dict[str, float]:
    """Score as `measure_accuracy` does."""
    inside = np.abs(told.stack - true) <= told.half
    if way.n:
        shape_r = score.pooled_r(score.pooled_sums(told.linear, true, base, hidden).sum(0))
    else:
        shape_r = score.mean(score.row_sums(told.linear, true, hidden).sum(0))
    return {
        "r2": score.r2(score.r2_sums(told.linear, true, base, hidden).sum(0)),
        "shape_r": shape_r,
        "coverage": score.mean(score.mean_sums(inside, hidden).sum(0)),
    }
