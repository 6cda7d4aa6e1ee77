"""All parts together: the linear one, and what trees and network may add to it (methods 6.23)."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from scipy.optimize import lsq_linear

from mtm.analyses.profiles.features import FLOOR, Shapes, Surroundings
from mtm.analyses.profiles.holes import KINDS, NOTHING, hide_to_kind, kind_of
from mtm.analyses.profiles.linear import Linear, filled, fit_linear
from mtm.analyses.profiles.trees import Trees, fit_trees, tree_features
from mtm.settings.profiles import ProfileSettings

log = logging.getLogger(__name__)

# Of the training genes, by whole chromosomes, what weights are chosen on: one in so many.
LEFT_OUT = 6
LEVEL = 0.95
# Of fewer genes the largest error is no 95% quantile of one more's, LEVEL / (1 - LEVEL).
FEWEST_LEFT_OUT = 19
SURE = 2.0
ADDED = ("trees", "hybrid")


@dataclass(frozen=True)
class Stack:
    """What `fit_stack` returns.

    Parameters
    ----------
    linear
        The linear part.
    trees, hybrid
        What is added to it, by kind of gene, or None.
    weights
        Of each kind of gene, shape ``(n_kinds, 2, 2)``: trees and hybrid by level and by what
        is about it.
    quantile
        Of each kind, half an interval in the linear part's sds: the widest of other kinds where
        fewer than `FEWEST_LEFT_OUT` genes say it, NaN where none has so many.
    lowest
        Smallest value of each tissue in training, shape ``(n_tissues,)``.
    device
        Of the network.
    seconds
        What each part took to be fitted.
    """

    linear: Linear
    trees: tuple[Trees, ...] | None
    hybrid: tuple | None
    weights: np.ndarray
    quantile: np.ndarray
    lowest: np.ndarray
    device: str
    seconds: dict[str, float] = field(default_factory=dict)

    def used(self, kind: int) -> tuple[str, ...]:
        """Name what is added to the linear part of genes of a kind."""
        return tuple(name for name, w in zip(ADDED, self.weights[kind], strict=True) if w.any())


@dataclass(frozen=True)
class Asked:
    """Genes whose holes are to be told.

    Parameters
    ----------
    seen
        About the tissue means, shape ``(n_genes, n_tissues)``; NaN is a hole.
    features
        Of the linear part.
    tokens
        Of the network, or None.
    """

    seen: np.ndarray
    features: np.ndarray
    tokens: object | None

    def of(self, rows: np.ndarray, hidden: np.ndarray | None = None) -> "Asked":
        """Return some genes, with more of them hidden."""
        seen = self.seen[rows]
        seen = seen if hidden is None else np.where(hidden, np.nan, seen)
        return Asked(seen, self.features[rows], self.tokens and self.tokens.of(rows))


@dataclass(frozen=True)
class Told:
    """What is told of genes, about the tissue means, each ``(n_genes, n_tissues)``.

    Parameters
    ----------
    linear, trees, hybrid, stack
        By the linear part, with trees, by the network alone, by all; None where it was not fitted.
    half
        Half a 95% interval of `stack`; 0 where a value was seen, NaN where it is not known.
    """

    linear: np.ndarray
    trees: np.ndarray | None
    hybrid: np.ndarray | None
    stack: np.ndarray
    half: np.ndarray


def asked(
    around: Surroundings,
    expr_log2: np.ndarray,
    tissue_mean: np.ndarray,
    settings: ProfileSettings,
) -> Asked:
    """Look at every gene of the table among what is to be seen of the others.

    Parameters
    ----------
    around
        The genes' surroundings.
    expr_log2
        The table's; genes that must not be seen are holes.
    tissue_mean
        Of training genes.
    settings
        Section of the config.
    """
    blocks = around.features(expr_log2, tissue_mean)
    features = np.hstack([np.empty((len(expr_log2), 0)), *blocks.values()])
    made = None
    if "hybrid" in settings.parts:
        from mtm.analyses.profiles.hybrid import tokens

        known = Shapes.of(expr_log2 - tissue_mean)
        made = tokens(around.table, known, around.promoters, settings.hybrid)
    return Asked(expr_log2 - tissue_mean, features, made)


def fit_stack(
    around: Surroundings,
    expr_log2: np.ndarray,
    settings: ProfileSettings,
    seed: int,
    device: str,
) -> Stack:
    """Fit all parts to the genes of which something is to be seen.

    Trees, network and a linear part for this are fitted without a sixth of these genes, whole
    chromosomes, which then say how much is to be added (nothing where it would make these genes
    worse) and how wide intervals are.

    Parameters
    ----------
    around
        The genes' surroundings.
    expr_log2
        The table's; held-out genes are holes.
    settings
        Section of the config.
    seed
        Of what is drawn.
    device
        Of the network.
    """
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(np.isfinite(expr_log2).any(1))
    start = time.perf_counter()
    mean = np.nanmean(expr_log2[rows], 0)
    blocks = around.features(expr_log2, mean)
    linear = fit_linear(expr_log2[rows], [block[rows] for block in blocks.values()])
    seconds = {"linear": time.perf_counter() - start}
    left_out = _left_out(around.table.genes["chrom"].to_numpy()[rows], rng)
    kept = rows[~left_out]
    inner = fit_linear(expr_log2[kept], [block[kept] for block in blocks.values()])
    genes = asked(around, expr_log2, mean, settings).of(rows)
    genes = replace(genes, seen=expr_log2[rows] - inner.tissue_mean)
    trees = hybrid = None
    if "trees" in settings.parts:
        start = time.perf_counter()
        trees = _fit_trees(inner, genes.seen[~left_out], settings, rng, seed)
        seconds["trees"] = time.perf_counter() - start
    if "hybrid" in settings.parts:
        from mtm.analyses.profiles.hybrid import fit_hybrid

        start = time.perf_counter()
        hybrid = fit_hybrid(genes.tokens, genes.seen, left_out, settings.hybrid, seed, device)
        seconds["hybrid"] = time.perf_counter() - start
    nothing = np.zeros((len(KINDS), len(ADDED), 2)), np.ones(len(KINDS))
    lowest = np.nanmin(expr_log2[rows], 0)
    stack = Stack(inner, trees, hybrid, *nothing, lowest, device, seconds)
    weights, quantile = _weigh(stack, genes.of(np.flatnonzero(left_out)), rng)
    log.info("weights of %s by kind of gene: %s", ", ".join(ADDED), weights.round(2).tolist())
    return replace(stack, linear=linear, weights=weights, quantile=quantile)


def _left_out(chrom: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Choose chromosomes with a sixth of the genes, of few genes with enough, but not all."""
    names = rng.permutation(np.unique(chrom))
    share = np.array([(chrom == name).mean() for name in names]).cumsum()
    wanted = max(1 / LEFT_OUT, min(FEWEST_LEFT_OUT / len(chrom), 1 / 2))
    chosen = names[: min(int((share < wanted).sum()) + 1, len(names) - 1)]
    return np.isin(chrom, chosen)


