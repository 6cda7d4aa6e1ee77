"""Profiles of genes on chromosomes that no fit has seen, method by method (methods 6.23)."""

import logging
import time
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm.analyses.profiles import score
from mtm.analyses.profiles.features import Surroundings, nearest
from mtm.analyses.profiles.holes import hide
from mtm.analyses.profiles.linear import filled, fit_linear
from mtm.analyses.profiles.stack import Asked, asked, fit_stack, tell
from mtm.settings.profiles import ProfileSettings
from mtm.vocabulary import ALL_GENES, NO_RELATIVES, WHOLE_GENE

log = logging.getLogger(__name__)

COLUMNS = [
    "hidden", "genes", "method", "measure", "value", "ci_low", "ci_high", "n_genes",
    "n_chromosomes", "seconds",
]  # fmt: skip
OWN_MEAN, TISSUE_MEAN, NEAREST, TISSUES = "own_mean", "tissue_mean", "nearest", "tissues"
STACK = "stack"


@dataclass(frozen=True)
class Hidden:
    """One way of hiding tissues of held-out genes.

    Parameters
    ----------
    name
        As in ``accuracy.tsv``.
    n
        Tissues to hide of a gene; of negative ones, tissues to leave; 0 hides all.
    """

    name: str
    n: int

    def draw(self, rng: np.random.Generator, known: np.ndarray) -> np.ndarray:
        """Draw what to hide of genes; nothing of those that would keep none, or have too few."""
        if self.n == 0:
            return known
        n = np.full(len(known), self.n) if self.n > 0 else known.sum(1) + self.n
        enough = (n > 0) & (n < known.sum(1))
        return hide(rng, known, np.where(enough, n, 0))


def ways(settings: ProfileSettings, n_tissues: int) -> list[Hidden]:
    """Return the ways of hiding that so many tissues allow."""
    some = [Hidden(f"{n} hidden", n) for n in settings.hidden if n < n_tissues]
    some += [Hidden(f"{n} seen", -n) for n in settings.seen if n < n_tissues]
    return [*some, Hidden(WHOLE_GENE, 0)]


def chromosome_folds(chrom: np.ndarray, measured: np.ndarray, n_folds: int) -> np.ndarray:
    """Deal whole chromosomes out to folds of as equal numbers of measured genes as can be.

    Returns
    -------
    np.ndarray
        Fold of each gene, shape ``(n_genes,)``; there are no more folds than chromosomes.
    """
    counts = pd.Series(chrom[measured]).value_counts(sort=False).sort_index()
    counts = counts.sort_values(ascending=False, kind="stable")
    load = np.zeros(min(n_folds, len(counts)), int)
    fold = {}
    for name, n in counts.items():
        fold[name] = int(load.argmin())
        load[fold[name]] += n
    return pd.Series(chrom).map(fold).fillna(-1).to_numpy(int)


class Scores:
    """Sums of every gene, by way of hiding, method and measure."""

    def __init__(self) -> None:
        self.sums: dict[tuple[str, str, str], list[np.ndarray]] = defaultdict(list)
        self.rows: dict[tuple[str, str, str], list[np.ndarray]] = defaultdict(list)
        self.seconds: dict[str, float] = defaultdict(float)

    def add(self, key: tuple[str, str, str], rows: np.ndarray, sums: np.ndarray) -> None:
        """Add the genes of a fold."""
        self.rows[key].append(rows)
        self.sums[key].append(sums)

    def of(self, way: Hidden, method: str, case: "_Case", told: np.ndarray) -> None:
        """Score what a method tells of a fold's genes."""
        true, hidden, base = case.true, case.hidden, case.base
        self.add((way.name, method, "r2"), case.rows, score.r2_sums(told, true, base, hidden))
        if way.n == 0:
            each = score.row_sums(told, true, hidden)
            self.add((way.name, method, "shape_r"), case.rows, each)
            mean = case.tissue_mean
            each = score.row_sums(told + mean, true + mean, hidden)
            self.add((way.name, method, "gene_r"), case.rows, each)
        else:
            sums = score.pooled_sums(told, true, base, hidden)
            self.add((way.name, method, "shape_r"), case.rows, sums)


@dataclass(frozen=True)
class _Case:
    """Held-out genes with tissues hidden, all about the tissue means."""

    rows: np.ndarray
    genes: Asked
    true: np.ndarray
    hidden: np.ndarray
    base: np.ndarray
    tissue_mean: np.ndarray


def measure_accuracy(around: Surroundings, settings: ProfileSettings, device: str) -> pd.DataFrame:
    """Hold out group after group of chromosomes, and score every method on their genes.

    Parameters
    ----------
    around
        The genes' surroundings.
    settings
        Section of the config.
    device
        Of the network.

    Returns
    -------
    pd.DataFrame
        Columns as in docs/contracts.md.
    """
    table = around.table
    known = np.isfinite(table.expr_log2)
    fold = chromosome_folds(table.genes["chrom"].to_numpy(), known.any(1), settings.n_folds)
    scores = Scores()
    for held_out in range(fold.max() + 1):
        score_fold(scores, around, fold == held_out, settings, settings.seed + held_out, device)
        log.info("fold %d: %d genes held out", held_out, (fold == held_out).sum())
    return accuracy_table(scores, around)


