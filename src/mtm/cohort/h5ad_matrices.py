"""Expression in AnnData files, which may come from anybody, as blocks of genes.

What a file declares is held against what it stores before any of it is read: its parts may claim
sizes that no memory has, and indices beyond their ends, which libraries follow without a look.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import h5py
import numpy as np
import pandas as pd
import scipy.sparse
from anndata.io import read_elem

from mtm.cohort.blocks import (
    BLOCK_GENES,
    ExpressionHeader,
    GeneBlock,
    checked_samples,
    demand_gene,
    duplicate_gene,
    is_reads_of_no_gene,
    symbol_column,
    warn_of_reads_of_no_gene,
)
from mtm.cohort.genes import gene_key
from mtm.errors import InputError
from mtm.io import full_disk, require_file
from mtm.vocabulary import Measure

# What deflate makes of equal bytes.
LARGEST_RATIO = 1100
# Of a chunk that is stored whole though little of it is used.
SLACK_BYTES = 1 << 24
SPARSE = {"csr_matrix": 0, "csc_matrix": 1}
EXPECTED = "an AnnData h5ad file"


@contextmanager
def _open(path: Path) -> Iterator[h5py.File]:
    """Open an h5ad; whatever goes wrong in what it holds is one error that names it."""
    require_file(path, EXPECTED)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    except Exception as error:  # Of any part of HDF5 or AnnData: the file is anybody's.
        said = " ".join(str(error).split())[:300]
        raise full_disk(error, path.parent) or InputError(
            path, f"an unreadable file ({type(error).__name__}: {said})", EXPECTED
        ) from error


def _part(path: Path, group: h5py.Group, name: str, kind: type, expected: str):
    """Return a part of the file that is there, of its kind, and in this file."""
    where = f"{path}, {group.name.strip('/')}/{name}".replace(", /", ", ")
    link = group.get(name, getlink=True)
    if link is None:
        raise InputError(where, f"no {name}", expected)
    if isinstance(link, h5py.ExternalLink):
        raise InputError(where, f"a link to {link.filename!r}", "content of the file itself")
    part = group.get(name)
    if not isinstance(part, kind):
        raise InputError(where, f"a {type(part).__name__.lower()}", expected)
    if isinstance(part, h5py.Dataset):
        _demand_stored(where, part)
    return part


def _demand_stored(where: str, data: h5py.Dataset) -> None:
    """Refuse a dataset that declares more than the file can hold of it."""
    if data.is_virtual or data.external:
        raise InputError(where, "content of other files", "content of the file itself")
    declared, stored = data.size * data.dtype.itemsize, data.id.get_storage_size()
    # A scalar or a tiny dataset may stand in its header.
    most = LARGEST_RATIO * stored if data.compression else stored
    if declared > most + (SLACK_BYTES if data.compression else 4096):
        raise InputError(
            where,
            f"{declared:,} bytes declared ({' x '.join(map(str, data.shape))}) and {stored:,} "
            "stored",
            "what it declares",
        )


def _demand_numbers(where: str, data: h5py.Dataset, n_dimensions: int, kinds: str = "fiu") -> None:
    """Refuse a dataset that is no array of numbers."""
    if data.dtype.kind not in kinds or data.ndim != n_dimensions:
        raise InputError(
            where,
            f"an array of {data.dtype} in {data.ndim} dimensions",
            f"an array of {'whole ' * ('f' not in kinds)}numbers in {n_dimensions} dimensions",
        )


@dataclass(frozen=True)
class _Matrix:
    """X of a file: a dense dataset, or the three parts of a sparse one, all checked."""

    shape: tuple[int, int]
    dense: h5py.Dataset | None = None
    sparse: h5py.Group | None = None
    major: int = 0

    def columns(self) -> Callable[[slice], np.ndarray]:
        """Return the function that reads genes, shape ``(n_samples, n_block_genes)``."""
        if self.dense is not None:
            return lambda genes: self.dense[:, genes]
        make = (scipy.sparse.csr_matrix, scipy.sparse.csc_matrix)[self.major]
        parts = tuple(self.sparse[name][()] for name in ("data", "indices", "indptr"))
        matrix = make(parts, shape=self.shape).tocsc()
        return lambda genes: matrix[:, genes].toarray()


def _matrix(path: Path, file: h5py.File) -> _Matrix:
    """Return X, its declarations held against what is there."""
    expected = "expression in X, shape (n_samples, n_genes)"
    if file.get("X", getlink=True) is None:
        hint = "Layers and raw are not read: let one be X (data.X = data.layers['tpm'])."
        raise InputError(f"{path}, X", "no X", expected, hint)
    data = _part(path, file, "X", (h5py.Dataset, h5py.Group), expected)
    if isinstance(data, h5py.Dataset):
        _demand_numbers(f"{path}, X", data, 2)
        return _Matrix(data.shape, dense=data)
    kind = data.attrs.get("encoding-type")
    if kind not in SPARSE:
        raise InputError(f"{path}, X", f"the encoding {kind!r}", "a dense array, csr or csc")
    shape = tuple(int(n) for n in np.ravel(data.attrs.get("shape", ())))
    if len(shape) != 2 or min(shape) < 0 or max(shape) >= 2**31:
        raise InputError(f"{path}, X", f"the shape {shape}", "(n_samples, n_genes)")
    parts = {name: _part(path, data, name, h5py.Dataset, expected) for name in _SPARSE_PARTS}
    for name, kinds in _SPARSE_PARTS.items():
        _demand_numbers(f"{path}, X/{name}", parts[name], 1, kinds)
    major = SPARSE[kind]
    n_stored = len(parts["indices"])
    lengths = {"indptr": shape[major] + 1, "data": n_stored}
    for name, wanted in lengths.items():
        if len(parts[name]) != wanted:
            raise InputError(f"{path}, X/{name}", f"{len(parts[name])} numbers", f"{wanted}")
    starts = parts["indptr"][()].astype(np.int64)
    if starts[0] != 0 or starts[-1] != n_stored or (np.diff(starts) < 0).any():
        raise InputError(
            f"{path}, X/indptr",
            "numbers that do not rise",
            f"numbers from 0 to {n_stored} that do",
        )
    _demand_indices(f"{path}, X/indices", parts["indices"], shape[1 - major], starts)
    return _Matrix(shape, sparse=data, major=major)


_SPARSE_PARTS = {"data": "fiu", "indices": "iu", "indptr": "iu"}


def _demand_indices(where: str, data: h5py.Dataset, n: int, starts: np.ndarray) -> None:
    """Refuse indices beyond the matrix, or one that stands twice in a row or column."""
    indices = data[()].astype(np.int64)
    if len(indices) and not (indices.min() >= 0 and indices.max() < n):
        raise InputError(
            where, f"indices from {indices.min()} to {indices.max()}", f"indices from 0 to {n - 1}"
        )
    cell = np.repeat(np.arange(len(starts) - 1), np.diff(starts)) * max(n, 1) + indices
    # Most files have them in order, which needs no sorting to tell.
    if not (np.diff(cell) > 0).all() and len(np.unique(cell)) < len(cell):
        raise InputError(where, "two values of one sample and gene", "one")


def _names(path: Path, file: h5py.File, table: str, n: int) -> pd.Index:
    """Index of obs or var, which must be as long as X."""
    expected = f"the table {table} of an AnnData file of version 0.7 or later"
    group = _part(path, file, table, h5py.Group, expected)
    column = group.attrs.get("_index", "_index")
    if not isinstance(column, str):
        raise InputError(f"{path}, {table}", "no name of its index", expected)
    names = pd.Index(_texts(path, group, column))
    if names.shape != (n,):
        raise InputError(f"{path}, {table} index", f"{len(names)} names", f"{n}, as X")
    return names


def _texts(path: Path, group: h5py.Group, column: str) -> np.ndarray:
    """Column of obs or var as text, "" where missing; categories are a group of two arrays."""
    kinds = (h5py.Dataset, h5py.Group)
    data = _part(path, group, column, kinds, "a column of text")
    if isinstance(data, h5py.Group):
        for name in data:
            _part(path, data, name, h5py.Dataset, "an array")
    texts = np.asarray(read_elem(data))
    if texts.ndim != 1:
        raise InputError(f"{path}, {group.name}/{column}", f"shape {texts.shape}", "one a row")
    return np.where(pd.isna(texts), "", texts.astype(str))


def _header(path: Path, file: h5py.File) -> tuple[ExpressionHeader, _Matrix]:
    """Header and X of an open file."""
    matrix = _matrix(path, file)
    sample_ids = checked_samples(
        f"{path}, obs index", list(_names(path, file, "obs", matrix.shape[0]))
    )
    if "uns" in file and "scale" in file["uns"]:
        scale = str(read_elem(_part(path, file["uns"], "scale", h5py.Dataset, "'tpm'")))
        if scale not in get_args(Measure):
            raise InputError(f"{path}, uns['scale']", repr(scale), "'tpm' or 'own'")
    return ExpressionHeader(sample_ids, matrix.shape[1]), matrix


def read_h5ad_header(path: str | Path) -> ExpressionHeader:
    """Read sample ids (obs index) and number of genes (var) of an h5ad file.

    Raises
    ------
    InputError
        No AnnData file; no X; a sample twice; ``uns["scale"]`` other than "tpm" or "own"; parts
        that are not what they declare.
    """
    path = Path(path)
    with _open(path) as file:
        return _header(path, file)[0]


def read_h5ad_columns(path: str | Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Read those columns of obs that are there, as text, one value a sample.

    Raises
    ------
    InputError
        As `read_h5ad_header`.
    """
    path = Path(path)
    with _open(path) as file:
        header, _ = _header(path, file)
        columns = {name: _texts(path, file["obs"], name) for name in names if name in file["obs"]}
        for name, texts in columns.items():
            if len(texts) != len(header.sample_ids):
                raise InputError(
                    f"{path}, obs/{name}", f"{len(texts)} values", f"{len(header.sample_ids)}"
                )
        return columns


