"""Strict readers of expression as text, GCT 1.2 or a wide table (CSV too), genes as rows.

Gzip is inflated in a thread of its own, ahead of the parser.
"""

import codecs
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mtm.cohort.blocks import (
    BLOCK_GENES,
    ENSEMBL_GENE,
    ExpressionHeader,
    GeneBlock,
    checked_samples,
    demand_gene,
    duplicate_gene,
    is_reads_of_no_gene,
    symbol_column,
    warn_of_reads_of_no_gene,
)
from mtm.cohort.delimited import (
    comma_fields,
    demand_separator,
    one_more,
    other_separator,
    tab_fields,
)
from mtm.cohort.genes import GeneKey, gene_key
from mtm.cohort.lines import byte_lines, readable
from mtm.cohort.spellings import letters
from mtm.errors import InputError, numbered, shown

_ROWS_A_PARSE = 8
_COMMENTED = ("wide", "csv")
# What featureCounts tells of a gene before its counts.
_OF_FEATURE_COUNTS = ["Chr", "Start", "End", "Strand", "Length"]
# What Salmon, RSEM, StringTie and kallisto tell of the genes of one sample.
_OF_ONE_SAMPLE = {
    "length", "effectivelength", "efflength", "tpm", "fpkm", "numreads", "expectedcount",
    "estcounts", "coverage",
}  # fmt: skip
# Of one header, whose names alone fill memory.
MOST_COLUMNS = 2**20
# No file has more genes or samples than so many digits say.
LONGEST_COUNT = 18
_LARGEST = float(np.finfo(np.float32).max)
_NO_LINE = (1, b"")
# Thousands, or decimals, of who writes them with commas.
_COMMAS = re.compile(rb"\s*-?[\d.]*,[\d.,]*\s*")
_POINT = "Numbers have a point, and nothing between thousands."
# Of commas, those between thousands.
_THOUSANDS = re.compile(rb"\s*-?\d{1,3}(,\d{3})+(\.\d*)?\s*")
_SEVERAL = "Several numbers stand in one field: keep one, the mean or median of each sample."
# Fields, in lower case, of who has no value.
_MISSING = {b"", b"na", b"n/a", b"nan", b"null", b"none", b"#n/a", b"-", b"."}
_FILL = "No value may be missing: leave the gene out, or fill it in."
_NUMBER = re.compile(rb"-?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")


def _numbered(lines: Iterator[bytes], form: str) -> Iterator[tuple[int, bytes]]:
    """Yield the lines with their numbers, of a table without those before it that begin with #.

    But for one with as many fields as the row of values that follows, and for the version of a
    GCT.
    """
    comment = None
    for number, line in enumerate(lines, 1):
        last = line.rpartition(b"\t")[2].strip(b' "\r')
        is_row = comment and comment[1].count(b"\t") == line.count(b"\t") > 0
        is_header = is_row and _NUMBER.fullmatch(last)
        if is_header:
            yield comment
        start = line[:6].removeprefix(codecs.BOM_UTF8)
        is_comment = start.startswith(b"#") and not start.startswith(b"#1.")
        if is_header or form not in _COMMENTED or not is_comment:
            yield number, line
            yield from enumerate(lines, number + 1)
            return
        comment = number, line
    if comment is not None:
        yield comment


def _fields(path: Path, line: bytes) -> list[str]:
    """Split a header line into text fields, quotes around them left out."""
    if (n_tabs := line.count(b"\t")) > MOST_COLUMNS:
        raise InputError(f"{path}, header", f"{n_tabs} tabs", f"at most {MOST_COLUMNS} columns")
    with readable(path, "UTF-8 text"):
        text = line.decode().removeprefix("\ufeff")
    return tab_fields(text)


def _lines(path: Path, form: str) -> Generator[bytes, None, None]:
    """Yield the lines of a file with tabs between fields."""
    with closing(byte_lines(path)) as lines:
        if form != "csv":
            yield from lines
        for number, line in enumerate(lines, 1):
            if number == 1 and b"\t" in line and b"," not in line:
                raise other_separator(path, "tabs")
            if b"\t" in line or b'"' not in line or line.startswith(b"#"):
                # A tab within a field would be one more.
                yield line.replace(b"\t", b" ").replace(b",", b"\t")
                continue
            with readable(path, "UTF-8 text"):
                fields = comma_fields(line.decode())
            if line.count(b'"') % 2:
                raise InputError(
                    f"{path}, line {number}", "a quote without its end", "one line a gene"
                )
            yield "\t".join(fields).encode()


