"""Lines of text files, plain or gzipped, read ahead in another thread."""

from collections import Counter, deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pyarrow as pa

from mtm.errors import InputError, numbered
from mtm.io import require_file

_CHUNK_BYTES = 1 << 22
_CHUNKS_AHEAD = 4
# A row of a million samples; a row of a table of people or genes.
LONGEST_LINE = 1 << 26
LONGEST_TEXT_LINE = 1 << 20
_AS_TEXT = "Write the table as text with tabs, its name ending in .tsv."
_AS_UTF8 = "If it is text (Latin-1, Windows-1252), save it as UTF-8; else copy it again."
_UNPACK = "Unpack it, or pack it with gzip, its name ending in .gz."
_GZIP = b"\x1f\x8b"
# What files begin with that are no text: what they are, and what to do.
_OTHERS = {
    b"\xff\xfe": ("text in UTF-16", "Save it as UTF-8."),
    b"\xfe\xff": ("text in UTF-16", "Save it as UTF-8."),
    _GZIP: ("gzipped content", "Let its name end in .gz."),
    b"PK\x03\x04": ("a zip archive, or a workbook of a spreadsheet", _AS_TEXT),
    b"\xd0\xcf\x11\xe0": ("a workbook of a spreadsheet", _AS_TEXT),
    b"\x89HDF": ("HDF5", "Expression in AnnData has a name that ends in .h5ad."),
    b"PAR1": ("a parquet table", _AS_TEXT),
    b"\xfd7zXZ": ("content packed by xz", _UNPACK),
    b"BZh": ("content packed by bzip2", _UNPACK),
    b"\x28\xb5\x2f\xfd": ("content packed by zstd", _UNPACK),
}


@contextmanager
def readable(path: Path, expected: str) -> Iterator[None]:
    """Turn what goes wrong while bytes of `path` are read into an InputError."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise InputError(path, f"an unreadable file ({error})", expected, _AS_UTF8) from error
    except (OSError, EOFError) as error:
        raise InputError(
            path, f"an unreadable file ({error})", expected, "Download or copy it again."
        ) from error


def _chunks(path: Path) -> Iterator[bytes]:
    """Yield the (inflated) bytes of `path`, read a few chunks ahead in another thread."""
    _demand_text(require_file(path, "an existing file"))
    with readable(path, "a whole file, plain or gzipped"):
        source = pa.OSFile(str(path))
    stream = pa.CompressedInputStream(source, "gzip") if _is_packed(path) else source
    with stream, ThreadPoolExecutor(1) as pool:
        pending = deque(pool.submit(stream.read, _CHUNK_BYTES) for _ in range(_CHUNKS_AHEAD))
        while True:
            with readable(path, "a whole file, plain or gzipped"):
                chunk = pending.popleft().result()
            if not chunk:
                return
            pending.append(pool.submit(stream.read, _CHUNK_BYTES))
            yield chunk


def _is_packed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def _demand_text(path: Path) -> None:
    """Refuse, by how it begins, what is no text, or not packed as its name says."""
    with readable(path, "a whole file, plain or gzipped"), open(path, "rb") as file:
        start = file.read(8)
    gzipped = _is_packed(path)
    for sign, (found, hint) in _OTHERS.items():
        if start.startswith(sign) and not (gzipped and sign == _GZIP):
            expected = "gzipped text" if gzipped else "text in UTF-8"
            if path.suffix.lower() == ".h5ad":
                hint = "Write its obs as a table: data.obs.to_csv('samples.csv')."
            raise InputError(path, found, expected, hint)
    if gzipped and start and not start.startswith(_GZIP):
        hint = "If it is text, let its name not end in .gz; else download or copy it again."
        raise InputError(path, "an unreadable file (content that is not gzipped)", "gzip", hint)


def byte_lines(path: Path, longest: int = LONGEST_LINE) -> Generator[bytes, None, None]:
    """Yield the lines of `path` without their ends.

    Raises
    ------
    InputError
        The file cannot be read, has a NUL byte or line ends of old Macs, or a line has more than
        `longest` bytes.
    """
    rest, number = b"", 1
    with closing(_chunks(path)) as chunks:
        for chunk in chunks:
            if b"\0" in chunk:
                at = number + chunk[: chunk.index(b"\0")].count(b"\n")
                raise InputError(
                    f"{path}, line {at}", "a NUL byte", "text", "Download or copy it again."
                )
            if number == 1 and b"\r" in chunk and b"\n" not in chunk:
                hint = "Save it with line ends of Unix or Windows (tr '\\r' '\\n')."
                raise InputError(path, "line ends of old Macs (CR alone)", "lines of text", hint)
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            for line in lines:
                yield line[:-1] if line.endswith(b"\r") else line
            number += len(lines)
            if len(rest) > longest:
                raise InputError(
                    f"{path}, line {number}",
                    f"more than {longest:,} bytes without an end of line",
                    "lines of text",
                )
    if rest:
        yield rest


def demand_whole_rows(
    path: str | Path, header: bool = True, most_bytes: int | None = None
) -> None:
    """Refuse a table whose rows differ in their number of fields, or with a column twice.

    Parameters
    ----------
    header
        Whether the first line names the columns.
    most_bytes
        Of the table, inflated; None for any number.

    Raises
    ------
    InputError
        The first such line is named; or what `text_lines` refuses.
    """
    n_fields, seen, taken = None, 0, 0
    with closing(text_lines(Path(path))) as lines:
        for number, line in enumerate(lines, 1):
            seen += bool(line)
            taken += len(line)
            if most_bytes is not None and taken > most_bytes:
                found = f"more than {most_bytes:,} bytes"
                raise InputError(f"{path}, line {number}", found, "a smaller table")
            if not line:
                continue
            fields = line.count("\t") + 1
            if n_fields is None:
                n_fields, names = fields, line.split("\t")
                twice = repeated(names) if header else []
                if twice:
                    raise InputError(
                        f"{path}, line {number}", f"column {twice[0]!r} twice", "every column once"
                    )
            if fields != n_fields:
                found, expected = (
                    numbered(fields, "field"),
                    f"{numbered(n_fields, 'field')} of text",
                )
                raise InputError(f"{path}, line {number}", found, expected)
    if not seen:
        raise InputError(path, "an empty file", "a tab-separated table")


def repeated(names: list[str]) -> list[str]:
    """Return what stands in a list more than once, sorted."""
    return sorted(name for name, n in Counter(names).items() if n > 1)


def text_lines(path: Path) -> Generator[str, None, None]:
    """Yield the lines of `path` as text, none of more than `LONGEST_TEXT_LINE` bytes.

    A byte order mark before the first is left out.
    """
    with closing(byte_lines(path, LONGEST_TEXT_LINE)) as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                found = line[error.start : error.start + 8]
                raise InputError(
                    f"{path}, line {number}",
                    f"bytes that are no text ({error.reason}: {found!r})",
                    "UTF-8 text",
                    _AS_UTF8,
                ) from error
