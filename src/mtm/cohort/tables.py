"""Tables of samples and donors in GTEx's columns."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.cohort.fields import FIELDS, GTEX_FIELDS, field_problems, numbers_of
from mtm.cohort.lines import text_lines
from mtm.errors import InputError

logger = logging.getLogger(__name__)

_BRACKET = r"^(\d{1,3})-(\d{1,3})$"
_OPEN_CODES = {"SEX": "sex", "DTHHRDY": "hardy"}
SAMPLE_COVARIATES = {
    "SMRIN": "rin",
    "SMTSISCH": "ischemic_minutes",
    "SMCENTER": "center",
    "SMGEBTCH": "batch",
    "SMATSSCR": "autolysis",
    "SMPTHNTS": "pathology_notes",
}
_MOST_BYTES = 1 << 29
_MOST_PROBLEMS = 20


def _strict_table(path: str | Path, id_column: str, columns: Iterable[str] = ()) -> pd.DataFrame:
    """Read tab-separated text strictly: every row whole, every column and id once.

    Lines before the header that are empty or begin with ``#`` are passed over, as are empty lines.
    Blanks around a field are left out.

    Returns
    -------
    pd.DataFrame
        Text; empty fields are missing.
    """
    path = Path(path)
    with closing(text_lines(path)) as lines:
        numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
        header = next((line for _, line in numbered if not line.startswith("#")), "")
        names = [name.strip() for name in header.removeprefix("\ufeff").split("\t")]
        _demand_columns(path, names, [id_column, *columns])
        rows = list(_rows(path, len(names), numbered))
    if not rows:
        raise InputError(path, "a header and no row", "one row for each")
    table = pd.DataFrame(rows, columns=names, dtype=object)
    trimmed = table.map(str.strip)
    for name in (id_column, *columns):
        changed = trimmed[name] != table[name]
        if changed.any():
            logger.warning(
                "%s, column %s: blanks around %d values are left out, first row %d",
                path, name, changed.sum(), int(np.argmax(changed)) + 1,
            )  # fmt: skip
    table = trimmed.mask(trimmed == "")
    _demand_ids(path, table[id_column])
    return table


def _demand_columns(path: Path, names: list[str], wanted: list[str]) -> None:
    """Refuse a header that lacks a column or has one twice."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path}, header", f"column {twice[0]!r} twice", "every column once")
    missing = [name for name in wanted if name not in names]
    if missing:
        shown = f"{names[:12]}{' ...' if len(names) > 12 else ''}"
        raise InputError(path, f"columns {shown}", f"a column named {' and '.join(missing)}")


def _rows(path: Path, n_columns: int, numbered: Iterator[tuple[int, str]]) -> Iterator[list[str]]:
    """Yield the fields of every row, of which there must be one a column."""
    n_bytes, bad = 0, []
    for number, line in numbered:
        n_bytes += len(line)
        fields = line.split("\t")
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


def _raise(problems: list[InputError]) -> None:
    """Raise all problems of a table together, if there are any."""
    if problems:
        raise InputError.together(problems)


def donor_of_sample(sample_id: str) -> str:
    """Donor id of a GTEx sample id: its first two dash-separated fields; "" if it has fewer."""
    fields = sample_id.split("-")
    return "-".join(fields[:2]) if len(fields) > 1 else ""


def read_sample_attributes(path: str | Path) -> pd.DataFrame:
    """Read GTEx's sample attributes, or a table of the same columns.

    Needs SAMPID and SMTSD. A column SUBJID names the donor where sample ids are not GTEx's.

    Returns
    -------
    pd.DataFrame
        Indexed by sample id: ``donor`` ("" if unknown), ``tissue`` (missing where SMTSD is
        empty), ``freeze`` (SMAFRZE, where there), then the columns of `SAMPLE_COVARIATES` that
        the file has.

    Raises
    ------
    InputError
        A column is missing, a sample stands twice, or a covariate is no number.
    """
    table = _strict_table(path, "SAMPID", ["SMTSD"])
    ids = table["SAMPID"]
    result = pd.DataFrame({"donor": ids.map(donor_of_sample), "tissue": table["SMTSD"]})
    if "SUBJID" in table:
        result["donor"] = table["SUBJID"].fillna("")
    if "SMAFRZE" in table:
        result["freeze"] = table["SMAFRZE"]
    problems = list(_spellings(path, table["SMTSD"]))
    for column, name in SAMPLE_COVARIATES.items():
        if column not in table:
            continue
        result[name] = table[column]
        if column in GTEX_FIELDS:
            problems += field_problems(path, ids, table[column], FIELDS[GTEX_FIELDS[column]])
            result[name] = numbers_of(table[column])
    problems += _before_death(path, ids, result)
    _raise(problems)
    return result.set_index(pd.Index(ids, name="sample_id"))


def _spellings(path: str | Path, tissues: pd.Series) -> Iterator[InputError]:
    """Yield tissues that are spelt in several ways, which would be tissues of their own."""
    counts = tissues.value_counts()
    folded = counts.index.to_series().str.replace(r"[\s_]+", " ", regex=True).str.casefold()
    for same in folded.groupby(folded).groups.values():
        if len(same) > 1:
            found = " and ".join(f"{name!r} ({counts[name]} samples)" for name in same)
            yield InputError(f"{path}, column SMTSD", found, "one spelling of a tissue")