def _gct_header(path: Path, lines: Iterator[tuple[int, bytes]]) -> ExpressionHeader:
    """Take the three header lines of a GCT from `lines`."""
    version, sizes, names = (_fields(path, next(lines, _NO_LINE)[1]) for _ in range(3))
    if version[0].strip() != "#1.2":
        raise InputError(
            f"{path}, line 1",
            repr("\t".join(version)[:40]),
            "'#1.2', the version line of a GCT",
            "Save it as GCT 1.2, without rows and columns of annotation, or as a table that ends "
            "in .tsv.",
        )
    sizes = [size for size in sizes if size]
    if len(sizes) != 2 or not all(
        size.isdecimal() and len(size) <= LONGEST_COUNT for size in sizes
    ):
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
        checked_samples(f"{path}, line 3", sample_ids, header.n_leading),
        header.n_genes,
        header.gene_column,
        header.symbol_column,
    )


def _wide_header(path: Path, lines: Iterator[tuple[int, bytes]]) -> ExpressionHeader:
    """Take the header line of a wide table (genes as rows) from `lines`."""
    number, line = next(lines, _NO_LINE)
    names = _fields(path, line)
    demand_separator(path, names)
    _demand_names(path, names)
    if names[1:6] == _OF_FEATURE_COUNTS:
        raise InputError(
            f"{path}, line {number}, sample ids",
            f"columns {', '.join(names[1:6])}, as featureCounts writes them",
            "one sample id a column",
            f"Leave these five out (cut -f1,7- {path.name}); the lengths of genes are those of "
            "inputs.gene_model.",
        )
    told = [name.strip() for name in names[1:] if letters(name) in _OF_ONE_SAMPLE]
    if len(told) > 1:
        raise InputError(
            f"{path}, line {number}, sample ids",
            f"columns {', '.join(told)}, as quantifiers write them of one sample",
            "one sample id a column",
            "Make one table of all samples: the ids of genes, then column TPM of each sample "
            "under its name.",
        )
    symbol = 1 if symbol_column(names[1:2]) else None
    n_leading = 1 if symbol is None else 2
    if ENSEMBL_GENE.fullmatch(names[0].strip()) or is_reads_of_no_gene(names[0].strip()):
        raise InputError(
            f"{path}, line {number}",
            f"a gene ({shown(names[0])})",
            "the names of the samples before the first gene",
            "Add a line that names the column of genes and each sample.",
        )
    sample_ids = checked_samples(f"{path}, line {number}", names[n_leading:], n_leading)
    return ExpressionHeader(sample_ids, None, symbol_column=symbol)


def _demand_names(path: Path, names: Sequence[str]) -> None:
    """Refuse a first line of one field, and show it."""
    if len(names) > 1:
        return
    hint = "The first line names the samples, with tabs (.csv: commas) between them."
    if names[0].startswith("#1."):
        hint = "It begins as a GCT: let its name end in .gct."
    found = shown(names[0]) if names[0] else "nothing"
    raise InputError(f"{path}, line 1, sample ids", found, "one sample id a column", hint)


def _short_header(path: Path, lines: Iterator[tuple[int, bytes]]) -> ExpressionHeader:
    """Take the header line of a wide table that does not name the column of its genes."""
    _, line = next(lines, _NO_LINE)
    return ExpressionHeader(checked_samples(f"{path}, line 1", _fields(path, line)), None)


def is_short(path: str | Path) -> bool:
    """Whether the header of a wide table is one cell shorter than its rows, as R writes it."""
    with closing(byte_lines(Path(path))) as lines:
        first, second = (next(lines, b"").count(b"\t") for _ in range(2))
    return second == first + 1


# How a form of text begins: the reader of its header.
FORMS = {
    "gct": _gct_header,
    "wide": _wide_header,
    "csv": _wide_header,
    "short": _short_header,
}


