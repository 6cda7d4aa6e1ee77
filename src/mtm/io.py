"""Tables on disk: written whole or not at all; in place of one that cannot be made, its reason."""

import errno
import glob
import gzip
import os
import platform
import re
import secrets
import shutil
import stat
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

import pandas as pd

from mtm.errors import CannotDo, InputError, shown

Result = TypeVar("Result")
# Columns of the one row that stands in place of a table that could not be made.
NOTE = ["not_done", "reason", "remedy"]
# Columns of names, which are text whatever they look like.
NAMES = dict.fromkeys(("cohort", "model", "model_a", "model_b", "tissue"), str)

_PARTIAL = re.compile(r"\.(?P<host>[A-Za-z0-9-]*)\.(?P<pid>\d+)\.[0-9a-f]{8}\.partial\.")
# Letters of a machine's name in that of a temporary file.
MOST_HOST = 24
# Bytes of a file's name in that of a temporary one; file systems take 255.
MOST_NAME = 180
# A temporary file of another machine that nobody has written to for so long is nobody's.
ABANDONED_SECONDS = 24 * 3600
# What libraries say, in words of their own, when nothing more can be written.
_FULL = ("No space left on device", "Disk quota exceeded", "File too large")
_FULL_CODES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LEFT_BYTES = 2**16


def read_apart(read: Callable[..., Result], path: str | Path, expected: str) -> Result:
    """Read a file in a process of its own, which libraries may crash on what stands in it.

    Parameters
    ----------
    read
        Takes the path; what it returns, or raises, comes back. It is handed over as it is, and
        so may fill shared memory.
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

    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, context, _be_given, (read,)) as pool:
        try:
            return pool.submit(_read_given, path).result()
        except BrokenProcessPool:
            hint = "It is damaged: download or copy it again."
            raise InputError(path, "content that crashes its reader", expected, hint) from None


_given: list[Callable] = []


def _be_given(read: Callable) -> None:
    """Keep, in the process of its own, what it shall read with."""
    _given[:] = [read]


def _read_given(path: str | Path):
    return _given[0](path)


def require_file(path: str | Path, expected: str) -> Path:
    """Return the path of a file that can be read; nothing is read, and nothing waited for.

    Raises
    ------
    InputError
        There is none, or a folder, a pipe, a device or an unreadable file.
    """
    path = Path(path)
    demand_text_name(path)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(path, "no such file", expected, _near(path)) from None
    except (OSError, ValueError) as error:
        raise InputError(path, f"no readable file ({error})", expected) from error
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe"}
        raise InputError(path, kinds.get(stat.S_IFMT(mode), "no regular file"), expected)
    if not os.access(path, os.R_OK):
        raise InputError(path, "a file that may not be read", expected, "Change its permissions.")
    return path


def demand_text_name(path: Path) -> None:
    """Refuse a name whose bytes are no UTF-8: no library takes it, and no table can hold it."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        hint = "Give the file another name, or a link that has one."
        raise InputError(path, "a name that is not UTF-8", "a name in UTF-8", hint) from None


def _near(path: Path) -> str:
    """Name the file beside a path that is called nearly so, or the folder that is not there."""
    folder, names = path.parent, []
    if not folder.is_dir():
        return f"There is no folder {folder}."
    with suppress(OSError):
        names = sorted(os.listdir(folder))
    stems = {name.partition(".")[0]: name for name in names}
    for stem in get_close_matches(path.name.partition(".")[0], stems, 1):
        return f"Did you mean {shown(str(folder / stems[stem]))}?"
    return ""


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

    What is renamed is on the disk first, and so is its name before this returns: a power cut
    leaves the old file or the new one. The temporary name keeps the suffixes of `path`, so that
    writers which look at them work; it is nobody else's, on this machine or on another that
    shares the disk. What processes that were killed left of the same file is deleted.
    """
    with replaced_together([path]) as (temporary,):
        yield temporary


@contextmanager
def replaced_together(paths: Sequence[str | Path]) -> Iterator[list[Path]]:
    """Yield temporary paths beside `paths`; rename all of them on success, delete all on failure.

    As `atomic_path`, file by file: nothing is renamed before all of them are on the disk.

    Raises
    ------
    InputError
        One of them was not written.
    """
    paths = [Path(path) for path in paths]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(path)
    # What is under a temporary name already is renamed by whoever gave it.
    written = [path if _PARTIAL.match(path.name) else _beside(path) for path in paths]
    renamed = [pair for pair in zip(written, paths, strict=True) if pair[0] != pair[1]]
    try:
        yield written
        for path, temporary in zip(paths, written, strict=True):
            if not temporary.exists():
                raise InputError(path, "nothing written", "a file of every output")
        put_in_place(renamed)
    except BaseException:
        for temporary in written:
            temporary.unlink(missing_ok=True)
        raise


def put_in_place(pairs: Sequence[tuple[Path, Path]]) -> None:
    """Rename files durably: none before all of them are on the disk.

    Parameters
    ----------
    pairs
        The name that a file has, and the one in the same folder that it gets.
    """
    for temporary, _ in pairs:
        _flush(temporary)
    for temporary, path in pairs:
        os.replace(temporary, path)
    for folder in dict.fromkeys(path.parent for _, path in pairs):
        _flush(folder)


def _beside(path: Path) -> Path:
    """Return a name beside `path` that no other process uses, here or on another machine."""
    mine = f"{_host()}.{os.getpid()}.{secrets.token_hex(4)}"
    return path.with_name(f".{mine}.partial.{_short(path.name)}")


def _short(name: str) -> str:
    """Return the end of a name, such that what stands before it in a temporary one has room."""
    while len(name.encode(errors="surrogateescape")) > MOST_NAME:
        name = name[1:]
    return name


def _host() -> str:
    """Name of this machine as file names have it."""
    return re.sub(r"[^A-Za-z0-9-]", "-", platform.node())[:MOST_HOST]


def _flush(path: Path) -> None:
    """Have a file's content, or a folder's names, written to the disk itself."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some file systems keep folders safe by themselves, and have no such call for them.
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise
    finally:
        os.close(handle)


