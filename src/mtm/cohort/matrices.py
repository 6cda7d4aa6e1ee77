"""Expression files of any form (GCT 1.2, a wide table, h5ad), told by their suffix.

They are read as blocks of genes, so that memory depends on the block and never on the file.
"""

from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import numpy as np

from mtm.cohort.blocks import BLOCK_GENES, ExpressionHeader, GeneBlock
from mtm.cohort.h5ad_matrices import iter_h5ad_blocks, read_h5ad_header
from mtm.cohort.text_matrices import (
    iter_gct_blocks,
    iter_wide_blocks,
    read_gct_header,
    read_wide_header,
)
from mtm.errors import InputError

_TABLE_SUFFIXES = (".tsv", ".txt", ".tsv.gz", ".txt.gz")


def _readers(path: Path) -> tuple[Callable, Callable]:
    """Header reader and block reader of an expression file, by its suffix."""
    name = path.name.lower()
    if name.endswith((".gct", ".gct.gz")):
        return read_gct_header, iter_gct_blocks
    if name.endswith(".h5ad"):
        return read_h5ad_header, iter_h5ad_blocks
    if name.endswith(_TABLE_SUFFIXES):
        return read_wide_header, iter_wide_blocks
    raise InputError(
        path,
        f"a file name ending in {''.join(path.suffixes[-2:]) or 'nothing'}",
        "an expression file: .gct, .gct.gz, .h5ad, .tsv, .tsv.gz, .txt or .txt.gz",
    )


def read_expression_header(path: str | Path) -> ExpressionHeader:
    """Read the header of an expression file: GCT, h5ad or wide table, told by its suffix."""
    read_header, _ = _readers(Path(path))
    return read_header(path)


def iter_expression_blocks(
    path: str | Path,
    columns: Sequence[int] | np.ndarray | None = None,
    *,
    keep: Callable[[str], bool] | None = None,
    block_genes: int = BLOCK_GENES,
) -> Generator[GeneBlock, None, None]:
    """Yield the genes of an expression file in blocks, told by its suffix.

    Parameters and errors are those of `mtm.cohort.text_matrices.iter_gct_blocks`.
    """
    _, iter_blocks = _readers(Path(path))
    return iter_blocks(path, columns, keep=keep, block_genes=block_genes)
