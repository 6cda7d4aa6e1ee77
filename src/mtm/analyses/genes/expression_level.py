"""Expression level of genes: mean TPM in each tissue (He et al. 2023, Fig S10; methods 3)."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata.io import read_elem

from mtm.analyses.genes.matching import gene_values, is_second_copy
from mtm.cohort.genes import gene_key
from mtm.errors import NO_TPM, CannotDo, InputError

BLOCK_SAMPLES = 512


def mean_expression(
    expression: str | Path, block_samples: int = BLOCK_SAMPLES
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Average every gene over the samples of each tissue.

    The file is read once, in blocks of samples.

    Parameters
    ----------
    expression
        ``cohort/expression.h5ad`` (docs/contracts.md), TPM.
    block_samples
        Samples read at a time.

    Returns
    -------
    pd.DataFrame
        ``tissue``, ``gene_id``, ``value`` (mean TPM, NaN for second copies of genes),
        ``n_samples``.
    pd.DataFrame
        Genes as from `mtm.analyses.genes.matching.gene_values`, with the mean over tissues.

    Raises
    ------
    InputError
        The file is missing or lacks the column ``tissue``.
    """
    path = Path(expression)
    if not path.exists():
        raise InputError(path, "no such file", "an AnnData file (.h5ad)")
    with h5py.File(path) as file:
        obs, gene_ids = read_elem(file["obs"]), read_elem(file["var"]).index.astype(str)
        _demand_tpm(file)
        if "tissue" not in obs:
            raise InputError(path, f"obs columns {list(obs)}", "a column tissue")
        tissues, code = np.unique(obs["tissue"].astype(str), return_inverse=True)
        sums = np.zeros((len(tissues), len(gene_ids)))
        for start in range(0, len(obs), block_samples):
            rows = slice(start, start + block_samples)
            member = np.arange(len(tissues))[:, None] == code[rows]
            sums += member.astype(float) @ file["X"][rows].astype(float)
    n_samples = np.bincount(code, minlength=len(tissues))
    mean_tpm = sums / n_samples[:, None]
    second = is_second_copy(gene_ids)
    over_tissues = mean_tpm.mean(0)
    genes = gene_values(
        gene_ids,
        {gene_key(gene_ids[i]).stable_id: over_tissues[i] for i in np.flatnonzero(~second)},
    )
    mean_tpm[:, second] = np.nan
    table = pd.DataFrame(
        {
            "tissue": np.repeat(tissues, len(gene_ids)),
            "gene_id": np.tile(gene_ids, len(tissues)),
            "value": mean_tpm.ravel(),
            "n_samples": np.repeat(n_samples, len(gene_ids)),
        }
    )
    return table, genes


def _demand_tpm(file: h5py.File) -> None:
    """Say that this cannot be done where expression is on a scale of its own."""
    uns = read_elem(file["uns"]) if "uns" in file else {}
    if str(uns.get("scale", "tpm")) != "tpm":
        raise CannotDo("genes and their expression level", *NO_TPM)
