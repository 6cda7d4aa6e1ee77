"""What tells a masked gene without any network: how often genes stand in sentences."""

import numpy as np

from mtm.analyses.ranks.sentences import NO_GENE

# Parts of a sentence that a gene's place is told by.
PARTS = 20


def counted_losses(
    train: np.ndarray, sentences: np.ndarray, masks: np.ndarray, n_genes: int, n_parts: int
) -> np.ndarray:
    """Minus log probability of masked genes by their frequency, over the genes not shown.

    Parameters
    ----------
    train
        Sentences that are counted, ``(n_train, length)``; every gene once besides.
    sentences, masks
        Sentences, and which of their genes are masked, ``(n, length)``.
    n_genes
        Genes that there are.
    n_parts
        Parts of a sentence that are counted by themselves; 1 counts all places together.

    Returns
    -------
    np.ndarray
        Shape ``(n_masked,)``, sentence by sentence.
    """
    there = train != NO_GENE
    weights = np.ones((n_parts, n_genes))
    np.add.at(weights, (part_of(train, n_parts)[there], train[there]), 1)
    part, losses = part_of(sentences, n_parts), []
    for sentence, mask, parts in zip(sentences, masks, part, strict=True):
        visible = sentence[~mask & (sentence != NO_GENE)]
        hidden = weights.sum(1) - weights[:, visible].sum(1)
        chosen = parts[mask]
        losses.append(np.log(hidden[chosen] / weights[chosen, sentence[mask]]))
    return np.concatenate([np.empty(0), *losses])


def part_of(sentences: np.ndarray, n_parts: int) -> np.ndarray:
    """Part of its sentence that each place is in, 0 to `n_parts` - 1."""
    lengths = np.maximum((sentences != NO_GENE).sum(1, keepdims=True), 1)
    parts = np.arange(sentences.shape[1]) * n_parts // lengths
    return np.minimum(parts, n_parts - 1)