def score_fold(
    scores: Scores,
    around: Surroundings,
    out: np.ndarray,
    settings: ProfileSettings,
    seed: int,
    device: str,
) -> None:
    """Fit without the genes that are held out, and add what every method tells of them.

    What stands beside a held-out gene is seen, as it will be where the gene alone is wanted; while
    fitting, nothing of a held-out chromosome is, be it as a relative.
    """
    table = around.table
    expr = table.expr_log2
    train = np.where(out[:, None], np.nan, expr)
    stack = fit_stack(around, train, settings, seed, device)
    mean = stack.linear.tissue_mean
    rows = np.flatnonzero(out & np.isfinite(expr).any(1))
    genes = asked(around, expr, mean, settings).of(rows)
    for part, seconds in stack.seconds.items():
        scores.seconds[part] += seconds
    rng = np.random.default_rng([seed, 2])
    cases = {}
    for way in ways(settings, len(table.tissues)):
        hidden = way.draw(rng, np.isfinite(genes.seen))
        if (some := hidden.any(1)).any():
            seen = genes.of(np.flatnonzero(some), hidden[some])
            left = np.isfinite(seen.seen)
            own = np.where(left, seen.seen, 0).sum(1) / left.sum(1).clip(min=1)
            base = np.repeat(own[:, None], len(mean), 1)
            true = genes.seen[some]
            cases[way] = _Case(rows[some], seen, true, hidden[some], base, mean)
    _score_simple(scores, cases, table, mean)
    _score_linear(scores, cases, around, train, mean)
    for way, case in cases.items():
        start = time.perf_counter()
        told = tell(stack, case.genes)
        scores.seconds[STACK] += time.perf_counter() - start
        for method, one in (("trees", told.trees), ("hybrid", told.hybrid), (STACK, told.stack)):
            if one is not None:
                scores.of(way, method, case, one)
        sure = case.hidden & np.isfinite(told.half)
        if (some := sure.any(1)).any():
            inside = np.abs(told.stack - case.true) <= told.half
            sums = score.mean_sums(inside[some], sure[some])
            scores.add((way.name, STACK, "coverage"), case.rows[some], sums)


def _score_simple(scores: Scores, cases: dict[Hidden, _Case], table, mean: np.ndarray) -> None:
    """Score what needs no fit: means, and the nearest gene."""
    measured = np.isfinite(table.expr_log2).any(1)
    beside = nearest(table, measured)
    for way, case in cases.items():
        scores.of(way, TISSUE_MEAN, case, np.zeros(case.true.shape))
        if way.n:
            scores.of(way, OWN_MEAN, case, case.base)
        near = table.expr_log2[beside[case.rows]] - mean
        near = np.where((beside[case.rows] >= 0)[:, None] & np.isfinite(near), near, 0)
        if way.n:
            near = case.base + near - near.mean(1, keepdims=True)
        scores.of(way, NEAREST, case, near)


def _score_linear(
    scores: Scores,
    cases: dict[Hidden, _Case],
    around: Surroundings,
    train: np.ndarray,
    mean: np.ndarray,
) -> None:
    """Score the linear part, its own tissues alone and then one part after the other added."""
    rows = np.isfinite(train).any(1)
    fitted, asked_of = (around.features(expr, mean) for expr in (train, around.table.expr_log2))
    for n_parts in range(len(around.parts) + 1):
        parts = around.parts[:n_parts]
        method = parts[-1] if parts else TISSUES
        start = time.perf_counter()
        linear = fit_linear(train[rows], [fitted[part][rows] for part in parts])
        for way, case in cases.items():
            if n_parts == 0 and way.n == 0:
                continue
            blocks = [asked_of[part][case.rows] for part in parts]
            features = np.hstack([np.empty((len(case.rows), 0)), *blocks])
            told, _ = filled(case.genes.seen, linear.mean(features), linear.covariance)
            scores.of(way, method, case, told)
        scores.seconds[method] += time.perf_counter() - start


MEASURES = {"r2": score.r2, "gene_r": score.mean, "coverage": score.mean}


def accuracy_table(scores: Scores, around: Surroundings) -> pd.DataFrame:
    """Turn sums into measures with intervals, for all genes and for those without a relative."""
    table = around.table
    chrom = pd.factorize(table.genes["chrom"])[0]
    alone = (table.family() < 0) & ~table.shares_promoter()
    rows = []
    for (hidden, method, measure), sums in scores.sums.items():
        each = np.concatenate(sums)
        of = np.concatenate(scores.rows[hidden, method, measure])
        way = MEASURES.get(measure, score.mean if hidden == WHOLE_GENE else score.pooled_r)
        for genes, kept in ((ALL_GENES, np.ones(len(of), bool)), (NO_RELATIVES, alone[of])):
            if not kept.any():
                continue
            about = {"hidden": hidden, "genes": genes, "method": method, "measure": measure}
            about |= score.over_chromosomes(each[kept], chrom[of[kept]], way)
            about |= {"n_genes": int(kept.sum()), "n_chromosomes": len(set(chrom[of[kept]]))}
            rows.append(about | {"seconds": scores.seconds.get(method, np.nan)})
    return pd.DataFrame(rows, columns=COLUMNS)
