"""What two tables tell of the same people: held against each other, and put together."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from mtm.cohort.spellings import without_zeros
from mtm.cohort.tables import DONOR_PHENOTYPES
from mtm.errors import InputError, numbered, shown
from mtm.settings.cohort import Columns

# Ages may be of enrolment here and of sampling there.
YEARS_BETWEEN = 2


def demand_rows(donor_ids: pd.Index, listed: pd.Index, where: str | Path) -> None:
    """Demand that the table of donors, which lists some, has a row of every donor."""
    missing = donor_ids.difference(listed)
    if not len(missing):
        return
    sought = without_zeros(missing[:1].to_series()).iloc[0]
    alike = listed[(without_zeros(listed.to_series()) == sought).to_numpy()]
    hint = "What is not known of a donor is an empty field."
    if len(alike):
        hint = f"It has {shown(alike[0])} for {shown(missing[0])}: write both alike."
    found = f"no row for {numbered(len(missing), 'donor')}, first {missing[0]}"
    raise InputError(where, found, "every donor's row", hint)


def with_told(
    donors: pd.DataFrame,
    of_samples: pd.DataFrame,
    rows: pd.Series,
    columns: Columns,
    where: str | Path,
    where_samples: str | Path,
) -> pd.DataFrame:
    """Fill what the table of donors leaves open with what samples tell of them.

    Parameters
    ----------
    donors
        From the table of donors, indexed by donor id.
    of_samples
        What `mtm.cohort.build.people_of` returns.
    rows
        Of each donor, the row in the table.
    columns, where, where_samples
        How columns are named, and the files, for errors.

    Returns
    -------
    pd.DataFrame
        The columns of `donors`; sex, ages and Hardy class filled.

    Raises
    ------
    InputError
        The two tables contradict each other.
    """
    theirs = of_samples.reindex(donors.index)
    problems = []
    for role, differs in _differing(donors, theirs):
        donor, column = differs.index[differs][0], columns.read_as(role)
        n = int(differs.sum()) - 1
        said, other = (
            f"{table[role][donor]:g}" if role != "age" else _age_said(table.loc[donor])
            for table in (donors, theirs)
        )
        problems.append(
            InputError(
                f"{where}, row {rows[donor]}, column {column} of {donor}",
                said + f" (and {numbered(n, 'further donor')} told otherwise)" * (n > 0),
                f"{other}, as the rows of {donor} in {where_samples} say (column {column})",
                "Correct the table that is wrong, or take the column out of it.",
            )
        )
    if problems:
        raise InputError.together(problems)
    told = [name for name in DONOR_PHENOTYPES if name in donors and name in theirs]
    return donors.assign(**{name: donors[name].fillna(theirs[name]) for name in told})


def _differing(donors: pd.DataFrame, theirs: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
    """Yield the roles in which two tables of the same donors contradict each other, and whose."""
    for role, name in (("sex", "sex"), ("age", "age_bracket"), ("hardy", "hardy")):
        if name not in donors or name not in theirs:
            continue
        if role == "age":
            (low, high), (other_low, other_high) = _ages_within(donors), _ages_within(theirs)
            apart = YEARS_BETWEEN
            differs = (low >= other_high + apart) | (other_low >= high + apart)
        else:
            differs = (donors[name] != theirs[name]).fillna(False)
        if differs.any():
            yield role, differs


def _ages_within(people: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Return the ages from and below which people are; a year for who has an exact age."""
    bounds = people["age_bracket"].astype("string").str.extract(r"^(\d+)-(\d+)$").astype(float)
    exact = people["age"] != (bounds[0] + bounds[1]) / 2
    return people["age"].where(exact, bounds[0]), people["age"].where(exact, bounds[1]) + 1


def _age_said(person: pd.Series) -> str:
    """Return an age as a table may have given it."""
    low, high = (series.iloc[0] for series in _ages_within(person.to_frame().T))
    return f"{person['age']:g}" if high == low + 1 else person["age_bracket"]
