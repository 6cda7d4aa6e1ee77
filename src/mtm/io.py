"""Tables on disk: written whole or not at all; in place of one that cannot be made, its reason."""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from mtm.errors import CannotDo, InputError

# Columns of the one row that stands in place of a table that could not be made.
NOTE = ["not_done", "reason", "remedy"]


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


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, delete it on failure.

    The temporary name keeps the suffixes of `path`, so that writers which look at them work.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.partial.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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
