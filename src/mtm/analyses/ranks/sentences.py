"""A sample as a sentence: its genes from the highest rank value on (methods 6.25)."""

import numpy as np

from mtm.cohort.cohort import Cohort
from mtm.cohort.ranks import deviations

# Stands where a sentence has ended.
NO_GENE = -1


def sentences_of(cohort: Cohort, rows: np.ndarray, medians: np.ndarray, length: int) -> np.ndarray:
    """Return genes of samples in the order of log2(1+TPM) less the tissue's median.

    Genes without a read (0 TPM) are not in it; of equal ones the first in the file comes first.

    Parameters
    ----------
    cohort, rows
        Samples `rows` of it.
    medians
        Of training samples, `mtm.cohort.ranks.tissue_medians`.
    length
        Genes at most.

    Returns
    -------
    np.ndarray
        Positions of genes, ``(n_rows, at most length)``, int32, `NO_GENE` at the end.
    """
    length = min(length, cohort.n_genes)
    found = np.empty((len(rows), length), np.int32)
    for place, row in enumerate(rows):
        expr_tpm = cohort.expr_tpm[row : row + 1]
        values = deviations(expr_tpm, cohort.tissue[row : row + 1], medians, cohort.measure)[0]
        there = np.isfinite(values)
        if cohort.measure == "tpm":
            there &= expr_tpm[0] > 0
        genes = np.flatnonzero(there)
        genes = genes[np.argsort(-values[genes], kind="stable")][:length]
        found[place] = NO_GENE
        found[place, : len(genes)] = genes
    return found


def without(sentences: np.ndarray, gene: int) -> np.ndarray:
    """Take a gene out: those after it move up."""
    order = np.argsort(sentences == gene, axis=1, kind="stable")
    moved = np.take_along_axis(sentences, order, axis=1)
    return np.where(moved == gene, np.int32(NO_GENE), moved)


def with_first(sentences: np.ndarray, gene: int) -> np.ndarray:
    """Put a gene first; where it was not in a full sentence, the last gene falls out."""
    rest = without(sentences, gene)
    first = np.full((len(rest), 1), gene, np.int32)
    return np.hstack([first, rest])[:, : sentences.shape[1]]
