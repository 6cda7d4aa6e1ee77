"""Tables of samples and donors in GTEx's columns."""

import csv
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.cohort.lines import text_lines
from mtm.errors import InputError
from mtm.io import read_tsv

_BRACKET = r"^(\d+)-(\d+)$"
SAMPLE_COVARIATES = {
    "SMRIN": "rin",
    "SMTSISCH": "ischemic_minutes",
    "SMCENTER": "center",
    "SMGEBTCH": "batch",
    "SMATSSCR": "autolysis",
    "SMPTHNTS": "pathology_notes",
}
_NUMERIC_COVARIATES = ("SMRIN", "SMTSISCH", "SMATSSCR")


def _numbers(path: str | Path, table: pd.DataFrame, id_column: str, column: str) -> pd.Series:
    """Text column to float64; empty fields are NaN, anything else that is no number an error."""
    numbers = pd.to_numeric(table[column], errors="coerce")
    bad = ~np.isfinite(numbers) & table[column].notna()
    if bad.any():
        row = table[bad].iloc[0]
        raise InputError(
            f"{path}, column {column} of {row[id_column]}",
            repr(row[column]),
            "a number or nothing",
        )
    return numbers.astype(np.float64)


def _read_ids(
    path: str | Path, id_column: str, columns: Iterable[str] = (), **options
) -> pd.DataFrame:
    """Read a table as text and demand that `id_column` is filled and unique."""
    table = read_tsv(
        path, [id_column, *columns], dtype=str, quoting=csv.QUOTE_NONE, index_col=False, **options
    )
    if table[id_column].isna().any():
        row = int(table[id_column].isna().argmax())
        raise InputError(f"{path}, row {row + 1}", f"an empty {id_column}", "an id in every row")
    if table[id_column].duplicated().any():
        name = table.loc[table[id_column].duplicated(), id_column].iloc[0]
        raise InputError(f"{path}, column {id_column}", f"{name} twice", "every id once")
    return table


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
    table = _read_ids(path, "SAMPID", ["SMTSD"])
    result = pd.DataFrame(
        {"donor": table["SAMPID"].map(donor_of_sample), "tissue": table["SMTSD"]}
    )
    if "SUBJID" in table:
        result["donor"] = table["SUBJID"].fillna("")
    if "SMAFRZE" in table:
        result["freeze"] = table["SMAFRZE"]
    for column, name in SAMPLE_COVARIATES.items():
        if column in table:
            numeric = column in _NUMERIC_COVARIATES
            result[name] = _numbers(path, table, "SAMPID", column) if numeric else table[column]
    return result.set_index(pd.Index(table["SAMPID"], name="sample_id"))


def _coded(
    path: str | Path, table: pd.DataFrame, column: str, low: int, high: int, required: bool
) -> pd.Series:
    """Integer codes from `low` to `high`, as Int64."""
    numbers = _numbers(path, table, "SUBJID", column)
    bad = ~(numbers.isin(range(low, high + 1)) | (numbers.isna() & (not required)))
    if bad.any():
        row = table[bad].iloc[0]
        found = "nothing" if pd.isna(row[column]) else repr(row[column])
        expected = f"a code from {low} to {high}" + ("" if required else ", or nothing")
        raise InputError(f"{path}, column {column} of {row['SUBJID']}", found, expected)
    return numbers.astype("Int64")


def _ages(path: str | Path, table: pd.DataFrame) -> pd.DataFrame:
    """Bracket and age in years from the column AGE: brackets, or exact ages."""
    text = table["AGE"].fillna("")
    bounds = text.str.extract(_BRACKET).astype(float)
    exact = pd.to_numeric(text, errors="coerce")
    bad = (bounds[0].isna() & exact.isna()) | (bounds[0] > bounds[1]) | (exact < 0)
    if bad.any():
        row = table[bad].iloc[0]
        found = "nothing" if pd.isna(row["AGE"]) else repr(row["AGE"])
        raise InputError(
            f"{path}, column AGE of {row['SUBJID']}", found, "a bracket such as 60-69, or years"
        )
    decade = (exact // 10 * 10).fillna(0).astype(int)
    of_exact = decade.astype(str) + "-" + (decade + 9).astype(str)
    return pd.DataFrame(
        {
            "age_bracket": text.where(exact.isna(), of_exact),
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
    table = _read_ids(path, "SUBJID", ["SEX", "AGE"])
    if "DTHHRDY" not in table:
        table["DTHHRDY"] = pd.Series(np.nan, index=table.index, dtype=object)
    result = _ages(path, table)
    result.insert(0, "sex", _coded(path, table, "SEX", 1, 2, required=True))
    result["hardy"] = _coded(path, table, "DTHHRDY", 0, 4, required=False)
    return result.set_index(pd.Index(table["SUBJID"], name="donor"))


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
    n_comments = 0
    with closing(text_lines(Path(path))) as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                break
            n_comments += 1
    header = read_tsv(path, skiprows=n_comments, nrows=0, quoting=csv.QUOTE_NONE, index_col=False)
    id_column = next((name for name in ("SUBJID", "donor") if name in header), "SUBJID")
    table = _read_ids(path, id_column, skiprows=n_comments)
    if "AGE" in table:
        table["AGE"] = _numbers(path, table, id_column, "AGE")
    columns = {}
    for column in table.columns.drop(id_column):
        numbers = pd.to_numeric(table[column], errors="coerce")
        is_numeric = (numbers.notna() | table[column].isna()).all()
        columns[column] = numbers if is_numeric else table[column]
    return pd.DataFrame(columns, index=table.index).set_index(
        pd.Index(table[id_column], name="donor")
    )
