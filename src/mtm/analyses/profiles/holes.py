"""Kinds of genes by how many of their tissues are seen, and holes drawn in training genes."""

import numpy as np

# Nothing is seen, a third of the tissues at most, more, and all but a sixth.
NOTHING, LITTLE, MUCH, MOST = KINDS = range(4)
FEW = 6


def kind_of(seen: np.ndarray) -> np.ndarray:
    """Kind of each gene by its tissues seen, bool ``(n_genes, n_tissues)``."""
    n, n_tissues = seen.sum(1), seen.shape[1]
    limits = [n == 0, 3 * n <= n_tissues, FEW * (n_tissues - n) > n_tissues]
    return np.select(limits, [NOTHING, LITTLE, MUCH], MOST)


def draw_hidden(rng: np.random.Generator, centred: np.ndarray) -> np.ndarray:
    """Draw what to hide of genes: all, a number drawn evenly, and few tissues, of a third each.

    Returns
    -------
    np.ndarray
        Shape of `centred`, bool; True only where something was seen.
    """
    seen = np.isfinite(centred)
    n_genes, n_tissues = centred.shape
    some = rng.integers(1, n_tissues + 1, n_genes)
    few = rng.integers(1, max(n_tissues // FEW, 1) + 1, n_genes)
    which = rng.integers(0, 3, n_genes)
    return hide(rng, seen, np.choose(which, [np.full(n_genes, n_tissues), some, few]))


def hide(rng: np.random.Generator, seen: np.ndarray, n: np.ndarray | int) -> np.ndarray:
    """Draw `n` of the tissues seen of each gene, all where it has no more."""
    order = np.where(seen, rng.random(seen.shape), 2).argsort(1).argsort(1)
    return (order < np.reshape(n, (-1, 1))) & seen


def hide_to_kind(rng: np.random.Generator, seen: np.ndarray, kind: int) -> np.ndarray:
    """Draw what to hide of genes that they be of a kind, as far as enough of them is seen."""
    n_genes, n_tissues = seen.shape
    third, few = n_tissues // 3, max(n_tissues // FEW, 1)
    lowest, beyond = {
        NOTHING: (0, 1),
        LITTLE: (1, third + 1),
        MUCH: (third + 1, n_tissues - few),
        MOST: (n_tissues - few, n_tissues),
    }[kind]
    left = rng.integers(lowest, max(beyond, lowest + 1), n_genes)
    return hide(rng, seen, (seen.sum(1) - left).clip(min=0))
