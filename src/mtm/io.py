"""Tables on disk: written whole or not at all; in place of one that cannot be made, its reason."""

import errno
import gzip
import os
import re
import shutil
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import pandas as pd

from mtm.errors import CannotDo, InputError

Result = TypeVar("Result")
# Columns of the one row that stands in place of a table that could not be made.
NOTE = ["not_done", "reason", "remedy"]

_PARTIAL = re.compile(r"\.(\d+)\.partial\.")
# What libraries say, in words of their own, when nothing more can be written.
_FULL = ("No space left on device", "Disk quota exceeded", "File too large")
_FULL_CODES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LEFT_BYTES = 2**16


def read_apart(read: Callable[..., Result], path: str | Path, expected: str) -> Result:
    """Read a file in a process of its own, which libraries may crash on what stands in it.

    Parameters
    ----------
    read
        Takes the path; what it returns, or raises, comes back.
    path, expected
        The file, and what it should be.

    Raises
    ------
    InputError
        The process was ended by a signal.
    """
    # Whoever reads tables alone shall not wait for these.
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        try:
            return pool.submit(read, path).result()
        except BrokenProcessPool:
            hint = "It is damaged: download or copy it again."
            raise InputError(path, "content that crashes its reader", expected, hint) from None


def require_file(path: str | Path, expected: str) -> Path:
    """Return the path of a file that can be read; nothing is read, and nothing waited for.

    Raises
    ------
    InputError
        There is none, or a folder, a pipe, a device or an unreadable file.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(path, "no such file", expected) from None
    except (OSError, ValueError) as error:
        raise InputError(path, f"no readable file ({error})", expected) from error
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe"}
        raise InputError(path, kinds.get(stat.S_IFMT(mode), "no regular file"), expected)
    if not os.access(path, os.R_OK):
        raise InputError(path, "a file that may not be read", expected, "Change its permissions.")
    return path


def demand_gzip(path: str | Path, expected: str, hint: str = "") -> Path:
    """Refuse a file that should be gzipped and is something else, and say what.

    Raises
    ------
    InputError
        A web page (servers give one, with a status of success, where they ask for a captcha or a
        log-in), nothing, other content, a damaged or an empty gzip file.
    """
    path = require_file(path, expected)
    with open(path, "rb") as file:
        start = file.read(512)
    if not start:
        raise InputError(path, "an empty file", expected, hint)
    if start[:2] != b"\x1f\x8b":
        page = re.match(
            rb"(\xef\xbb\xbf)?\s*<(!doctype|html|head|\?xml|!--)", start, re.IGNORECASE
        )
        found = "a web page (a captcha, or a log-in?)" if page else "content that is not gzipped"
        raise InputError(path, found, expected, hint)
    try:
        with gzip.open(path) as file:
            first = file.read(1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(path, f"a damaged gzip file ({error})", expected, hint) from error
    if not first:
        raise InputError(path, "a gzip file with nothing in it", expected, hint)
    return path


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, delete it on failure.

    The temporary name keeps the suffixes of `path`, so that writers which look at them work. What
    processes that were killed left of the same file is deleted.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    mine = f".{os.getpid()}.partial."
    _clear_leftovers(path)
    # What is under a temporary name already is renamed by whoever gave it.
    temporary = path if path.name.startswith(mine) else path.with_name(mine + path.name)
    try:
        yield temporary
        if temporary != path:
            os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def replaced_together(paths: Sequence[str | Path]) -> Iterator[list[Path]]:
    """Yield temporary paths beside `paths`; rename all of them on success, delete all on failure.

    Raises
    ------
    InputError
        One of them was not written.
    """
    with ExitStack() as stack:
        written = [stack.enter_context(atomic_path(path)) for path in paths]
        yield written
        for path, temporary in zip(paths, written, strict=True):
            if not temporary.exists():
                raise InputError(path, "nothing written", "a file of every output")


def _clear_leftovers(path: Path) -> None:
    """Delete temporary files of `path` whose process is gone."""
    for left in path.parent.glob(f".*.partial.{path.name}"):
        found = _PARTIAL.match(left.name)
        if found and not _is_alive(int(found[1])):
            left.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    """Whether a process of this machine has the number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def full_disk(error: BaseException, folder: str | Path) -> InputError | None:
    """Return what to say where `error` comes of a full disk or a limit on files; None otherwise.

    Parameters
    ----------
    error
        Of any library: some keep the system's number, some its words, some neither.
    folder
        Where was written; an OSError's own file is named in its place.
    """
    texts = [str(error), str(error.__cause__ or ""), str(error.__context__ or "")]
    known = getattr(error, "errno", None) in _FULL_CODES or any(
        words in text for text in texts for words in _FULL
    )
    place = Path(folder)
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if not known and free > _LEFT_BYTES:
        return None
    where = getattr(error, "filename", None) or folder
    return InputError(
        where,
        f"no room to write (No space left on device, {free / 1e6:.1f} MB free)",
        "space on the disk for what is written",
        "Nothing that was there before is lost. Free space and run again.",
    )


def write_tsv(table: pd.DataFrame, path: str | Path) -> None:
    """Write `table` as tab-separated text without its index; missing values are empty fields."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False)


def write_parquet(table: pd.DataFrame, path: str | Path) -> None:
    """Write `table` as parquet without its index."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)


def write_note(why: CannotDo, path: str | Path) -> None:
    """Write why a table could not be made in its place, as parquet or tab-separated text."""
    note = pd.DataFrame([[why.analysis, why.reason, why.remedy]], columns=NOTE)
    (write_parquet if Path(path).suffix == ".parquet" else write_tsv)(note, path)


def _refuse_note(table: pd.DataFrame) -> pd.DataFrame:
    """Return `table`, or raise what it says where it stands in place of one that was not made."""
    if list(table.columns) == NOTE:
        raise CannotDo(*table.iloc[0])
    return table


def read_parquet(path: str | Path) -> pd.DataFrame:
    """Read a parquet table.

    Raises
    ------
    CannotDo
        The table could not be made.
    """
    from pyarrow import parquet  # most of what imports this module reads none

    # Without threads: one that is still starting when a script ends at once aborts it.
    with parquet.ParquetFile(path, pre_buffer=False) as file:
        table = file.read(use_threads=False)
    return _refuse_note(table.to_pandas(use_threads=False))


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table, parquet or tab-separated text as its suffix says; see `read_tsv`."""
    return read_parquet(path) if Path(path).suffix == ".parquet" else read_tsv(path)


def read_tsv(path: str | Path, columns: Iterable[str] = (), **options) -> pd.DataFrame:
    """Read tab-separated text and demand `columns`.

    Only the empty field is missing: donor or gene names such as "NA" stay text.

    Raises
    ------
    InputError
        The file is missing, unreadable or lacks one of `columns`.
    CannotDo
        The table could not be made.
    """
    path = require_file(path, "a tab-separated table")
    try:
        table = pd.read_csv(path, sep="\t", keep_default_na=False, na_values=[""], **options)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(path, f"an unreadable table ({error})", "tab-separated text") from error
    _refuse_note(table)
    missing = [column for column in columns if column not in table]
    if missing:
        raise InputError(
            path, f"columns {list(table.columns)}", f"a column named {' and '.join(missing)}"
        )
    return table
