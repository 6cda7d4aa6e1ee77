"""What values of a person's or sample's fields can be: one place for ranges and codes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm.errors import InputError, numbered, shown


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
    "sex": Field(1, 2, "1, M or Male, 2, F or Female", coded=True),
    "hardy": Field(0, 4, "a code from 0 to 4 (Hardy scale)", coded=True),
    "rin": Field(0, 10, "an RNA integrity number, from 0 to 10"),
    # Blood may be drawn up to two days before death; a body is not used after four.
    "ischemic_minutes": Field(
        -2880, 5760, "minutes after death, from -2880 (blood alone) to 5760"
    ),
    "autolysis": Field(0, 3, "a score from 0 to 3", coded=True),
}
# Between the ages of a bracket, as Word and Excel write it.
DASH = r"\s*[-\u2010-\u2015\u2212]\s*"
# An age as tables that tell no more of a person have it.
_OPEN_END = r"[<>=\u2264\u2265\s]*\d+\s*\+?"
_BRACKET = r"^(\d{1,3})-(\d{1,3})$"
# How tables write sex, whatever the case of letters.
SEX_CODES = {"1": 1, "m": 1, "male": 1, "2": 2, "f": 2, "female": 2}


def numbers_of(column: pd.Series) -> pd.Series:
    """Text to float64; NaN where a field is empty or no finite number."""
    numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
    return numbers.where(np.isfinite(numbers))


def plain_brackets(ages: pd.Series) -> pd.Series:
    """Return ages, given as text, with a plain hyphen in brackets."""
    return ages.str.replace(rf"(?<=\d){DASH}(?=\d)", "-", regex=True)


def bounds_of_ages(ages: pd.Series) -> tuple[pd.DataFrame, pd.Series]:
    """Return ends of brackets (60-69), and exact ages; NaN where it is the other."""
    text = plain_brackets(ages.astype("string").fillna("").str.strip())
    return text.str.extract(_BRACKET).astype(float), numbers_of(ages)


def are_brackets(bounds: pd.DataFrame) -> pd.Series:
    """Whether the ends of each are ages that people have, in order."""
    possible = FIELDS["age"]
    within = possible.allows(bounds[0]) & possible.allows(bounds[1])
    return within & (bounds[0] <= bounds[1])


def age_problems(
    where: object, ids: pd.Series, ages: pd.Series, advice: str = ""
) -> Iterator[InputError]:
    """Yield what is wrong with ages that are brackets or in years, as `field_problems`.

    `advice` is for whom none of another kind fits.
    """
    bounds, exact = bounds_of_ages(ages)
    possible = FIELDS["age"]
    missing = ages.isna() | (ages.astype(str).str.strip() == "")
    # As text to numbers, not as numbers, "1e2" and "inf" are none.
    bad = ~missing & ~are_brackets(bounds) & ~(possible.allows(exact) & exact.notna())
    if bad.any():
        row = int(np.argmax(bad))
        found = str(ages.iloc[row])
        more = f" (and {numbered(int(bad.sum()) - 1, 'further row')})" if bad.sum() > 1 else ""
        if not exact.notna().iloc[row] and re.fullmatch(_OPEN_END, found):
            advice = (
                "An open end has no middle: write an age, 90 for instance, or a bracket, 89-99."
            )
        yield InputError(
            f"{where}, row {row + 1}, column {ages.name} of {ids.iloc[row]}",
            shown(found) + more,
            f"a bracket such as 60-69, {possible.meaning}, or nothing",
            advice,
        )


def sex_codes(
    where: object, ids: pd.Series, column: pd.Series
) -> tuple[pd.Series, list[InputError]]:
    """Return sex as codes, Int64, 1 male and 2 female, and what is wrong with it."""
    text = column.astype("string").str.strip().str.casefold().str.removesuffix(".0")
    codes = text.map(SEX_CODES).astype("Float64").astype("Int64")
    known = codes.astype(object).where(codes.notna(), column)
    problems = field_problems(where, ids, known.rename(column.name), FIELDS["sex"])
    return codes, list(problems)


def field_problems(
    where: object, ids: pd.Series, column: pd.Series, field: Field | None
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
    """
    numbers = numbers_of(column)
    missing = column.isna() | (column.astype(str).str.strip() == "")
    expected = field.meaning if field else "a number"
    wrong = ~missing & (numbers.isna() | (field is not None and ~field.allows(numbers)))
    if wrong.any():
        row = int(np.argmax(wrong))
        more = f" (and {numbered(int(wrong.sum()) - 1, 'further row')})" if wrong.sum() > 1 else ""
        yield InputError(
            f"{where}, row {row + 1}, column {column.name} of {ids.iloc[row]}",
            shown(str(column.iloc[row])) + more,
            f"{expected}, or nothing",
        )


def check_traits(traits: pd.DataFrame, where: object = "traits") -> pd.DataFrame:
    """Return covariates of new people, sex as codes and age in years, unless they cannot be.

    An age that is a bracket is the middle of it, as in a cohort.

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
    ids, problems = pd.Series(traits.index.astype(str)), []
    if "sex" in traits:
        sex, problems = sex_codes(where, ids, traits["sex"].reset_index(drop=True))
        traits = traits.assign(sex=sex.astype(float).to_numpy())
    if "age" in traits:
        problems += age_problems(where, ids, traits["age"].reset_index(drop=True))
        traits = traits.assign(age=_in_years(traits["age"]))
    problems += [
        problem
        for name in traits.columns
        if name in FIELDS and name not in ("sex", "age")
        for problem in field_problems(
            where, ids, traits[name].reset_index(drop=True), FIELDS[name]
        )
    ]
    if problems:
        raise InputError.together(problems)
    return traits


def _in_years(ages: pd.Series) -> pd.Series:
    """Return ages with the middle of every bracket in its place; all else as it stands."""
    bounds, exact = bounds_of_ages(ages)
    brackets = are_brackets(bounds)
    if not brackets.any():
        return ages
    years = ages.astype(object).mask(brackets, (bounds[0] + bounds[1]) / 2)
    return years.mask(exact.notna(), exact)
