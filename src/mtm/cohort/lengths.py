"""Lengths of genes, by which counts become TPM: which genes have one, and whether most do."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from mtm.cohort.genes import GeneKey, gene_key
from mtm.errors import InputError

logger = logging.getLogger(__name__)

# Of a file of counts, the share of genes without a length beyond which something is amiss.
MOST_WITHOUT = 0.5


def warn_of_lengths(
    gene_model: object, expression: object, n_without: int, n_genes: int, lost: float = 0.0
) -> None:
    """Warn where most genes of a file of counts, or most counts, are of no gene of the model.

    Parameters
    ----------
    n_without, n_genes
        Genes of `expression` without a length, and all of them.
    lost
        Share of all counts that are theirs.

    Raises
    ------
    InputError
        No gene has a length.
    """
    if n_without == n_genes:
        raise InputError(
            gene_model,
            "none of the genes of the expression file",
            "exons of these genes, for their lengths",
            "Without a gene model counts become CPM.",
        )
    if max(n_without / max(n_genes, 1), lost) > MOST_WITHOUT:
        logger.warning(
            "%s: %d of %d genes of %s%s are not in it and have no length: they are left out, and "
            "TPM are made of the others alone. Is it of the same release and kind of gene ids?",
            gene_model, n_without, n_genes, expression,
            f", with {100 * lost:.0f} % of its counts," if lost else "",
        )  # fmt: skip


def lengths_of(gene_ids: Sequence[str], lengths: Mapping[GeneKey, int]) -> np.ndarray:
    """Lengths of genes, NaN where they are not known."""
    return np.array([lengths.get(gene_key(gene_id), np.nan) for gene_id in gene_ids])
