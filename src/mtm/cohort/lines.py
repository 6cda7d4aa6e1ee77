"""Lines of text files, plain or gzipped, read ahead in another thread."""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pyarrow as pa

from mtm.errors import InputError

_CHUNK_BYTES = 1 << 22
_CHUNKS_AHEAD = 4


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
    if not path.exists():
        raise InputError(path, "no such file", "an existing file")
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


def byte_lines(path: Path) -> Generator[bytes, None, None]:
    """Yield the lines of `path` without their ends."""
    rest = b""
    with closing(_chunks(path)) as chunks:
        for chunk in chunks:
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            for line in lines:
                yield line[:-1] if line.endswith(b"\r") else line
    if rest:
        yield rest


def text_lines(path: Path) -> Generator[str, None, None]:
    """Yield the lines of `path` as text."""
    with closing(byte_lines(path)) as lines, readable(path, "UTF-8 text"):
        for line in lines:
            yield line.decode()
