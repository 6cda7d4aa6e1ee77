"""Every gene in every tissue, as columns of small whole numbers.

A correlation over some hundred donors is known to 0.1: two decimals are what it is worth, and fit
into a byte. Bounds stand as distances from it, which repeat themselves and so pack well; from the
second model on they are differences from the first model's.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from mtm.page.packing import pack, pack_json
from mtm.page.results import Results
from mtm.vocabulary import HEADLINE, RELIABILITY

# Genes, tissues and models that fit beside the figures into 15 MB: four models of GTEx.
MAX_CELLS = 4_000_000
MISSING = -128
PLANES = ("rho", "low", "high", "q", "class")
# A byte of the last plane: two bits of the class of reliability, and whether it is predictable.
PREDICTABLE = 4
# q values with one digit, from 1e-4 to 1; 0 is missing, 1 below that.
SMALLEST_Q = -4


def shown_models(results: Results, n_cells: int) -> list[str]:
    """Models whose genes the page holds, most wanted first, as many as fit.

    Parameters
    ----------
    results
        Of the run.
    n_cells
        Genes times tissues.
    """
    wanted = [results.best(one_source=True), results.reference, results.best(one_source=False),
              results.config["comparison"]["roles"]["MTM"], *results.models]  # fmt: skip
    there = [name for name in dict.fromkeys(wanted) if name in results.models]
    return there[: max(2, MAX_CELLS // max(1, n_cells))]


def gene_blocks(
    results: Results, symbols: pd.Series, tissues: list[str]
) -> tuple[list[str], dict[str, str]]:
    """Pack genes and what is known of each in every tissue.

    Parameters
    ----------
    results
        Of the run.
    symbols
        Of every gene, indexed by gene id.
    tissues
        Targets, in the order of the columns.

    Returns
    -------
    list of str
        The models that are told.
    dict
        Packed blocks by name: ``genes``, ``expression``, and for the model of each number and
        every plane ``m0-rho``, shape ``(n_tissues, n_genes)`` a byte each.
    """
    genes = symbols.index
    models = shown_models(results, len(genes) * len(tissues))
    blocks = {"genes": pack_json(_gene_index(results, symbols))}
    level = results.table("gene_characteristics/genes/expression_level.parquet")
    if level is not None:
        tenths = np.round(10 * np.log2(1 + _grid(level, "value", genes, tissues)))
        blocks["expression"] = pack(np.nan_to_num(tenths + 1).astype(np.uint8).tobytes())
    first: dict[str, np.ndarray] = {}
    for number, model in enumerate(models):
        for plane, values in _planes(results, model, genes, tissues):
            values = values.view(np.uint8)
            stored = values - first[plane] if plane in first else values
            if not number and plane in ("rho", "low"):
                first[plane] = values
            blocks[f"m{number}-{plane}"] = pack(stored.tobytes())
    return models, blocks


def _gene_index(results: Results, symbols: pd.Series) -> dict[str, list]:
    """Ids, symbols, conservation and partners of every gene."""
    index = {"id": symbols.index.tolist(), "symbol": symbols.astype(str).tolist()}
    for name, digits in (("conservation", 2), ("connectivity", 0)):
        table = results.table(f"gene_characteristics/genes/{name}.tsv")
        if table is not None:
            values = table.set_index("gene_id")["value"].reindex(symbols.index)
            index[name] = [None if pd.isna(value) else round(value, digits) for value in values]
    return index


def _grid(table: pd.DataFrame, column: str, genes: pd.Index, tissues: list[str]) -> np.ndarray:
    """Values of a column, shape ``(n_tissues, n_genes)``, NaN where there is no row."""
    rows = pd.Index(tissues).get_indexer(table["tissue"])
    columns = genes.get_indexer(table["gene_id"])
    known = (rows >= 0) & (columns >= 0)
    grid = np.full((len(tissues), len(genes)), np.nan)
    grid[rows[known], columns[known]] = table[column].to_numpy(float)[known]
    return grid


def _planes(
    results: Results, model: str, genes: pd.Index, tissues: list[str]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each of `PLANES` of a model, shape ``(n_tissues, n_genes)``, a byte a value."""
    table = results.table(f"intervals/genes/{model}.parquet")
    rho, low, high = (
        np.round(100 * _grid(table, name, genes, tissues)) for name in ("rho", "ci_low", "ci_high")
    )
    yield "rho", np.where(np.isnan(rho), MISSING, rho).astype(np.int8)
    # 0 is missing.
    yield "low", np.nan_to_num(rho - low + 1).clip(0, 255).astype(np.uint8)
    yield "high", np.nan_to_num(high - rho + 1).clip(0, 255).astype(np.uint8)
    yield "q", q_codes(_grid(table, "q", genes, tissues))
    ranks = {name: rank for rank, name in enumerate(RELIABILITY)}
    table = table.assign(rank=table["reliability"].astype(str).map(ranks).fillna(0))
    reliability = np.nan_to_num(_grid(table, "rank", genes, tissues)).astype(np.uint8)
    of_genes = results.table(f"accuracy/gene_wise/{model}.parquet")
    of_genes = of_genes[of_genes["scale"] == HEADLINE.scale]
    predictable = _grid(of_genes, HEADLINE.definition, genes, tissues) == 1
    yield "class", reliability + np.uint8(PREDICTABLE) * predictable.astype(np.uint8)


def q_codes(q: np.ndarray) -> np.ndarray:
    """Write q values in a byte: 0 missing, 1 below 1e-4, then 1e-4, 2e-4, ... to 1.

    Parameters
    ----------
    q
        Any shape; NaN is missing.

    Returns
    -------
    np.ndarray
        uint8, the same shape.
    """
    known = np.nan_to_num(q, nan=1.0).clip(1e-9, 1)
    power = np.floor(np.log10(known) + 1e-12)
    digit = np.round(known / 10**power)
    codes = 2 + 9 * (power - SMALLEST_Q) + digit - 1
    codes = np.where(known < 10.0**SMALLEST_Q, 1, codes)
    return np.where(np.isnan(q), 0, codes).astype(np.uint8)
