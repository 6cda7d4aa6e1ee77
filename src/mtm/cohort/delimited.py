"""Tables as text, tab-separated or with commas (``.csv``), read strictly."""

import csv
import logging
from collections.abc import Iterable, Iterator
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


def fields_of(line: str, with_commas: bool) -> list[str]:
    """Split a line into fields, without the quotes around them and the blanks around these."""
    if with_commas:
        return next(csv.reader([line], skipinitialspace=True), [""])
    if '"' not in line:
        return line.split("\t")
    return next(csv.reader([line], delimiter="\t"), [""])


def table_columns(path: str | Path) -> list[str]:
    """Columns of a table, as its header has them."""
    with closing(text_lines(Path(path))) as lines:
        return _header(Path(path), enumerate(lines, 1))


def _header(path: Path, numbered: Iterator[tuple[int, str]]) -> list[str]:
    """Take the header from the lines; what is empty or begins with # before it is passed over."""
    filled = (line for _, line in numbered if line.strip() and not line.startswith("#"))
    header = next(filled, "").removeprefix("\ufeff")
    return [name.strip() for name in fields_of(header, is_csv(path))]


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
        names = _header(path, numbered)
        _demand_columns(path, names, list(columns))
        rows = list(_rows(path, len(names), numbered))
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


def _rows(path: Path, n_columns: int, numbered: Iterator[tuple[int, str]]) -> Iterator[list[str]]:
    """Yield the fields of every row, of which there must be one a column."""
    n_bytes, bad, with_commas = 0, [], is_csv(path)
    for number, line in numbered:
        if not line.strip():
            continue
        n_bytes += len(line)
        fields = fields_of(line, with_commas)
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
