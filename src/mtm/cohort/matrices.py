"""Expression files of any form (GCT 1.2, a wide table, CSV, h5ad), told by their suffix.

They are read as blocks of genes, so that memory depends on the block and never on the file.
"""

from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import numpy as np

from mtm.cohort.blocks import BLOCK_GENES, ExpressionHeader, GeneBlock
from mtm.cohort.delimited import CSV
from mtm.cohort.h5ad_matrices import iter_h5ad_blocks, read_h5ad_header
from mtm.cohort.text_matrices import iter_text_blocks, read_text_header
from mtm.errors import InputError

_FORMS = {
    "gct": (".gct", ".gct.gz"),
    "h5ad": (".h5ad",),
    "wide": (".tsv", ".txt", ".tsv.gz", ".txt.gz"),
    "csv": CSV,
}


def _form(path: Path) -> str:
    """Form of an expression file, by its suffix."""
    for form, suffixes in _FORMS.items():
        if path.name.lower().endswith(suffixes):
            return form
    raise InputError(
        path,
        f"a file name ending in {''.join(path.suffixes[-2:]) or 'nothing'}",
        f"an expression file: {', '.join(suffix for all_ in _FORMS.values() for suffix in all_)}",
    )


def read_expression_header(path: str | Path) -> ExpressionHeader:
    """Read the header of an expression file: GCT, h5ad or wide table, told by its suffix."""
    form = _form(Path(path))
    return read_h5ad_header(path) if form == "h5ad" else read_text_header(path, form)


def iter_expression_blocks(
    path: str | Path,
    columns: Sequence[int] | np.ndarray | None = None,
    *,
    keep: Callable[[str], bool] | None = None,
    block_genes: int = BLOCK_GENES,
    signed: bool = False,
) -> Generator[GeneBlock, None, None]:
    """Yield the genes of an expression file in blocks, told by its suffix.

    Parameters and errors are those of `mtm.cohort.text_matrices.iter_text_blocks`.
    """
    form = _form(Path(path))
    if form == "h5ad":
        return iter_h5ad_blocks(path, columns, keep=keep, block_genes=block_genes, signed=signed)
    return iter_text_blocks(path, form, columns, keep=keep, block_genes=block_genes, signed=signed)
