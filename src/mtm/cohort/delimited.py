"""Tables as text, tab-separated or with commas (``.csv``), read strictly."""

import csv
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.cohort.lines import text_lines
from mtm.errors import InputError

logger = logging.getLogger(__name__)

CSV = (".csv", ".csv.gz")
_MOST_BYTES = 1 << 29
_MOST_PROBLEMS = 20


def is_csv(path: str | Path) -> bool:
    """Whether a file is one with commas, by its name."""
    return str(path).lower().endswith(CSV)


def comma_fields(line: str) -> list[str]:
    """Split a line at its commas, those within quotes left out."""
    return next(csv.reader([line], skipinitialspace=True), [""])


def tab_fields(line: str) -> list[str]:
    """Split a line at its tabs; quotes around whole fields are left out."""
    fields = line.split("\t")
    return [_unquoted(field) for field in fields] if '"' in line else fields


def _unquoted(field: str) -> str:
    """Return a field without the quotes around it."""
    whole = len(field) > 1 and field[0] == field[-1] == '"'
    return field[1:-1].replace('""', '"') if whole else field


def splitting(path: Path, header: str) -> Callable[[str], list[str]]:
    """Return how lines become fields; quotes mean something where the header has them."""
    if is_csv(path):
        return comma_fields
    return tab_fields if header.startswith('"') else lambda line: line.split("\t")


def table_columns(path: str | Path) -> list[str]:
    """Columns of a table, as its header has them."""
    with closing(text_lines(Path(path))) as lines:
        header = _header(enumerate(lines, 1))
    return [name.strip() for name in splitting(Path(path), header)(header)]


def _header(numbered: Iterator[tuple[int, str]]) -> str:
    """Take the header from the lines; what is empty or begins with # before it is passed over."""
    filled = (line for _, line in numbered if line.strip() and not line.startswith("#"))
    return next(filled, "").removeprefix("\ufeff")


def strict_table(path: str | Path, id_column: str, columns: Iterable[str] = ()) -> pd.DataFrame:
    """Read a table as `text_table`, with every id once.

    Raises
    ------
    InputError
        What `text_table` refuses; an id is empty or stands twice.
    """
    table = text_table(path, [id_column, *columns])
    _demand_ids(Path(path), table[id_column])
    return table


def text_table(path: str | Path, columns: Iterable[str] = ()) -> pd.DataFrame:
    """Read a table strictly: every row whole, every column once.

    Lines before the header that are empty or begin with ``#`` are passed over, as are empty lines.
    Blanks around a field are left out.

    Returns
    -------
    pd.DataFrame
        Text; empty fields are missing.

    Raises
    ------
    InputError
        One of `columns` is missing, a column stands twice; a row of another number of fields.
    """
    path = Path(path)
    with closing(text_lines(path)) as lines:
        numbered = enumerate(lines, 1)
        header = _header(numbered)
        split = splitting(path, header)
        names = [name.strip() for name in split(header)]
        _demand_columns(path, names, list(columns))
        rows = list(_rows(path, len(names), numbered, split))
    if not rows:
        raise InputError(path, "a header and no row", "one row for each")
    table = pd.DataFrame(rows, columns=names, dtype=object)
    trimmed = table.map(str.strip)
    for name in columns:
        changed = trimmed[name] != table[name]
        if changed.any():
            logger.warning(
                "%s, column %s: blanks around %d values are left out, first row %d",
                path, name, changed.sum(), int(np.argmax(changed)) + 1,
            )  # fmt: skip
    return trimmed.mask(trimmed == "")


def _demand_columns(path: Path, names: list[str], wanted: list[str]) -> None:
    """Refuse a header that lacks a column or has one twice."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path}, header", f"column {twice[0]!r} twice", "every column once")
    missing = [name for name in dict.fromkeys(wanted) if name not in names]
    if missing:
        shown = f"{names[:12]}{' ...' if len(names) > 12 else ''}"
        hint = "The configuration's section columns says how columns are named."
        if len(names) == 1 and "," in names[0]:
            hint = "The name of a table with commas ends in .csv."
        raise InputError(path, f"columns {shown}", f"a column named {' and '.join(missing)}", hint)


def _rows(
    path: Path,
    n_columns: int,
    numbered: Iterator[tuple[int, str]],
    split: Callable[[str], list[str]],
) -> Iterator[list[str]]:
    """Yield the fields of every row, of which there must be one a column."""
    n_bytes, bad = 0, []
    for number, line in numbered:
        if not line.strip():
            continue
        n_bytes += len(line)
        fields = split(line)
        if n_bytes > _MOST_BYTES:
            raise InputError(
                path, f"more than {_MOST_BYTES:,} bytes", "a table of people or samples"
            )
        if len(fields) != n_columns or "\0" in line:
            found = "a NUL byte" if "\0" in line else f"{len(fields)} fields"
            bad.append(InputError(f"{path}, line {number}", found, f"{n_columns} fields of text"))
            if len(bad) == _MOST_PROBLEMS:
                break
        yield fields
    if bad:
        raise InputError.together(bad)


def _demand_ids(path: Path, ids: pd.Series) -> None:
    """Demand ids that are filled and unique."""
    if ids.isna().any():
        row = int(np.argmax(ids.isna()))
        raise InputError(f"{path}, row {row + 1}", f"an empty {ids.name}", "an id in every row")
    if ids.duplicated().any():
        row = int(np.argmax(ids.duplicated()))
        raise InputError(
            f"{path}, row {row + 1}, column {ids.name}", f"{ids.iloc[row]} twice", "every id once"
        )
