"""Genes taken out of a sentence or put first, and where its code goes (methods 6.25)."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.analyses.ranks.encoder import Encoder, codes
from mtm.analyses.ranks.fold import Fold, load_encoder
from mtm.analyses.ranks.sentences import NO_GENE, with_first, without
from mtm.cohort.cohort import Cohort
from mtm.errors import CannotDo, shown
from mtm.models.device import choose_device
from mtm.settings.ranks import Ranks
from mtm.statistics.testing import benjamini_hochberg, permutation_p
from mtm.vocabulary import DELETED, FIRST

log = logging.getLogger(__name__)

COLUMNS = [
    "gene_id", "symbol", "perturbation", "tissue", "from_state", "to_state", "n", "mean_rank",
    "shift", "shift_to_goal", "null_median", "null_q95", "n_null", "p", "q",
]  # fmt: skip
CHANGES = {DELETED: without, FIRST: with_first}
# Training samples of a state, at most, whose mean code is where it lies; and samples at least.
MOST_OF_STATE, FEWEST = 200, 3
# Perturbed sentences at a time hold so many genes.
AT_A_TIME = 1 << 20


@dataclass(frozen=True)
class States:
    """What donors are of: the value of each, ``(n_donors,)``, and the two that there are."""

    of_donors: np.ndarray
    both: tuple

    def goal(self, state: object) -> object:
        """Return the other state."""
        return self.both[int(state == self.both[0])]


@dataclass(frozen=True)
class Way:
    """Held-out samples of one state, and the way from it to the other.

    Parameters
    ----------
    sentences
        ``(n, length + 1)`` at most.
    codes
        Theirs, ``(n, width)``.
    axis
        From the mean code of training samples of their state to that of the other, ``(width,)``,
        over its squared length: what a code moves along it is a share of the way.
    """

    sentences: np.ndarray
    codes: np.ndarray
    axis: np.ndarray

    def seen(self, encoder: Encoder) -> np.ndarray:
        """Return what the encoder is shown of the sentences."""
        return self.sentences[:, : encoder.places.num_embeddings]

    def shifts(self, encoder: Encoder, change, genes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return how far genes move samples, and how far towards the goal, and which they change.

        Returns
        -------
        np.ndarray
            Shape ``(n_genes, n, 2)``: 1 less the cosine of the codes before and after, and the
            share of the way. 0 where the encoder is shown the same sentence.
        np.ndarray
            Whether it is shown another one, shape ``(n_genes, n)``.
        """
        seen = self.seen(encoder)
        moved = np.zeros((len(genes), len(seen), 2))
        changed = np.zeros(moved.shape[:2], bool)
        step = max(1, AT_A_TIME // max(self.sentences.size, 1))
        for start in range(0, len(genes), step):
            some = slice(start, start + step)
            others = np.stack(
                [change(self.sentences, gene)[:, : seen.shape[1]] for gene in genes[some]]
            )
            changed[some] = (others != seen).any(2)
            before = np.nonzero(changed[some])[1]
            moved[some][changed[some]] = self._moved(codes(encoder, others[changed[some]]), before)
        return moved, changed

    def _moved(self, after: np.ndarray, before: np.ndarray) -> np.ndarray:
        """How far codes moved from those of samples `before`, ``(n, 2)``."""
        own = self.codes[before]
        lengths = np.linalg.norm(after, axis=1) * np.linalg.norm(own, axis=1)
        cosine = (after * own).sum(1) / np.where(lengths > 0, lengths, 1)
        return np.stack([1 - cosine, (after - own) @ self.axis], axis=1)


def perturb_genes(
    cohort: Cohort,
    folds: pd.Series,
    encoders: Mapping[int, str | Path],
    source: str,
    settings: Ranks,
    device: str,
) -> pd.DataFrame:
    """Perturb genes in held-out samples of each state, by the encoders of their folds.

    Parameters
    ----------
    cohort, folds, encoders, source, settings, device
        As of `mtm.analyses.ranks.score.score_ranks`.

    Returns
    -------
    pd.DataFrame
        One row a gene, perturbation, tissue and state; columns as in docs/contracts.md.

    Raises
    ------
    CannotDo
        The cohort has none of the genes, no such column, or too few samples of two states.
    """
    how, device = settings.perturbation, choose_device(device)
    genes, states = _genes(cohort, how.genes), _states(cohort, how.goal)
    tissues = how.tissues or (source,)
    most = max(how.samples // len(encoders), FEWEST)
    rng, found = np.random.default_rng(settings.seed), {}
    for number, path in sorted(encoders.items()):
        fold = Fold.of(cohort, folds, number)
        encoder = load_encoder(path, cohort, settings, device)
        for tissue in tissues:
            if tissue not in cohort.tissues:
                continue
            for state in states.both:
                rows = _rows(cohort, fold, tissue, states, state, most, rng)
                way = None if rows is None else _way(cohort, fold, encoder, rows, settings)
                if way is not None:
                    found.setdefault((tissue, state), []).append((encoder, way))
    tables = []
    for (tissue, state), ways in found.items():
        table = shifts_of(ways, genes, cohort.n_genes, how.null_genes)
        about = {
            "from_state": f"{how.goal} {state}",
            "to_state": f"{how.goal} {states.goal(state)}",
        }
        tables.append(table.assign(tissue=tissue, **about))
        log.info("%s, %s %s: %d genes", tissue, how.goal, state, len(genes))
    if not tables:
        reason = f"no tissue has {FEWEST} held-out samples of each {how.goal} in a fold"
        raise _cannot(reason, "name tissues that have (ranks.perturbation.tissues)")
    table = pd.concat(tables, ignore_index=True)
    table["gene_id"] = cohort.genes.index[table["gene"]]
    table["symbol"] = cohort.genes["symbol"].to_numpy()[table["gene"]]
    table["q"] = benjamini_hochberg(table["p"].to_numpy())
    return table[COLUMNS]


def shifts_of(
    ways: list[tuple[Encoder, Way]], genes: np.ndarray, n_genes: int, n_null: int
) -> pd.DataFrame:
    """Hold the shifts of genes against those of genes of nearest mean rank.

    Parameters
    ----------
    ways
        Encoder and samples of every fold.
    genes
        Positions of the genes to perturb.
    n_genes
        Of the cohort.
    n_null
        Genes of the null distribution, at most; none of `genes` is among them.

    Returns
    -------
    pd.DataFrame
        One row a gene and perturbation: ``gene``, ``perturbation`` and the numbers of `COLUMNS`.
        What changes no sentence is no test: its P is NaN, and it is in no null.
    """
    ranks = _mean_ranks([way.sentences for _, way in ways], n_genes)
    # A gene in one sentence stands near those in none, and any shift is beyond their 0.
    is_shown = np.zeros(n_genes, bool)
    for encoder, way in ways:
        seen = way.seen(encoder)
        is_shown[seen[seen != NO_GENE]] = True
    rows = []
    for name, change in CHANGES.items():
        others = np.setdiff1d(np.flatnonzero(is_shown | (name == FIRST)), genes)
        nulls = {
            gene: others[np.argsort(np.abs(ranks[others] - ranks[gene]), kind="stable")[:n_null]]
            for gene in genes
        }
        asked = np.unique(np.concatenate([genes, *nulls.values()]))
        parts = [way.shifts(encoder, change, asked) for encoder, way in ways]
        moved, changed = (np.concatenate(side, 1) for side in zip(*parts, strict=True))
        mean, is_tested = moved.mean(1), changed.any(1)
        for gene in genes:
            own, held = np.searchsorted(asked, gene), np.searchsorted(asked, nulls[gene])
            null = mean[held[is_tested[held]], 1]
            tested = len(null) and is_tested[own]
            rows.append(
                {
                    "gene": gene, "perturbation": name, "mean_rank": ranks[gene],
                    "n": sum(len(way.codes) for _, way in ways), "shift": mean[own, 0],
                    "shift_to_goal": mean[own, 1], "n_null": len(null),
                    "null_median": np.median(null) if len(null) else np.nan,
                    "null_q95": np.quantile(null, 0.95) if len(null) else np.nan,
                    "p": permutation_p(mean[own, 1], null) if tested else np.nan,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def _mean_ranks(sentences: list[np.ndarray], n_genes: int) -> np.ndarray:
    """Mean place of each gene, from 0 (first) to 1: last, or not in a sentence.

    So genes of like rank stand alike, and in as many sentences.
    """
    total, n = np.zeros(n_genes), sum(map(len, sentences))
    for part in sentences:
        there = part != NO_GENE
        places = np.arange(part.shape[1]) / np.maximum(there.sum(1, keepdims=True) - 1, 1)
        np.add.at(total, part[there], 1 - places[there])
    return 1 - total / max(n, 1)


def _rows(
    cohort: Cohort,
    fold: Fold,
    tissue: str,
    states: States,
    state: object,
    most: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Draw held-out samples of a state, training ones of it and of the other; None of too few."""
    here = cohort.tissue == cohort.tissue_index(tissue)
    of = states.of_donors[cohort.donor]
    found = []
    for rows, value, n in (
        (fold.out, state, most),
        (fold.train, state, MOST_OF_STATE),
        (fold.train, states.goal(state), MOST_OF_STATE),
    ):
        theirs = rows[here[rows] & (of[rows] == value)]
        found.append(np.sort(rng.permutation(theirs)[:n]))
    return None if min(map(len, found)) < FEWEST else tuple(found)


def _way(
    cohort: Cohort,
    fold: Fold,
    encoder: Encoder,
    rows: tuple[np.ndarray, np.ndarray, np.ndarray],
    settings: Ranks,
) -> Way:
    """Encode what `_rows` drew."""
    # Where a gene is taken out, the one beyond the end moves in.
    longer = settings.model_copy(update={"length": settings.length + 1})
    out, own, other = (fold.sentences(cohort, part, longer) for part in rows)
    axis = codes(encoder, other).mean(0) - codes(encoder, own).mean(0)
    return Way(out, codes(encoder, out), axis / (float(axis @ axis) or 1.0))


def _genes(cohort: Cohort, names: tuple[str, ...]) -> np.ndarray:
    """Positions of genes by id, with or without version, or symbol."""
    bare = cohort.genes.index.str.split(".").str[0]
    symbols = cohort.genes["symbol"].to_numpy()
    found = [
        np.flatnonzero((cohort.genes.index == name) | (bare == name) | (symbols == name))
        for name in names
    ]
    missing = [name for name, places in zip(names, found, strict=True) if not len(places)]
    if missing:
        log.warning("genes that the cohort lacks, not perturbed: %s", shown(missing))
    places = [int(p[0]) for p in found if len(p)]
    if not places:
        reason = f"the cohort has none of the genes {shown(list(names))}"
        raise _cannot(reason, "name genes that it has (ranks.perturbation.genes)")
    return np.array(sorted(set(places)))


def _states(cohort: Cohort, goal: str) -> States:
    """Find the two values of a column of donors."""
    column = cohort.donors[goal] if goal in cohort.donors else pd.Series(dtype=float)
    values = sorted(pd.unique(column.dropna()))
    if len(values) != 2:
        reason = f"donors have {len(values)} values of {shown(goal)}, not two"
        raise _cannot(reason, "name a column that has (ranks.perturbation.goal)")
    return States(column.to_numpy(), (values[0], values[1]))


def _cannot(reason: str, remedy: str) -> CannotDo:
    return CannotDo("ranks/perturbation", reason, remedy)
