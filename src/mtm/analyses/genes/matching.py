"""Genes of a cohort and of other sources: which are the same, which have a value, which do not."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata.io import read_elem

from mtm.cohort.genes import gene_key
from mtm.errors import InputError

log = logging.getLogger(__name__)

MATCHED, DUPLICATED, UNMATCHED = "matched", "duplicated", "unmatched"


def cohort_genes(expression: str | Path) -> pd.DataFrame:
    """Genes of ``cohort/expression.h5ad``, indexed by gene id, with their ``symbol``."""
    if not Path(expression).exists():
        raise InputError(expression, "no such file", "an AnnData file (.h5ad)")
    with h5py.File(expression) as file:
        genes = read_elem(file["var"])
    return genes.set_index(genes.index.astype(str)).astype({"symbol": str})


def is_second_copy(gene_ids: Sequence[str]) -> np.ndarray:
    """Whether a gene stands here already: the PAR_Y copies of genes on X, shape ``(n_genes,)``."""
    keys = pd.DataFrame([gene_key(gene_id) for gene_id in gene_ids])
    return keys.sort_values("par_y", kind="stable").duplicated("stable_id").sort_index().to_numpy()


def gene_values(
    gene_ids: Sequence[str], values: Mapping[str, float], reason: str = "not in the file"
) -> pd.DataFrame:
    """Give the genes of a cohort their values.

    Second copies of pseudo-autosomal genes get none: they would count one gene twice.

    Parameters
    ----------
    gene_ids
        Genes of the cohort.
    values
        By stable gene id (without version); NaN where it is not known.
    reason
        Why a gene that is not in `values` has none.

    Returns
    -------
    pd.DataFrame
        ``gene_id``, ``value``, ``status`` ("matched", "duplicated", "unmatched"), ``reason``
        (empty where matched); one row a gene, in the order of `gene_ids`.
    """
    stable = pd.Series([gene_key(gene_id).stable_id for gene_id in gene_ids], dtype=object)
    known = pd.Series(values, dtype=float)
    second = is_second_copy(gene_ids)
    value = known.reindex(stable).to_numpy(float, copy=True)
    value[second] = np.nan
    table = pd.DataFrame({"gene_id": list(gene_ids), "value": value})
    table["status"] = np.where(np.isfinite(value), MATCHED, UNMATCHED)
    table["reason"] = np.where(np.isfinite(value), None, reason)
    table.loc[second, ["status", "reason"]] = [DUPLICATED, "second copy of a gene in the cohort"]
    return table


def matching_table(
    characteristic: str, genes: pd.DataFrame, further: Iterable[tuple[str, int, str]] = ()
) -> pd.DataFrame:
    """Count what became of the genes, and log it.

    Parameters
    ----------
    characteristic
        Name of the characteristic.
    genes
        From `gene_values`.
    further
        Counts to put first: step, number, what it means.

    Returns
    -------
    pd.DataFrame
        ``characteristic``, ``step``, ``n``, ``detail``; the steps "matched", "duplicated" and
        "unmatched" add up to "genes of the cohort".
    """
    counts = genes["status"].value_counts()
    reasons = genes.loc[genes["status"] == UNMATCHED, "reason"].value_counts()
    detail = {
        MATCHED: "genes with a value",
        DUPLICATED: "second copies (PAR_Y) of genes that are counted once",
        UNMATCHED: "; ".join(f"{n} {reason}" for reason, n in reasons.items()),
    }
    rows = [*further, ("genes of the cohort", len(genes), "")]
    rows += [(step, int(counts.get(step, 0)), text) for step, text in detail.items()]
    table = pd.DataFrame(rows, columns=["step", "n", "detail"])
    table.insert(0, "characteristic", characteristic)
    for row in table.itertuples(index=False):
        log.info("%s: %s %d %s", characteristic, row.step, row.n, row.detail and f"({row.detail})")
    return table