def _genes(path: Path, file: h5py.File, n_genes: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids and symbols of the genes."""
    gene_ids = _names(path, file, "var", n_genes)
    duplicated = pd.Series([gene_key(gene_id) for gene_id in gene_ids]).duplicated()
    if duplicated.any():
        raise duplicate_gene(f"{path}, var index", gene_ids[duplicated.argmax()])
    if (gene_ids == "").any():
        raise InputError(f"{path}, var index", "an empty name", "a gene id")
    for gene_id in gene_ids:
        demand_gene(f"{path}, var index", gene_id)
    column = symbol_column(name for name in file["var"] if file["var"].attrs.get("_index") != name)
    if column is None:
        return gene_ids.to_numpy(), gene_ids.to_numpy()
    symbols = _texts(path, file["var"], column)
    if symbols.shape != (n_genes,):
        raise InputError(f"{path}, var/{column}", f"{len(symbols)} symbols", f"{n_genes}, as X")
    return gene_ids.to_numpy(), symbols


def iter_h5ad_blocks(
    path: str | Path,
    columns: Sequence[int] | np.ndarray | None = None,
    *,
    keep: Callable[[str], bool] | None = None,
    block_genes: int = BLOCK_GENES,
    signed: bool = False,
) -> Generator[GeneBlock, None, None]:
    """Yield the genes of an h5ad file in blocks, as `mtm.cohort.text_matrices.iter_text_blocks`.

    A dense X is read by blocks; a sparse one is held in memory, sparse, while its blocks are made.
    The symbol is var's ``symbol``, ``gene_name`` or the like (`mtm.cohort.blocks.symbol_column`).
    """
    path = Path(path)
    with _open(path) as file:
        header, matrix = _header(path, file)
        gene_ids, symbols = _genes(path, file, matrix.shape[1])
        taken = slice(None) if columns is None else np.asarray(columns, dtype=np.int64)
        of_no_gene = [gene_id for gene_id in gene_ids if is_reads_of_no_gene(gene_id)]
        warn_of_reads_of_no_gene(path, of_no_gene)
        kept = np.array(
            [
                not is_reads_of_no_gene(gene_id) and (keep is None or keep(gene_id))
                for gene_id in gene_ids
            ],
            dtype=bool,
        )
        read = matrix.columns()
        for start in range(0, len(gene_ids), block_genes):
            wanted = start + np.flatnonzero(kept[start : start + block_genes])
            if not len(wanted):
                continue
            block = read(slice(start, start + block_genes))
            # Counted up to float32's end, which it is brought to.
            with np.errstate(over="ignore"):
                block = block[:, wanted - start].astype(np.float32)
            bad = ~(np.isfinite(block) & ((block >= 0) | signed))
            if bad.any():
                row, gene = np.argwhere(bad)[0]
                raise InputError(
                    f"{path}, X (gene {gene_ids[wanted[gene]]}, sample {header.sample_ids[row]})",
                    f"the value {block[row, gene]}",
                    "a finite number" if signed else "a finite number, 0 or more",
                )
            yield GeneBlock(
                list(gene_ids[wanted]),
                list(symbols[wanted]),
                np.ascontiguousarray(block[taken].T),
            )
