"""Every gene in every tissue, as columns of small whole numbers.

A correlation over some hundred donors is known to 0.1: two decimals are what it is worth, and fit
into a byte. Bounds stand as distances from it, which repeat themselves and so pack well; from the
second model on they are differences from the first model's.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm.page.packing import pack_bytes, pack_json
from mtm.page.results import Results
from mtm.vocabulary import HEADLINE, RELIABILITY

# Characters that a gene in a tissue takes, for a model and for all of them (measured 3.1 and 1.1).
OF_MODEL, OF_ALL = 3.2, 1.3
MISSING = -128
EDGE = 99.9
PLANES = ("rho", "low", "high", "q", "class")
# A byte of the last plane: two bits of the class of reliability, and whether it is predictable.
PREDICTABLE = 4
# q values with one digit, from 1e-4 to 1; 0 is missing, 1 below that.
SMALLEST_Q = -4


def shown_models(results: Results, n_cells: int, room: float) -> list[str]:
    """Models whose genes the page holds, most wanted first, as many as fit and one at least.

    Parameters
    ----------
    results
        Of the run.
    n_cells
        Genes times tissues.
    room
        Characters that the page has for them.
    """
    wanted = [results.best(one_source=True), results.reference,
              results.config["comparison"]["roles"]["MTM"], results.best(one_source=False),
              *results.models]  # fmt: skip
    there = [name for name in dict.fromkeys(wanted) if name in results.models]
    return there[: max(1, int((room - OF_ALL * n_cells) / (OF_MODEL * max(1, n_cells))))]


def gene_blocks(
    results: Results, symbols: pd.Series, tissues: list[str], room: float
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
    room
        Characters that the page has for them.

    Returns
    -------
    list of str
        The models that are told.
    dict
        Packed blocks by name: ``genes``, ``expression``, and for the model of each number and
        every plane ``m0-rho``, shape ``(n_tissues, n_genes)`` a byte each.
    """
    genes = symbols.index
    models = shown_models(results, len(genes) * len(tissues), room)
    blocks = {"genes": pack_json(_gene_index(results, symbols))}
    level = results.table("gene_characteristics/genes/expression_level.parquet")
    if level is not None:
        tpm = _Grid.of(level, genes, tissues).of_column("value")
        tenths = np.round(10 * np.log2(1 + tpm))
        blocks["expression"] = pack_bytes(np.nan_to_num(tenths + 1).astype(np.uint8))
    first: dict[str, np.ndarray] = {}
    for number, model in enumerate(models):
        for plane, values in _planes(results, model, genes, tissues):
            values = values.view(np.uint8)
            stored = values - first[plane] if plane in first else values
            if not number and plane in ("rho", "low"):
                first[plane] = values
            blocks[f"m{number}-{plane}"] = pack_bytes(stored)
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


@dataclass(frozen=True)
class _Grid:
    """Where rows of a table stand in a grid of tissues and genes."""

    table: pd.DataFrame
    rows: np.ndarray
    columns: np.ndarray
    shape: tuple[int, int]

    @classmethod
    def of(cls, table: pd.DataFrame, genes: pd.Index, tissues: list[str]) -> "_Grid":
        """Find the place of every row; rows of other genes or tissues are left out."""
        rows = pd.Index(tissues).get_indexer(table["tissue"])
        columns = genes.get_indexer(table["gene_id"])
        known = (rows >= 0) & (columns >= 0)
        return cls(table[known], rows[known], columns[known], (len(tissues), len(genes)))

    def of_column(self, name: str) -> np.ndarray:
        """Values of a column, shape ``(n_tissues, n_genes)``, NaN where there is no row."""
        grid = np.full(self.shape, np.nan)
        grid[self.rows, self.columns] = self.table[name].to_numpy(float)
        return grid


def _planes(
    results: Results, model: str, genes: pd.Index, tissues: list[str]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each of `PLANES` of a model, shape ``(n_tissues, n_genes)``, a byte a value."""
    table = results.table(f"intervals/genes/{model}.parquet")
    ranks = {name: rank for rank, name in enumerate(RELIABILITY)}
    table = table.assign(rank=table["reliability"].astype(str).map(ranks).fillna(0))
    grid = _Grid.of(table, genes, tissues)
    rho, low, high = (
        np.round(100 * grid.of_column(name)) for name in ("rho", "ci_low", "ci_high")
    )
    yield "rho", np.where(np.isnan(rho), MISSING, rho).astype(np.int8)
    # 0 is missing.
    yield "low", np.nan_to_num(rho - low + 1).clip(0, 255).astype(np.uint8)
    unforeseen = high - mirrored(rho, low)
    yield "high", np.where(np.isnan(unforeseen), MISSING, unforeseen).astype(np.int8)
    yield "q", q_codes(grid.of_column("q"))
    of_genes = results.table(f"accuracy/gene_wise/{model}.parquet")
    of_genes = _Grid.of(of_genes[of_genes["scale"] == HEADLINE.scale], genes, tissues)
    predictable = of_genes.of_column(HEADLINE.definition) == 1
    reliability = np.nan_to_num(grid.of_column("rank")).astype(np.uint8)
    yield "class", reliability + np.uint8(PREDICTABLE) * predictable.astype(np.uint8)


def mirrored(rho: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Upper bound that lies as far from rho as the lower, in Fisher's z; hundredths throughout.

    Intervals are such, but for rounding: what is stored of the upper bound is how far it is off.
    Bounds at -1 and 1, where z has no value, stand a little inside.
    """
    inside = np.clip(rho, -EDGE, EDGE) / 100, np.clip(low, -EDGE, EDGE) / 100
    above = np.tanh(2 * np.arctanh(inside[0]) - np.arctanh(inside[1]))
    return np.floor(100 * above + 0.5)


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