def read_text_header(path: str | Path, form: str) -> ExpressionHeader:
    """Read the header of a text file.

    Parameters
    ----------
    form
        - ``"gct"``: GCT 1.2; GTEx's files per tissue carry an ``id`` column before ``Name``, which
          is passed over
        - ``"wide"``: gene ids, perhaps symbols, then one column a sample; lines before the header
          that begin with # are passed over
        - ``"csv"``: the same with commas
        - ``"short"``: the same without symbols, and without a name of the first column

    Raises
    ------
    InputError
        Another version, a malformed size line, a wrong number of sample columns, no sample, or
        one twice. The number of genes is checked by `iter_text_blocks`.
    """
    with closing(_lines(Path(path), form)) as lines:
        return FORMS[form](Path(path), _numbered(lines, form))


@dataclass(frozen=True)
class _Row:
    """A row of values: line number in the file (from 1), gene, and the text of the values."""

    line: int
    gene_id: str
    symbol: str
    values: bytes


def iter_text_blocks(
    path: str | Path,
    form: str,
    columns: Sequence[int] | np.ndarray | None = None,
    *,
    keep: Callable[[str], bool] | None = None,
    block_genes: int = BLOCK_GENES,
    signed: bool = False,
) -> Generator[GeneBlock, None, None]:
    """Yield the genes of a text file in blocks of `block_genes`, in the file's order.

    Parameters
    ----------
    form
        As for `read_text_header`.
    columns
        Positions among the sample ids of the samples wanted, in the order wanted; None for all.
    keep
        Called with the id of every gene, in order; rows of genes that it refuses are neither
        parsed nor checked beyond their id. None keeps all.
    signed
        Whether values may be negative.

    Raises
    ------
    InputError
        What `read_text_header` refuses; a number of rows other than the header's; a row with a
        wrong number of fields; a gene twice; a value that is no finite number, or negative unless
        `signed`; a truncated or damaged gzip stream.
    """
    path = Path(path)
    with closing(_lines(path, form)) as lines:
        numbered_lines = _numbered(lines, form)
        header = FORMS[form](path, numbered_lines)
        n_samples = len(header.sample_ids)
        taken = np.arange(n_samples) if columns is None else np.asarray(columns, dtype=np.int64)
        rows = _kept_rows(path, header, numbered_lines, keep)
        gene_ids: list[str] = []
        symbols: list[str] = []
        expr = np.empty((block_genes, len(taken)), np.float32)
        while part := list(islice(rows, min(_ROWS_A_PARSE, block_genes - len(gene_ids)))):
            start = len(gene_ids)
            gene_ids += [row.gene_id for row in part]
            symbols += [row.symbol for row in part]
            expr[start : len(gene_ids)] = _parse_rows(path, part, header.sample_ids, signed)[
                :, taken
            ]
            if len(gene_ids) == block_genes:
                yield GeneBlock(gene_ids, symbols, expr)
                gene_ids, symbols, expr = [], [], np.empty_like(expr)
        if gene_ids:
            yield GeneBlock(gene_ids, symbols, expr[: len(gene_ids)])


def _kept_rows(
    path: Path,
    header: ExpressionHeader,
    lines: Iterator[tuple[int, bytes]],
    keep: Callable[[str], bool] | None,
) -> Iterator[_Row]:
    """Yield the rows of genes to keep; count all rows, and refuse a gene that stands twice."""
    seen: dict[GeneKey, int] = {}
    of_no_gene: list[str] = []
    for number, line in lines:
        if not line.strip():
            continue
        if header.n_genes is not None and len(seen) == header.n_genes:
            raise InputError(
                path,
                f"a header of {header.n_genes} genes and more rows than that",
                "as many rows of genes as the header says",
            )
        gene_id = _gene_id(path, header, line, number)
        demand_gene(f"{path}, line {number}", gene_id)
        key = gene_key(gene_id)
        if key in seen:
            raise duplicate_gene(
                f"{path}, line {number}", gene_id, f" (first on line {seen[key]})"
            )
        seen[key] = number
        if is_reads_of_no_gene(gene_id):
            of_no_gene.append(gene_id)
        elif keep is None or keep(gene_id):
            yield _row(path, header, number, gene_id, line)
    warn_of_reads_of_no_gene(path, of_no_gene)
    if header.n_genes is not None and len(seen) != header.n_genes:
        raise InputError(
            path,
            f"a header of {header.n_genes} genes over {len(seen)} rows",
            "as many rows of genes as the header says",
            "The file is cut or was edited; download it again, or correct its line 2.",
        )


