"""Read counts of the samples, and what a TPM is in them (methods 6.24)."""

from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.cohort.blocks import GeneBlock
from mtm.cohort.cohort import Cohort
from mtm.cohort.matrices import iter_expression_blocks, read_expression_header
from mtm.errors import InputError, shown

LARGEST = 2**24


def read_counts(path: str | Path, cohort: Cohort) -> np.ndarray:
    """Read counts of the cohort's samples and genes, in its order.

    Parameters
    ----------
    path
        An expression file of any form, by the sample and gene ids of the cohort's own.
    cohort
        The cohort.

    Returns
    -------
    np.ndarray
        Shape ``(n_samples, n_genes)``, float32.

    Raises
    ------
    InputError
        A sample or gene is not there, or a value is no whole number that float32 holds.
    """
    names = pd.Index(read_expression_header(path).sample_ids)
    columns = names.get_indexer(cohort.samples.index.astype(str))
    _demand(path, "column", cohort.samples.index[columns < 0], "sample", cohort.n_samples)
    counts = np.empty((cohort.n_samples, cohort.n_genes), np.float32)
    missing = np.ones(cohort.n_genes, bool)
    genes = cohort.genes.index
    for block in iter_expression_blocks(path, columns, keep=genes.__contains__):
        _demand_whole(path, block, cohort.samples.index)
        places = genes.get_indexer(block.gene_ids)
        counts[:, places], missing[places] = block.expr_tpm.T, False
    _demand(path, "row", genes[missing], "gene", cohort.n_genes)
    return counts


def check_counts(path: str | Path) -> None:
    """Refuse a file whose first genes have values that are no counts."""
    names = read_expression_header(path).sample_ids
    with closing(iter_expression_blocks(path, block_genes=64)) as blocks:
        for block in islice(blocks, 1):
            _demand_whole(path, block, names)


def _demand_whole(path: str | Path, block: GeneBlock, sample_ids: Sequence[str]) -> None:
    """Refuse values that are no whole numbers which float32 holds."""
    whole = (block.expr_tpm % 1 == 0) & (block.expr_tpm <= LARGEST)
    if not whole.all():
        gene, sample = np.argwhere(~whole)[0]
        raise InputError(
            f"{path}, gene {shown(block.gene_ids[gene])}, sample {shown(str(sample_ids[sample]))}",
            f"{block.expr_tpm[gene, sample]:.10g}",
            f"read counts: whole numbers, at most {LARGEST}",
            "A negative binomial is of counts. TPM and expected counts are none; these may be "
            "rounded. Or leave nb and zinb out of imputation.methods.",
        )


def _demand(path: str | Path, what: str, missing: pd.Index, kind: str, n: int) -> None:
    """Refuse a file that lacks some of the cohort's samples or genes."""
    if len(missing):
        raise InputError(
            path,
            f"no {what} for {len(missing)} of the cohort's {n} {kind}s, "
            f"first {shown(str(missing[0]))}",
            f"counts of every {kind} of the cohort, by its ids",
        )


def exposures(
    counts: np.ndarray, expr_tpm: np.ndarray, train: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what a TPM is in counts: ``of_sample[:, None] * of_gene``.

    Medians of logarithms where both are above 0: over training samples for a gene (its length),
    then over genes for a sample (its depth).

    Parameters
    ----------
    counts, expr_tpm
        Shape ``(n_samples, n_genes)``.
    train
        Which samples are training donors', shape ``(n_samples,)``.

    Returns
    -------
    np.ndarray, np.ndarray
        Shape ``(n_samples,)`` and ``(n_genes,)``, float32.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where((counts > 0) & (expr_tpm > 0), np.log(counts / expr_tpm), np.nan)
    ratio = ratio.astype(np.float32)
    depth = _medians(ratio, 1)
    length = _medians(ratio[train] - depth[train, None], 0)
    depth = _medians(ratio - length, 1)
    return np.exp(depth), np.exp(length)


def _medians(values: np.ndarray, axis: int) -> np.ndarray:
    """Medians of what is known, 0 where nothing is."""
    medians = np.zeros(values.shape[1 - axis], np.float32)
    known = ~np.isnan(values).all(axis)
    medians[known] = np.nanmedian(np.compress(known, values, 1 - axis), axis)
    return medians
