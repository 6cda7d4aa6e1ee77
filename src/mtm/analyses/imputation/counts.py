"""Read counts of the samples, and their zeros beside a negative binomial's (methods 6.24)."""

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
from mtm.vocabulary import ALL_TISSUES

LARGEST = 2**24
# Counts of a gene and tissue with a lower mean are 0 for want of reads.
EXPRESSED = 1.0
# Zeros beyond those expected are inflation from this share of all counts on.
LEAST_INFLATED = 0.001
COLUMNS = ["tissue", "n_values", "n_genes", "zeros", "expected", "expected_sd"]


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


def count_zeros(counts: np.ndarray, cohort: Cohort) -> pd.DataFrame:
    """Compare zeros with those of negative binomials fitted gene by gene and tissue by tissue.

    Means are the tissue's mean TPM times each sample's exposure; dispersions are by moments.
    Genes whose mean count in the tissue is below `EXPRESSED` are left out.

    Returns
    -------
    pd.DataFrame
        One row a ``tissue`` and one of all: ``n_values``, ``n_genes``, ``zeros`` (observed),
        ``expected`` and ``expected_sd`` (by the negative binomials).
    """
    depth, length = exposures(counts, cohort.expr_tpm, np.ones(len(counts), bool))
    rows = []
    for index, tissue in enumerate(cohort.tissues):
        members = np.flatnonzero(cohort.tissue == index)
        used = counts[members].mean(0) >= EXPRESSED
        if not used.any():
            continue
        found = counts[np.ix_(members, used)].astype(np.float64)
        exposure = depth[members][:, None] * length[used].astype(np.float64)
        mean = exposure * (found.sum(0) / exposure.sum(0))
        dispersion = (((found - mean) ** 2 - mean).sum(0) / (mean**2).sum(0)).clip(1e-6)
        chance = np.exp(-np.log1p(dispersion * mean) / dispersion)
        rows.append(
            {
                "tissue": tissue,
                "n_values": found.size,
                "n_genes": int(used.sum()),
                "zeros": int((found == 0).sum()),
                "expected": chance.sum(),
                "expected_sd": (chance * (1 - chance)).sum() ** 0.5,
            }
        )
    table = pd.DataFrame(rows, columns=COLUMNS)
    of_all = table[["n_values", "zeros", "expected"]].sum().to_dict()
    of_all |= {"tissue": ALL_TISSUES, "n_genes": table["n_genes"].max() if len(table) else 0}
    of_all["expected_sd"] = (table["expected_sd"] ** 2).sum() ** 0.5
    table.loc[len(table)] = of_all
    return table.astype({"n_values": int, "n_genes": int, "zeros": int})


def say_zeros(zeros: pd.DataFrame) -> str:
    """Say whether counts have more zeros than `count_zeros` expects."""
    row = zeros[zeros["tissue"] == ALL_TISSUES].iloc[0]
    more = row["zeros"] - row["expected"]
    inflated = more > 3 * row["expected_sd"] and more > LEAST_INFLATED * row["n_values"]
    verdict = "zero inflation" if inflated else "no zero inflation"
    return (
        f"{verdict}: {row['zeros']} of {row['n_values']} counts are 0, "
        f"{row['expected']:.0f} by negative binomials"
    )