def _fit_trees(
    linear: Linear,
    train: np.ndarray,
    settings: ProfileSettings,
    rng: np.random.Generator,
    seed: int,
) -> tuple[Trees, ...]:
    """Fit trees of each kind to what the linear part leaves, its mean by fits without the gene."""
    known, mean = np.isfinite(train), linear.train_mean

    def drawn(kind: int, tissue: int) -> tuple[np.ndarray, np.ndarray]:
        rows = np.repeat(np.flatnonzero(known[:, tissue]), settings.trees.draws)
        hidden = hide_to_kind(rng, known[rows], kind)
        hidden[:, tissue] = True
        seen = np.where(hidden, np.nan, train[rows])
        told, _ = filled(seen, mean[rows], linear.covariance)
        left = train[rows, tissue] - told[:, tissue]
        return tree_features(seen, told, mean[rows]), left

    n_tissues = train.shape[1]
    return tuple(
        fit_trees(partial(drawn, kind), n_tissues, settings.trees, seed) for kind in KINDS
    )


def tell(stack: Stack, genes: Asked) -> Told:
    """Tell the holes of genes by every part.

    Parameters
    ----------
    stack
        From `fit_stack`.
    genes
        From `asked`.
    """
    mean = stack.linear.mean(genes.features)
    linear, sd = filled(genes.seen, mean, stack.linear.covariance, with_sd=True)
    hole = ~np.isfinite(genes.seen)
    kind = kind_of(~hole)
    added: list[np.ndarray | None] = [None, None]
    if stack.trees is not None:
        features = tree_features(genes.seen, linear, mean)
        told = _of_kinds(kind, hole, lambda one, rows: stack.trees[one].predict(features[rows]))
        added[0] = told * hole
    if stack.hybrid is not None:
        told = _of_kinds(kind, hole, partial(_of_network, stack, genes))
        added[1] = (told - linear) * hole
    whole = linear + _corrections(added, hole, stack.weights[kind])
    low = stack.lowest - stack.linear.tissue_mean
    whole = np.where(hole, np.maximum(whole, low), whole)
    trees, hybrid = (None if one is None else linear + one for one in added)
    return Told(linear, trees, hybrid, whole, stack.quantile[kind][:, None] * sd)