def _row(path: Path, header: ExpressionHeader, number: int, gene_id: str, line: bytes) -> _Row:
    """Split a line before its values, of which there must be one a sample."""
    n_samples = len(header.sample_ids)
    n_fields = 1 + np.count_nonzero(np.frombuffer(line, np.uint8) == ord("\t"))
    if n_fields != header.n_leading + n_samples:
        raise InputError(
            f"{path}, line {number} (gene {gene_id})",
            numbered(n_fields, "field"),
            f"{header.n_leading + n_samples}: {header.n_leading} before the values, "
            f"then {numbered(n_samples, 'sample')}",
            one_more(path, line.endswith(b"\t"))
            if n_fields == header.n_leading + n_samples + 1
            else "",
        )
    *leading, values = line.split(b"\t", header.n_leading)
    column = header.symbol_column
    if column is None:
        return _Row(number, gene_id, gene_id, values)
    symbol = tab_fields(leading[column].decode(errors="replace").strip())[0]
    return _Row(number, gene_id, symbol, values)


def _gene_id(path: Path, header: ExpressionHeader, line: bytes, line_number: int) -> str:
    """Gene id of a row, without a look at the rest of it."""
    start = 0
    for _ in range(header.gene_column):
        start = line.find(b"\t", start) + 1
    end = line.find(b"\t", start)
    with readable(path, "UTF-8 text"):
        gene_id = line[start : max(end, start)].decode().strip().strip('"')
    if not gene_id:
        raise InputError(f"{path}, line {line_number}", repr(line[:40]), "a gene id and values")
    return gene_id


def _parse_rows(
    path: Path, rows: list[_Row], sample_ids: Sequence[str], signed: bool
) -> np.ndarray:
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
        _raise_bad_value(path, rows, sample_ids, signed, str(error))
    if not (values.min() >= (-_LARGEST if signed else 0) and values.max() < np.inf):
        _raise_bad_value(path, rows, sample_ids, signed, "values out of range")
    return values


def _cast(fields: pa.StringArray) -> pa.FloatArray:
    """Cast text to float32; spaces or quotes around a number and a carriage return are allowed."""
    try:
        return pc.cast(fields, pa.float32())
    except pa.ArrowInvalid:
        trimmed = pc.ascii_trim(pc.ascii_rtrim(fields, "\r"), " ")
        trimmed = pc.replace_substring_regex(trimmed, '^"(.*)"$', r"\1")
        return pc.cast(trimmed, pa.float32())


def _raise_bad_value(
    path: Path, rows: list[_Row], sample_ids: Sequence[str], signed: bool, reason: str
) -> NoReturn:
    """Name the first value of `rows` that is no finite number, or negative unless `signed`."""
    expected = "a finite number" if signed else "a finite number, 0 or more"
    for row in rows:
        for sample_id, field in zip(sample_ids, row.values.split(b"\t"), strict=True):
            problem = _problem(field, signed)
            if problem:
                raise InputError(
                    f"{path}, line {row.line} (gene {row.gene_id}, sample {sample_id})",
                    f"{problem} {shown(field.decode(errors='replace'))}",
                    expected,
                    _advice(field),
                )
    raise InputError(f"{path}, lines {rows[0].line} to {rows[-1].line}", reason, expected)


def _advice(field: bytes) -> str:
    """Say what to do about a field that is no value."""
    if field.strip(b' "\r').lower() in _MISSING:
        return _FILL
    if not _COMMAS.fullmatch(field):
        return ""
    return _SEVERAL if field.count(b",") > 1 and not _THOUSANDS.fullmatch(field) else _POINT


def _problem(field: bytes, signed: bool) -> str:
    """Say what is wrong with a value as text; empty if nothing is."""
    # What `_cast` passes over.
    field = field.rstrip(b"\r").strip(b" ")
    field = field[1:-1] if len(field) > 1 and field[:1] == field[-1:] == b'"' else field
    name = field.strip().lower().lstrip(b"+-")
    if name == b"nan":
        return "the NaN value"
    if name in (b"inf", b"infinity"):
        return "the infinite value"
    if not _NUMBER.fullmatch(field):
        return "the non-numeric value"
    number = float(field)
    if number < 0 and not signed:
        return "the negative value"
    return "the value too large (infinite)" if abs(number) > _LARGEST else ""
