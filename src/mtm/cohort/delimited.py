"""Tables as text, tab-separated or with commas (``.csv``), read strictly."""

import csv
import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.cohort.lines import LONGEST_LINE, repeated, text_lines
from mtm.cohort.spellings import spelt
from mtm.errors import InputError, numbered

logger = logging.getLogger(__name__)

CSV = (".csv", ".csv.gz")
_MOST_BYTES = 1 << 29
_MOST_PROBLEMS = 20
# The longest line that is read bounds a field too.
csv.field_size_limit(LONGEST_LINE)
NAMED_COLUMNS = "The configuration's section columns says how columns are named."


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
    if len(field) < 2 or not field[0] == field[-1] == '"':
        return field
    inner = field[1:-1]
    # Quotes within are doubled (Excel), or have a backslash (R); any other is a sign of its own.
    if '"' in inner.replace('\\"', "").replace('""', ""):
        return field
    return inner.replace('""', '"').replace('\\"', '"')


def splitting(path: Path) -> Callable[[str], list[str]]:
    """Return how lines become fields."""
    return comma_fields if is_csv(path) else tab_fields


def table_columns(path: str | Path, wanted: Collection[str]) -> list[str]:
    """Columns of a table, as its header has them; `wanted` is of `take_header`."""
    with closing(text_lines(Path(path))) as lines:
        header, _ = take_header(Path(path), enumerate(lines, 1), wanted)
    return [name.strip() for name in splitting(Path(path))(header)]


def take_header(
    path: Path,
    numbered: Iterator[tuple[int, str]],
    wanted: Collection[str],
    commented: bool = False,
) -> tuple[str, Iterator[tuple[int, str]]]:
    """Take the header from the lines of a table.

    What is empty or begins with # before it is passed over, but for a # directly before the first
    row and the names of its columns: these are the header.

    Parameters
    ----------
    numbered
        Lines with their numbers.
    wanted
        Columns of the table: the line with all of them is the header.
    commented
        Whether the header begins with #, where columns are not known.

    Returns
    -------
    str, iterator of int, str
        The header, and the lines after it.
    """
    comment = ""
    for number, line in numbered:
        if line.startswith("#"):
            comment = line
        elif not line.strip():
            comment = ""
        elif _names_columns(path, comment, line, wanted, commented):
            return comment[1:], chain([(number, line)], numbered)
        else:
            return line.removeprefix("\ufeff"), numbered
    return "", numbered


def _names_columns(
    path: Path, comment: str, first: str, wanted: Collection[str], commented: bool
) -> bool:
    """Whether a line that begins with # names the columns of the table whose row follows."""
    names, fields = (
        [field.strip() for field in splitting(path)(line)] for line in (comment[1:], first)
    )
    # dbGaP's line of ids of variables begins with two.
    if len(names) < 2 or len(names) != len(fields) or comment.startswith("##") or not all(names):
        return False
    return commented or set(wanted) <= set(names) and not set(wanted) <= set(fields)


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


def text_table(
    path: str | Path,
    columns: Iterable[str] = (),
    hint: str = NAMED_COLUMNS,
    commented: bool = False,
) -> pd.DataFrame:
    """Read a table strictly: every row whole, every column once.

    Lines before the header that are empty or begin with ``#`` are passed over (`take_header`), as
    are rows without a filled field. Blanks around a field are left out, and quotes around a whole
    one; accents of rows are one sign each.

    Parameters
    ----------
    columns
        That it must have.
    hint
        What to do where one is missing.

    Returns
    -------
    pd.DataFrame
        Text; empty fields are missing.

    Raises
    ------
    InputError
        One of `columns` is missing, a column stands twice; a row of another number of fields.
    """
    path, columns = Path(path), list(columns)
    with closing(text_lines(path)) as lines:
        header, numbered = take_header(path, enumerate(lines, 1), columns, commented)
        split = splitting(path)
        names = [name.strip() for name in split(header)]
        demand_separator(path, names)
        _demand_columns(path, names, columns, hint)
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


def demand_separator(path: Path, names: list[str]) -> None:
    """Refuse a header of one field that something else than the separator of its form parts."""
    for separator, said in ((";", "semicolons"), ("\t", "tabs"), (",", "commas")):
        if len(names) == 1 and separator in names[0]:
            raise other_separator(path, said)


def other_separator(path: Path, said: str) -> InputError:
    """Return the error of a table that is not parted as its name says."""
    return InputError(
        f"{path}, line 1",
        f"fields with {said} between them",
        f"{'commas' if is_csv(path) else 'tabs'}, by the file's name",
        "A table with commas has a name that ends in .csv, one with tabs .tsv; numbers have a "
        "point.",
    )


def _demand_columns(path: Path, names: list[str], wanted: list[str], hint: str) -> None:
    """Refuse a header that lacks a column or has one twice."""
    for name in repeated(names)[:1]:
        if not name:
            found = f"{names.count('')} columns without a name"
            raise InputError(f"{path}, header", found, "a name for each", "Leave empty ones out.")
        raise InputError(f"{path}, header", f"column {name!r} twice", "every column once")
    missing = [name for name in dict.fromkeys(wanted) if name not in names]
    if missing:
        shown = f"{names[:12]}{' ...' if len(names) > 12 else ''}"
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
        fields = split(spelt(line))
        if not any(map(str.strip, fields)):
            continue
        if n_bytes > _MOST_BYTES:
            raise InputError(
                path, f"more than {_MOST_BYTES:,} bytes", "a table of people or samples"
            )
        if len(fields) != n_columns:
            bad.append(_of_row(path, number, line, len(fields), n_columns))
            if len(bad) == _MOST_PROBLEMS:
                break
        yield fields
    if bad:
        raise InputError.together(bad)


def one_more(path: Path, ends_empty: bool, may_be_empty: bool = False) -> str:
    """Say what to do about a row of one field more than the header, perhaps an empty last one."""
    lacking = "If R wrote the table, its header lacks the name of the first column: add it."
    if not ends_empty:
        return lacking
    separators = "commas" if is_csv(path) else "tabs"
    leave_out = f"Leave {separators} at the ends of lines out."
    return f"{lacking} Else: {leave_out}" if may_be_empty else leave_out


def _of_row(path: Path, number: int, line: str, n_fields: int, n_columns: int) -> InputError:
    """Return the error of a row of another number of fields."""
    hint = ""
    if line.count('"') % 2:
        hint = "A quote does not end in this line: leave line ends within fields out."
    elif n_fields == n_columns + 1:
        ends_empty = line.rstrip(" ").endswith("," if is_csv(path) else "\t")
        hint = one_more(path, ends_empty, may_be_empty=True)
    expected = f"{numbered(n_columns, 'field')} of text"
    return InputError(f"{path}, line {number}", numbered(n_fields, "field"), expected, hint)


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