def _before_death(path: str | Path, ids: pd.Series, samples: pd.DataFrame) -> Iterator[InputError]:
    """Yield a sample that was taken before death and is no blood."""
    if "ischemic_minutes" not in samples:
        return
    before = samples["ischemic_minutes"] < 0
    blood = samples["tissue"].fillna("").str.contains("blood", case=False)
    if (before & ~blood).any():
        row = int(np.argmax(before & ~blood))
        yield InputError(
            f"{path}, row {row + 1}, column SMTSISCH of {ids.iloc[row]}",
            f"{samples['ischemic_minutes'].iloc[row]:g} minutes for {samples['tissue'].iloc[row]}",
            "0 or more, as blood alone is drawn before death",
        )
    elif before.any():
        logger.warning(
            "%s, column SMTSISCH: %d blood samples were drawn before death, first %s (%g minutes)",
            path, before.sum(), ids[before].iloc[0], samples["ischemic_minutes"][before].iloc[0],
        )  # fmt: skip


def _age_problems(path: str | Path, table: pd.DataFrame) -> Iterator[InputError]:
    """Yield ages that are neither a bracket of ages in years nor one."""
    bounds, exact = _bounds(table)
    possible = FIELDS["age"]
    # As text to numbers, not as numbers, "1e2" and "inf" are none.
    bracket = possible.allows(bounds[0]) & possible.allows(bounds[1]) & (bounds[0] <= bounds[1])
    bad = ~(bracket & bounds[0].notna()) & ~(possible.allows(exact) & exact.notna())
    if bad.any():
        row = int(np.argmax(bad))
        age = table["AGE"].iloc[row]
        more = f" (and {int(bad.sum()) - 1} further rows)" if bad.sum() > 1 else ""
        yield InputError(
            f"{path}, row {row + 1}, column AGE of {table['SUBJID'].iloc[row]}",
            ("nothing" if pd.isna(age) else repr(age)) + more,
            f"a bracket such as 60-69, or {possible.meaning}",
        )


def _bounds(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Return ends of brackets, and exact ages, of the column AGE; NaN where it is the other."""
    text = table["AGE"].fillna("")
    return text.str.extract(_BRACKET).astype(float), numbers_of(table["AGE"])


def _ages(table: pd.DataFrame) -> pd.DataFrame:
    """Bracket and age in years from the column AGE: brackets, or exact ages."""
    bounds, exact = _bounds(table)
    decade = (exact // 10 * 10).fillna(0).astype(int)
    of_exact = decade.astype(str) + "-" + (decade + 9).astype(str)
    return pd.DataFrame(
        {
            "age_bracket": table["AGE"].where(exact.isna(), of_exact),
            "age": exact.fillna((bounds[0] + bounds[1]) / 2),
        }
    )


def read_subject_phenotypes(path: str | Path) -> pd.DataFrame:
    """Read GTEx's open-access subject phenotypes, or a table of the same columns.

    Needs SUBJID, SEX and AGE; DTHHRDY may be missing.

    Returns
    -------
    pd.DataFrame
        Indexed by donor id: ``sex`` (1 male, 2 female), ``age_bracket``, ``age`` (years; middle
        of the bracket, (60 + 69) / 2, where AGE is one), ``hardy`` (0 to 4 or missing).

    Raises
    ------
    InputError
        A column is missing, a donor stands twice, or a code is none of GTEx's.
    """
    table = _strict_table(path, "SUBJID", ["SEX", "AGE"])
    if "DTHHRDY" not in table:
        table["DTHHRDY"] = pd.Series(np.nan, index=table.index, dtype=object)
    ids, problems = table["SUBJID"], list(_age_problems(path, table))
    for column, name in _OPEN_CODES.items():
        required = column == "SEX"
        problems += field_problems(path, ids, table[column], FIELDS[name], required)
    _raise(problems)
    result = _ages(table)
    for place, (column, name) in zip((0, 3), _OPEN_CODES.items(), strict=True):
        result.insert(place, name, numbers_of(table[column]).astype("Int64"))
    return result.set_index(pd.Index(ids, name="donor"))


def read_controlled_phenotypes(path: str | Path) -> pd.DataFrame:
    """Read the controlled-access subject phenotypes as dbGaP hands them out.

    Lines before the header that are empty or begin with ``#`` are passed over. The donor is in
    SUBJID or ``donor``.

    Returns
    -------
    pd.DataFrame
        Indexed by donor id, columns as in the file; AGE in exact years. A column is numeric if
        every filled field of it is a number, else text.

    Raises
    ------
    InputError
        There is no donor column, a donor stands twice, or AGE is no number.
    """
    with closing(text_lines(Path(path))) as lines:
        header = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    names = [name.strip() for name in header.split("\t")]
    id_column = next((name for name in ("SUBJID", "donor") if name in names), "SUBJID")
    table = _strict_table(path, id_column)
    if "AGE" in table:
        _raise(list(field_problems(path, table[id_column], table["AGE"], FIELDS["age"])))
    columns = {}
    for column in table.columns.drop(id_column):
        numbers = numbers_of(table[column])
        is_numeric = column == "AGE" or (numbers.notna() | table[column].isna()).all()
        columns[column] = pd.to_numeric(table[column]) if is_numeric else table[column]
    return pd.DataFrame(columns, index=table.index).set_index(
        pd.Index(table[id_column], name="donor")
    )