def clear_leftovers(folder: str | Path) -> None:
    """Delete what killed processes left under temporary names anywhere below `folder`."""
    for left in Path(folder).rglob(".*.partial.*"):
        _clear(left)


def remove_files(folder: str | Path) -> None:
    """Delete what is in a folder, and the folder once it is empty.

    What another process is still writing there stays, and so does the folder then: a job whose
    Snakemake was killed may end while the next run does its work again.
    """
    folder = Path(folder)
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif not _PARTIAL.match(path.name):
            path.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def _clear_leftovers(path: Path) -> None:
    """Delete temporary files of `path` whose process is gone."""
    for left in path.parent.glob(f".*.partial.{glob.escape(_short(path.name))}"):
        _clear(left)


def _clear(left: Path) -> None:
    """Delete a temporary file if its process is gone, or so it seems from another machine."""
    found = _PARTIAL.match(left.name)
    if not found:
        return
    try:
        if found["host"] == _host():
            gone = not _is_alive(int(found["pid"]))
        else:
            gone = time.time() - left.stat().st_mtime > ABANDONED_SECONDS
        if gone:
            left.unlink(missing_ok=True)
    except FileNotFoundError:
        # Its own process, or another that clears, was faster.
        pass


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
    """Write `table` as tab-separated text without its index; missing values are empty fields.

    A carriage return within a field becomes a blank.
    """
    with atomic_path(path) as temporary:
        _without_returns(table).to_csv(temporary, sep="\t", index=False)


def _without_returns(table: pd.DataFrame) -> pd.DataFrame:
    """Replace carriage returns within text: they are written bare, and end a row when read."""
    for place, dtype in enumerate(table.dtypes):
        if dtype.kind != "O":
            continue
        values = table.iloc[:, place].astype(object)
        if any(isinstance(value, str) and "\r" in value for value in values):
            plain = [v.replace("\r", " ") if isinstance(v, str) else v for v in values]
            table = table.copy(deep=False)
            table.isetitem(place, pd.Series(plain, table.index, dtype=object))
    return table


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


def read_parquet(path: str | Path, columns: Iterable[str] = ()) -> pd.DataFrame:
    """Read a parquet table, of which `columns` alone where these are named.

    Raises
    ------
    InputError
        It lacks one of `columns`.
    CannotDo
        The table could not be made.
    """
    from pyarrow import parquet  # most of what imports this module reads none

    # Without threads: one that is still starting when a script ends at once aborts it.
    with parquet.ParquetFile(path, pre_buffer=False) as file:
        there = file.schema_arrow.names
        chosen = list(columns) if there != NOTE else []
        if missing := [column for column in chosen if column not in there]:
            raise InputError(path, f"columns {there}", f"a column named {' and '.join(missing)}")
        table = file.read(chosen or None, use_threads=False)
    return _refuse_note(table.to_pandas(use_threads=False))


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table, parquet or tab-separated text as its suffix says; see `read_tsv`."""
    return read_parquet(path) if Path(path).suffix == ".parquet" else read_tsv(path)


def read_tsv(path: str | Path, columns: Iterable[str] = (), **options) -> pd.DataFrame:
    """Read tab-separated text and demand `columns`.

    Only the empty field is missing: donor or gene names such as "NA" stay text, and so do names
    of cohorts, models and tissues that are numbers, such as "007", unless `options` say otherwise.

    Raises
    ------
    InputError
        The file is missing, unreadable or lacks one of `columns`.
    CannotDo
        The table could not be made.
    """
    path = require_file(path, "a tab-separated table")
    if isinstance(given := options.get("dtype", {}), dict):
        options["dtype"] = NAMES | given
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
