"""What values of a person's or sample's fields can be: one place for ranges and codes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm.errors import InputError


@dataclass(frozen=True)
class Field:
    """A number or code that a table may give.

    Parameters
    ----------
    low, high
        Least and largest value there can be.
    meaning
        What is expected, in words.
    coded
        Whether it is a code, and so a whole number.
    """

    low: float
    high: float
    meaning: str
    coded: bool = False

    def allows(self, numbers: pd.Series) -> pd.Series:
        """Whether each number is one; missing ones are."""
        within = (numbers >= self.low) & (numbers <= self.high)
        return numbers.isna() | (within & (not self.coded or numbers % 1 == 0))


FIELDS = {
    "age": Field(0, 120, "an age in years, from 0 to 120"),
    "sex": Field(1, 2, "a code from 1 to 2 (1 male, 2 female)", coded=True),
    "hardy": Field(0, 4, "a code from 0 to 4 (Hardy scale)", coded=True),
    "rin": Field(0, 10, "an RNA integrity number, from 0 to 10"),
    # Blood may be drawn up to two days before death; a body is not used after four.
    "ischemic_minutes": Field(
        -2880, 5760, "minutes after death, from -2880 (blood alone) to 5760"
    ),
    "autolysis": Field(0, 3, "a score from 0 to 3", coded=True),
}
# GTEx's names of them.
GTEX_FIELDS = {
    "AGE": "age",
    "SEX": "sex",
    "DTHHRDY": "hardy",
    "SMRIN": "rin",
    "SMTSISCH": "ischemic_minutes",
    "SMATSSCR": "autolysis",
}


def numbers_of(column: pd.Series) -> pd.Series:
    """Text to float64; NaN where a field is empty or no finite number."""
    numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
    return numbers.where(np.isfinite(numbers))


def field_problems(
    where: object, ids: pd.Series, column: pd.Series, field: Field | None, required: bool = False
) -> Iterator[InputError]:
    """Yield what is wrong with a column of a table, the first row of each kind named.

    Parameters
    ----------
    where
        File.
    ids
        Name of each row.
    column
        Text or numbers; its name is that of the column.
    field
        What it holds; None for any finite number.
    required
        Whether it must be filled.
    """
    numbers = numbers_of(column)
    missing = column.isna() | (column.astype(str).str.strip() == "")
    expected = field.meaning if field else "a number"
    wrong = ~missing & (numbers.isna() | (field is not None and ~field.allows(numbers)))
    for bad, found in ((wrong, None), (missing & required, "nothing")):
        if bad.any():
            row = int(np.argmax(bad))
            more = f" (and {int(bad.sum()) - 1} further rows)" if bad.sum() > 1 else ""
            yield InputError(
                f"{where}, row {row + 1}, column {column.name} of {ids.iloc[row]}",
                (found or repr(str(column.iloc[row]))) + more,
                expected if required else f"{expected}, or nothing",
            )


def check_traits(traits: pd.DataFrame, where: object = "traits") -> pd.DataFrame:
    """Return covariates of new people, unless they cannot be.

    Parameters
    ----------
    traits
        One row a sample, indexed by its name; columns as in `cohort/donors.tsv` and the samples of
        a cohort. Those that are not in `FIELDS` are passed over.

    Raises
    ------
    InputError
        An age, code or measure that nobody can have; all columns are told of.
    """
    ids = pd.Series(traits.index.astype(str))
    problems = [
        problem
        for name in traits.columns
        if name in FIELDS
        for problem in field_problems(
            where, ids, traits[name].reset_index(drop=True), FIELDS[name]
        )
    ]
    if problems:
        raise InputError.together(problems)
    return traits
