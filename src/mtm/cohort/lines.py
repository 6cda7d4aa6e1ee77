"""Lines of text files, plain or gzipped, read ahead in another thread."""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pyarrow as pa

from mtm.errors import InputError
from mtm.io import require_file

_CHUNK_BYTES = 1 << 22
_CHUNKS_AHEAD = 4
# A row of a million samples; a row of a table of people or genes.
LONGEST_LINE = 1 << 26
LONGEST_TEXT_LINE = 1 << 20


@contextmanager
def readable(path: Path, expected: str) -> Iterator[None]:
    """Turn what goes wrong while bytes of `path` are read into an InputError."""
    try:
        yield
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(
            path, f"an unreadable file ({error})", expected, "Download or copy it again."
        ) from error


def _chunks(path: Path) -> Iterator[bytes]:
    """Yield the (inflated) bytes of `path`, read a few chunks ahead in another thread."""
    require_file(path, "an existing file")
    with readable(path, "a whole file, plain or gzipped"):
        source = pa.OSFile(str(path))
    stream = pa.CompressedInputStream(source, "gzip") if path.suffix == ".gz" else source
    with stream, ThreadPoolExecutor(1) as pool:
        pending = deque(pool.submit(stream.read, _CHUNK_BYTES) for _ in range(_CHUNKS_AHEAD))
        while True:
            with readable(path, "a whole file, plain or gzipped"):
                chunk = pending.popleft().result()
            if not chunk:
                return
            pending.append(pool.submit(stream.read, _CHUNK_BYTES))
            yield chunk


def byte_lines(path: Path, longest: int = LONGEST_LINE) -> Generator[bytes, None, None]:
    """Yield the lines of `path` without their ends.

    Raises
    ------
    InputError
        The file cannot be read, or a line has more than `longest` bytes.
    """
    rest, number = b"", 1
    with closing(_chunks(path)) as chunks:
        for chunk in chunks:
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
                twice = sorted({name for name in names if names.count(name) > 1}) if header else []
                if twice:
                    raise InputError(
                        f"{path}, line {number}", f"column {twice[0]!r} twice", "every column once"
                    )
            if fields != n_fields or "\0" in line:
                found = "a NUL byte" if "\0" in line else f"{fields} fields"
                raise InputError(f"{path}, line {number}", found, f"{n_fields} fields of text")
    if not seen:
        raise InputError(path, "an empty file", "a tab-separated table")


def text_lines(path: Path) -> Generator[str, None, None]:
    """Yield the lines of `path` as text, none of more than `LONGEST_TEXT_LINE` bytes."""
    with closing(byte_lines(path, LONGEST_TEXT_LINE)) as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield line.decode()
            except UnicodeDecodeError as error:
                found = line[error.start : error.start + 8]
                raise InputError(
                    f"{path}, line {number}",
                    f"bytes that are no text ({error.reason}: {found!r})",
                    "UTF-8 text",
                ) from error
