"""Strict readers of GTEx's own file formats, plain or gzipped.

Expression (GCT 1.2, a wide table, or h5ad) is read as blocks of genes, so that memory depends on
the block and never on the file. Gzip is inflated in a thread of its own, ahead of the parser.
"""

import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import anndata
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse

from mtm.cohort.genes import GeneKey, gene_key
from mtm.cohort.lines import _lines, _readable
from mtm.errors import InputError

BLOCK_GENES = 512


_ROWS_A_PARSE = 8


_LARGEST = float(np.finfo(np.float32).max)


_NUMBER = re.compile(rb"-?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


_SYMBOL_COLUMNS = ("symbol", "description", "gene_name", "gene_symbol")


_TABLE_SUFFIXES = (".tsv", ".txt", ".tsv.gz", ".txt.gz")


@dataclass(frozen=True)
class ExpressionHeader:
    """What stands before the first value of an expression file.

    Parameters
    ----------
    sample_ids
        One a column of values (h5ad: one a row), in the order of the file.
    n_genes
        Number of genes the file declares; None where its format declares none.
    gene_column
        Position of the gene id among the fields of a row.
    symbol_column
        Position of the gene symbol; None where the file has none.
    """

    sample_ids: tuple[str, ...]
    n_genes: int | None
    gene_column: int = 0
    symbol_column: int | None = None

    @property
    def n_leading(self) -> int:
        """Number of fields before the first value of a row."""
        return 1 + max(self.gene_column, -1 if self.symbol_column is None else self.symbol_column)


@dataclass(frozen=True)
class GeneBlock:
    """Some genes of an expression file.

    Parameters
    ----------
    gene_ids, symbols
        One a gene; a file without symbols repeats the gene id.
    expr_tpm
        Shape ``(n_block_genes, n_selected_samples)``, float32, in the unit of the file.
    """

    gene_ids: list[str]
    symbols: list[str]
    expr_tpm: np.ndarray


def _fields(path: Path, line: bytes) -> list[str]:
    """Split a header line into text fields."""
    with _readable(path, "UTF-8 text"):
        return line.decode().split("\t")


def _checked_samples(where: str, sample_ids: Sequence[str]) -> tuple[str, ...]:
    """Return `sample_ids` if there are any and all are named once."""
    index = pd.Index(sample_ids)
    if not len(index) or (index == "").any():
        found = f"an empty name in column {list(index).index('') + 1}" if len(index) else "none"
        raise InputError(f"{where}, sample ids", found, "one sample id a column")
    if index.has_duplicates:
        name = index[index.duplicated()][0]
        raise InputError(f"{where}, sample ids", f"duplicate sample {name}", "every sample once")
    return tuple(sample_ids)


def _gct_header(path: Path, lines: Iterator[bytes]) -> ExpressionHeader:
    """Take the three header lines of a GCT from `lines`."""
    version, sizes, names = (_fields(path, next(lines, b"")) for _ in range(3))
    if version[0].strip() != "#1.2":
        raise InputError(
            f"{path}, line 1", repr("\t".join(version)[:40]), "'#1.2', the version line of a GCT"
        )
    sizes = [size for size in sizes if size]
    if len(sizes) != 2 or not all(size.isdecimal() for size in sizes):
        raise InputError(
            f"{path}, line 2",
            repr("\t".join(sizes)[:40]),
            "number of genes, tab, number of samples",
        )
    if "Name" not in names[:2] or "Description" not in names[1:3]:
        raise InputError(f"{path}, line 3", f"columns {names[:3]}", "columns Name and Description")
    header = ExpressionHeader(
        sample_ids=(),
        n_genes=int(sizes[0]),
        gene_column=names.index("Name"),
        symbol_column=names.index("Description"),
    )
    sample_ids = names[header.n_leading :]
    if len(sample_ids) != int(sizes[1]):
        raise InputError(
            f"{path}, line 3",
            f"{len(sample_ids)} sample columns",
            f"{sizes[1]} of them, as line 2 says",
            "The file is cut or was edited; download it again.",
        )
    return ExpressionHeader(
        _checked_samples(f"{path}, line 3", sample_ids),
        header.n_genes,
        header.gene_column,
        header.symbol_column,
    )


def _wide_header(path: Path, lines: Iterator[bytes]) -> ExpressionHeader:
    """Take the header line of a wide table (genes as rows) from `lines`."""
    names = _fields(path, next(lines, b""))
    symbol = 1 if len(names) > 1 and names[1].lower() in _SYMBOL_COLUMNS else None
    n_leading = 1 if symbol is None else 2
    sample_ids = _checked_samples(f"{path}, line 1", names[n_leading:])
    return ExpressionHeader(sample_ids, None, symbol_column=symbol)


def read_gct_header(path: str | Path) -> ExpressionHeader:
    """Read the header of a GCT 1.2 file.

    GTEx's files per tissue carry an ``id`` column before ``Name``; it is passed over.

    Raises
    ------
    InputError
        Another version, a malformed size line, a wrong number of sample columns, or a sample
        twice. The number of genes is checked by `iter_gct_blocks`.
    """
    with closing(_lines(Path(path))) as lines:
        return _gct_header(Path(path), lines)


def read_wide_header(path: str | Path) -> ExpressionHeader:
    """Read the header of a wide table: gene ids, perhaps symbols, then one column a sample.

    Raises
    ------
    InputError
        There is no sample, or one twice.
    """
    with closing(_lines(Path(path))) as lines:
        return _wide_header(Path(path), lines)


def iter_gct_blocks(
    path: str | Path,
    columns: Sequence[int] | np.ndarray | None = None,
    *,
    keep: Callable[[str], bool] | None = None,
    block_genes: int = BLOCK_GENES,
) -> Generator[GeneBlock, None, None]:
    """Yield the genes of a GCT 1.2 file in blocks of `block_genes`, in the file's order.

    Parameters
    ----------
    columns
        Positions among the sample ids of the samples wanted, in the order wanted; None for all.
    keep
        Called with the id of every gene, in order; rows of genes that it refuses are neither
        parsed nor checked beyond their id. None keeps all.

    Raises
    ------
    InputError
        What `read_gct_header` refuses; a number of rows other than the header's; a row with a
        wrong number of fields; a gene twice; a value that is no finite number of 0 or more; a
        truncated or damaged gzip stream.
    """
    return _iter_table_blocks(Path(path), _gct_header, 4, columns, keep, block_genes)


def iter_wide_blocks(
    path: str | Path,
    columns: Sequence[int] | np.ndarray | None = None,
    *,
    keep: Callable[[str], bool] | None = None,
    block_genes: int = BLOCK_GENES,
) -> Generator[GeneBlock, None, None]:
    """Yield the genes of a wide table in blocks; parameters and errors of `iter_gct_blocks`."""
    return _iter_table_blocks(Path(path), _wide_header, 2, columns, keep, block_genes)


@dataclass(frozen=True)
class _Row:
    """A row of values: line number in the file (from 1), gene id, and the text of the values."""

    line: int
    gene_id: str
    values: bytes


def _iter_table_blocks(
    path: Path,
    read_header: Callable[[Path, Iterator[bytes]], ExpressionHeader],
    first_line: int,
    columns: Sequence[int] | np.ndarray | None,
    keep: Callable[[str], bool] | None,
    block_genes: int,
) -> Generator[GeneBlock, None, None]:
    """Yield blocks of a table with genes as rows; `first_line` is the line of the first gene."""
    with closing(_lines(path)) as lines:
        header = read_header(path, lines)
        n_samples = len(header.sample_ids)
        taken = np.arange(n_samples) if columns is None else np.asarray(columns, dtype=np.int64)
        seen: dict[GeneKey, int] = {}
        rows: list[_Row] = []
        gene_ids: list[str] = []
        symbols: list[str] = []
        expr = np.empty((block_genes, len(taken)), np.float32)

        def parse() -> None:
            stop = len(gene_ids)
            expr[stop - len(rows) : stop] = _parse_rows(path, rows, header.sample_ids)[:, taken]
            rows.clear()

        for line_number, line in enumerate(lines, first_line):
            if header.n_genes is not None and len(seen) == header.n_genes:
                raise InputError(
                    path,
                    f"a header of {header.n_genes} genes and more rows than that",
                    "as many rows of genes as the header says",
                )
            gene_id = _gene_id(path, header, line, line_number)
            key = gene_key(gene_id)
            if key in seen:
                raise InputError(
                    f"{path}, line {line_number}",
                    f"duplicate gene {gene_id} (first on line {seen[key]})",
                    "every gene once, whatever its version",
                )
            seen[key] = line_number
            if keep is not None and not keep(gene_id):
                continue
            n_fields = 1 + np.count_nonzero(np.frombuffer(line, np.uint8) == ord("\t"))
            if n_fields != header.n_leading + n_samples:
                raise InputError(
                    f"{path}, line {line_number} (gene {gene_id})",
                    f"{n_fields} fields",
                    f"{header.n_leading + n_samples}: {header.n_leading} before the values, "
                    f"then {n_samples} samples",
                )
            *leading, values = line.split(b"\t", header.n_leading)
            rows.append(_Row(line_number, gene_id, values))
            gene_ids.append(gene_id)
            symbols.append(
                gene_id
                if header.symbol_column is None
                else leading[header.symbol_column].decode(errors="replace")
            )
            if len(rows) == _ROWS_A_PARSE or len(gene_ids) == block_genes:
                parse()
            if len(gene_ids) == block_genes:
                yield GeneBlock(gene_ids, symbols, expr)
                gene_ids, symbols, expr = [], [], np.empty_like(expr)
        if header.n_genes is not None and len(seen) != header.n_genes:
            raise InputError(
                path,
                f"a header of {header.n_genes} genes over {len(seen)} rows",
                "as many rows of genes as the header says",
                "The file is cut or was edited; download it again, or correct its line 2.",
            )
        if gene_ids:
            if rows:
                parse()
            yield GeneBlock(gene_ids, symbols, expr[: len(gene_ids)])


def _gene_id(path: Path, header: ExpressionHeader, line: bytes, line_number: int) -> str:
    """Gene id of a row, without a look at the rest of it."""
    start = 0
    for _ in range(header.gene_column):
        start = line.find(b"\t", start) + 1
    end = line.find(b"\t", start)
    with _readable(path, "UTF-8 text"):
        gene_id = line[start : max(end, start)].decode()
    if not gene_id:
        raise InputError(f"{path}, line {line_number}", repr(line[:40]), "a gene id and values")
    return gene_id


def _parse_rows(path: Path, rows: list[_Row], sample_ids: Sequence[str]) -> np.ndarray:
    """Parse rows of tab-separated values to float32 of shape ``(n_rows, n_samples)``.

    All values become one array of strings that Arrow casts, which is faster than any parser of
    tables: the text without its tabs, and where each value begins in it.
    """
    text = b"\t".join([row.values for row in rows])
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\t"))
    offsets = np.zeros(len(ends) + 2, np.int32)
    offsets[1:-1] = ends - np.arange(len(ends))
    offsets[-1] = len(text) - len(ends)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text.translate(None, b"\t"))]
    fields = pa.Array.from_buffers(pa.utf8(), len(offsets) - 1, buffers)
    try:
        values = _cast(fields).to_numpy().reshape(len(rows), len(sample_ids))
    except pa.ArrowInvalid as error:
        _raise_bad_value(path, rows, sample_ids, str(error))
    if not (values.min() >= 0 and values.max() < np.inf):
        _raise_bad_value(path, rows, sample_ids, "values out of range")
    return values