def _of_kinds(
    kind: np.ndarray, like: np.ndarray, predict: Callable[[int, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Predict each gene by what is fitted for its kind; the shape is that of `like`."""
    out = np.zeros(like.shape)
    for one in np.unique(kind):
        rows = np.flatnonzero(kind == one)
        out[rows] = predict(one, rows)
    return out


def _of_network(stack: Stack, genes: Asked, kind: int, rows: np.ndarray) -> np.ndarray:
    return stack.hybrid[kind].predict(genes.tokens.of(rows), genes.seen[rows], stack.device)


def _split(added: np.ndarray, hole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take what is added to the holes of a gene apart, as their mean and what is about it."""
    n = hole.sum(1, keepdims=True).clip(min=1)
    level = np.where(hole, added, 0).sum(1, keepdims=True) / n * hole
    return level, (added - level) * hole


def _corrections(
    added: Sequence[np.ndarray | None], hole: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Add what is added, each gene with its weights ``(n_genes, 2, 2)``."""
    out = np.zeros(hole.shape)
    for place, one in enumerate(added):
        if one is not None:
            for side, part in enumerate(_split(one, hole)):
                out += weights[:, place, side, None] * part
    return out


def _weigh(stack: Stack, genes: Asked, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Choose weights and widths on the genes left out, each kind of gene by itself."""
    seen = np.isfinite(genes.seen)
    weights, quantile = stack.weights.copy(), np.full(len(KINDS), np.nan)
    for kind in KINDS:
        hidden = hide_to_kind(rng, seen, kind)
        rows = np.flatnonzero(hidden.any(1) & (kind_of(seen & ~hidden) == kind))
        if len(rows) < FEWEST_LEFT_OUT:
            continue
        some, hid = genes.of(rows, hidden[rows]), hidden[rows]
        told = tell(stack, some)
        true = genes.seen[rows]
        added = [None if one is None else one - told.linear for one in (told.trees, told.hybrid)]
        left = true - told.linear
        # Of a gene that nobody measured it is the shape that counts, and each gene alike.
        spread = 1 / (Shapes.of(true).sd + FLOOR) if kind == NOTHING else np.ones(len(rows))
        weights[kind] = _weights(added, hid, left, spread[:, None])
        best = told.linear + _corrections(
            added, ~np.isfinite(some.seen), np.repeat(weights[[kind]], len(rows), 0)
        )
        sd = told.half[hid] / stack.quantile[kind]
        # As for one gene more, of which the quantile is to hold.
        level = min(LEVEL * (len(rows) + 1) / len(rows), 1.0)
        quantile[kind] = np.quantile(np.abs(true - best)[hid] / sd.clip(min=1e-9), level)
    known = np.isfinite(quantile)
    quantile[~known] = quantile[known].max() if known.any() else np.nan
    return weights, quantile


def _weights(
    added: Sequence[np.ndarray | None],
    hid: np.ndarray,
    left: np.ndarray,
    spread: np.ndarray,
) -> np.ndarray:
    """Weights (2, 2), 0 to 1, of least squared error, apart for level and what is about it.

    Where the error falls by no more than it may by chance (`SURE` standard errors over genes), the
    weights are 0. `spread` multiplies each gene's errors about its level.
    """
    out = np.zeros((len(ADDED), 2))
    there = [place for place, one in enumerate(added) if one is not None]
    if not there:
        return out
    left = np.where(hid, left, 0)
    for side, weight in enumerate((np.ones(spread.shape), spread)):
        wanted = _split(left, hid)[side] * weight
        parts = np.stack([_split(added[place] * hid, hid)[side] * weight for place in there], 2)
        chosen = lsq_linear(parts[hid], wanted[hid], (0, 1)).x
        gain = (wanted**2 - (wanted - parts @ chosen) ** 2).sum(1)
        if gain.mean() > SURE * gain.std() / np.sqrt(len(gain)):
            out[there, side] = chosen
    return out
