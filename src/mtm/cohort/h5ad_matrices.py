"""Expression in AnnData files, as blocks of genes."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import scipy.sparse

from mtm.cohort.blocks import (
    BLOCK_GENES,
    SYMBOL_COLUMNS,
    ExpressionHeader,
    GeneBlock,
    checked_samples,
)
from mtm.cohort.genes import gene_key
from mtm.errors import InputError


@contextmanager
def _open_h5ad(path: Path) -> Iterator[anndata.AnnData]:
    """Open an h5ad without reading its X."""
    if not path.exists():
        raise InputError(path, "no such file", "an h5ad file")
    try:
        data = anndata.read_h5ad(path, backed="r")
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(path, f"an unreadable file ({error})", "an AnnData h5ad file") from error
    try:
        yield data
    finally:
        data.file.close()


def read_h5ad_header(path: str | Path) -> ExpressionHeader:
    """Read sample ids (obs index) and number of genes (var) of an h5ad file.

    Raises
    ------
    InputError
        No AnnData file; no X; a sample twice; ``uns["scale"]`` other than "tpm".
    """
    with _open_h5ad(Path(path)) as data:
        try:
            shape = data.X.shape
        except KeyError as error:
            expected = "expression in X, shape (n_samples, n_genes)"
            raise InputError(path, "no X", expected) from error
        scale = str(data.uns.get("scale", "tpm"))
        if scale != "tpm":
            raise InputError(f"{path}, uns['scale']", repr(scale), "'tpm'")
        sample_ids = checked_samples(f"{path}, obs index", list(data.obs_names.astype(str)))
        return ExpressionHeader(sample_ids, shape[1])


def iter_h5ad_blocks(
    path: str | Path,
    columns: Sequence[int] | np.ndarray | None = None,
    *,
    keep: Callable[[str], bool] | None = None,
    block_genes: int = BLOCK_GENES,
) -> Generator[GeneBlock, None, None]:
    """Yield the genes of an h5ad file in blocks, as `mtm.cohort.text_matrices.iter_text_blocks`.

    A dense X is read by blocks; a sparse one is held in memory, sparse, while its blocks are made.
    The symbol is var's ``symbol``, ``Description``, ``gene_name`` or ``gene_symbol``.
    """
    path = Path(path)
    sample_ids = read_h5ad_header(path).sample_ids
    with _open_h5ad(path) as data:
        gene_ids = np.asarray(data.var_names.astype(str))
        taken = slice(None) if columns is None else np.asarray(columns, dtype=np.int64)
        duplicated = pd.Series([gene_key(gene_id) for gene_id in gene_ids]).duplicated()
        if duplicated.any():
            raise InputError(
                f"{path}, var index",
                f"duplicate gene {gene_ids[duplicated.argmax()]}",
                "every gene once, whatever its version",
            )
        names = {str(column).lower(): column for column in data.var.columns}
        column = next((names[name] for name in SYMBOL_COLUMNS if name in names), None)
        symbols = gene_ids if column is None else np.asarray(data.var[column].astype(str))
        kept = np.array([keep is None or keep(gene_id) for gene_id in gene_ids], dtype=bool)
        matrix = data.X if isinstance(data.X, h5py.Dataset) else data.X.to_memory().tocsc()
        for start in range(0, len(gene_ids), block_genes):
            wanted = start + np.flatnonzero(kept[start : start + block_genes])
            if not len(wanted):
                continue
            block = matrix[:, start : start + block_genes]
            if scipy.sparse.issparse(block):
                block = block.toarray()
            block = block[:, wanted - start].astype(np.float32)
            bad = ~((block >= 0) & (block < np.inf))
            if bad.any():
                row, gene = np.argwhere(bad)[0]
                raise InputError(
                    f"{path}, X (gene {gene_ids[wanted[gene]]}, sample {sample_ids[row]})",
                    f"the value {block[row, gene]}",
                    "a finite number, 0 or more",
                )
            yield GeneBlock(
                list(gene_ids[wanted]),
                list(symbols[wanted]),
                np.ascontiguousarray(block[taken].T),
            )