def _cast(fields: pa.StringArray) -> pa.FloatArray:
    """Cast text to float32; spaces around a number and a carriage return after it are allowed."""
    try:
        return pc.cast(fields, pa.float32())
    except pa.ArrowInvalid:
        trimmed = pc.ascii_trim(pc.ascii_rtrim(fields, "\r"), " ")
        return pc.cast(trimmed, pa.float32())


def _raise_bad_value(
    path: Path, rows: list[_Row], sample_ids: Sequence[str], reason: str
) -> NoReturn:
    """Name the first value of `rows` that is no finite number of 0 or more."""
    expected = "a finite number, 0 or more"
    for row in rows:
        for sample_id, field in zip(sample_ids, row.values.split(b"\t"), strict=True):
            problem = _problem(field)
            if problem:
                raise InputError(
                    f"{path}, line {row.line} (gene {row.gene_id}, sample {sample_id})",
                    f"{problem} {field.decode(errors='replace')!r}",
                    expected,
                )
    raise InputError(f"{path}, lines {rows[0].line} to {rows[-1].line}", reason, expected)


def _problem(field: bytes) -> str:
    """Say what is wrong with a value as text; empty if nothing is."""
    name = field.strip().lower().lstrip(b"+-")
    if name == b"nan":
        return "the NaN value"
    if name in (b"inf", b"infinity"):
        return "the infinite value"
    if not _NUMBER.fullmatch(field):
        return "the non-numeric value"
    number = float(field)
    if number < 0:
        return "the negative value"
    return "the value too large (infinite)" if number > _LARGEST else ""


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
        sample_ids = _checked_samples(f"{path}, obs index", list(data.obs_names.astype(str)))
        return ExpressionHeader(sample_ids, shape[1])


def iter_h5ad_blocks(
    path: str | Path,
    columns: Sequence[int] | np.ndarray | None = None,
    *,
    keep: Callable[[str], bool] | None = None,
    block_genes: int = BLOCK_GENES,
) -> Generator[GeneBlock, None, None]:
    """Yield the genes of an h5ad file in blocks; parameters and errors of `iter_gct_blocks`.

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
        column = next((names[name] for name in _SYMBOL_COLUMNS if name in names), None)
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
    """Yield the genes of an expression file in blocks; as `iter_gct_blocks`, told by suffix."""
    _, iter_blocks = _readers(Path(path))
    return iter_blocks(path, columns, keep=keep, block_genes=block_genes)
