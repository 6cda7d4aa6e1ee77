"""Tables of samples and donors: what their columns mean, by the names that a cohort gives them."""

import logging
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.cohort.delimited import strict_table, table_columns
from mtm.cohort.fields import (
    FIELDS,
    age_problems,
    bounds_of_ages,
    field_problems,
    numbers_of,
    plain_brackets,
    sex_codes,
)
from mtm.cohort.levels import as_levels
from mtm.cohort.spellings import differ_in, folded, spelt, without_zeros
from mtm.errors import InputError, numbered, shown
from mtm.settings.cohort import Columns, OwnColumn

logger = logging.getLogger(__name__)

_IN_OTHER_UNITS = (
    "An age in other units is a covariate of your own, and then not read in years: "
    "columns.covariates: {{age_weeks: {{column: {}}}}}."
)
SAMPLE_COVARIATES = (
    "rin", "ischemic_minutes", "center", "batch", "autolysis", "pathology_notes",
)  # fmt: skip
# What readers of tables take for a missing value.
NOTHING = (
    "NA",
    "N/A",
    "NaN",
    "nan",
    "null",
    "NULL",
    "None",
    "n/a",
    "<NA>",
    "#N/A",
    "-nan",
    "-NaN",
)
# Of these, what cannot be a name of controls, as "None" may be.
NOT_KNOWN = tuple(word for word in NOTHING if word.casefold() not in ("none", "null"))
DONOR_PHENOTYPES = ("sex", "age_bracket", "age", "hardy")


def _raise(problems: list[InputError]) -> None:
    """Raise all problems of a table together, if there are any."""
    if problems:
        raise InputError.together(problems)


def donor_of_sample(sample_id: str) -> str:
    """Donor id of a GTEx sample id: its first two dash-separated fields; "" if it has fewer."""
    fields = sample_id.split("-")
    return "-".join(fields[:2]) if len(fields) > 1 else ""


def read_sample_attributes(path: str | Path, columns: Columns = Columns()) -> pd.DataFrame:
    """Read the table of samples.

    Parameters
    ----------
    columns
        How its columns are named.

    Returns
    -------
    pd.DataFrame
        Indexed by sample id: ``donor`` ("" if unknown), ``tissue`` (missing where it is empty),
        ``freeze`` (SMAFRZE, where there), then `SAMPLE_COVARIATES`, `DONOR_PHENOTYPES` and the
        cohort's own covariates, as far as the file has them.

    Raises
    ------
    InputError
        A column is missing, a sample stands twice, or a covariate is no number.
    """
    named = [columns.donor] if columns.is_named("donor") else []
    table = strict_table(path, columns.sample_id, [columns.tissue, *named])
    ids, tissues = table[columns.sample_id], table[columns.tissue]
    result = pd.DataFrame({"donor": ids.map(donor_of_sample), "tissue": tissues})
    if columns.donor in table:
        result["donor"] = table[columns.donor].fillna("")
    _warn_of_twins(path, result["donor"])
    if "SMAFRZE" in table:
        result["freeze"] = table["SMAFRZE"]
    problems = [*_spellings(path, tissues), *_no_names(path, ids, result["donor"], tissues)]
    for name in SAMPLE_COVARIATES:
        column = columns.read_as(name)
        if column not in table:
            continue
        result[name] = table[column]
        if name in FIELDS:
            problems += field_problems(path, ids, table[column], FIELDS[name])
            result[name] = numbers_of(table[column])
    problems += _before_death(path, ids, result, columns)
    result = result.join(_phenotypes(path, table, ids, columns, problems))
    _raise(problems)
    return result.set_index(pd.Index(ids, name="sample_id"))


def _phenotypes(
    path: str | Path,
    table: pd.DataFrame,
    ids: pd.Series,
    columns: Columns,
    problems: list[InputError],
) -> pd.DataFrame:
    """Return what a table of samples or donors says of people; note what cannot be."""
    result = {}
    sex, age, hardy = map(columns.read_as, roles := ("sex", "age", "hardy"))
    for role in (role for role in roles if columns.read_as(role) is None):
        if (column := getattr(columns, role)) in table:
            logger.warning(
                "%s: column %s is a covariate of your own, and %s is not read from it; a copy of "
                "the column under another name gives both", path, column, role,
            )  # fmt: skip
    if sex in table:
        result["sex"], found = sex_codes(path, ids, table[sex])
        problems += found
    if age in table:
        problems += age_problems(path, ids, table[age], _IN_OTHER_UNITS.format(age))
        result |= _ages(table[age])
    if hardy in table:
        problems += field_problems(path, ids, table[hardy], FIELDS["hardy"])
        classes = numbers_of(table[hardy])
        result["hardy"] = classes.where(FIELDS["hardy"].allows(classes)).astype("Int64")
    for name, own in columns.covariates.items():
        if (own.column or name) in table:
            values = table[own.column or name]
            result[name], found = _own_values(path, ids, values, name, own)
            problems += found
    return pd.DataFrame(result, index=table.index)


def _own_values(
    path: str | Path, ids: pd.Series, values: pd.Series, name: str, own: OwnColumn
) -> tuple[pd.Series, list[InputError]]:
    """Return a covariate of the cohort's own, numbers or text, and what is wrong with it."""
    if "status" in own.use:
        return _status(path, values, own)
    numbers = numbers_of(values)
    if own.kind == "number":
        return numbers, list(field_problems(path, ids, values, None))
    if own.kind is None and (numbers.notna() | values.isna()).all():
        return numbers, []
    if own.kind is None and numbers.notna().any() and _but_for(values, numbers, NOTHING):
        # As levels each number would be one of its own.
        return numbers, list(field_problems(path, ids, values, None))
    if problems := _words_for_nothing(path, ids, values):
        return values, problems
    levels = as_levels(values)
    # Text that reads as a number would come back as one.
    if numbers_of(levels).notna().any():
        levels = levels.map(lambda level: None if level is None else f"{name}={level}")
    return levels, []


def _words_for_nothing(path: str | Path, ids: pd.Series, values: pd.Series) -> list[InputError]:
    """Return the problem of a category that is a word for what is not known, if there is one."""
    words = values.isin(NOT_KNOWN)
    if not words.any():
        return []
    row = int(np.argmax(words))
    more = f" (and {numbered(int(words.sum()) - 1, 'further row')})" if words.sum() > 1 else ""
    error = InputError(
        f"{path}, row {row + 1}, column {values.name} of {ids.iloc[row]}",
        shown(values.iloc[row]) + more,
        "an empty field where it is not known, as words are levels of their own",
        "A level that is meant needs another name.",
    )
    return [error]


def _but_for(values: pd.Series, numbers: pd.Series, words: tuple[str, ...]) -> bool:
    """Whether fields are numbers but for empty ones and some words."""
    return bool((numbers.notna() | values.isna() | values.isin(words)).all())


def _status(
    path: str | Path, values: pd.Series, own: OwnColumn
) -> tuple[pd.Series, list[InputError]]:
    """Return 1 for a case, 0 for a control, missing where nothing stands."""
    levels, case = as_levels(values), "1" if own.case is None else spelt(str(own.case))
    known = sorted(levels.dropna().unique())
    if own.case is None and not set(known) <= {"0", "1"} or case not in known:
        found = ", ".join(map(shown, known[:10])) or "no value"
        expected = "values 0 and 1, or the key `case`" if own.case is None else f"a case, {case!r}"
        return values, [InputError(f"{path}, column {values.name}", found, expected)]
    for word in [level for level in known if level in NOT_KNOWN][:1]:
        expected = "an empty field where the status is not known, as all others are controls"
        return values, [InputError(f"{path}, column {values.name}", shown(word), expected)]
    return (levels == case).astype(float).where(levels.notna()).astype("Int64"), []


def _warn_of_twins(path: str | Path, donors: pd.Series) -> None:
    """Warn of names that are one in all likelihood: a person in two folds tells itself."""
    names = donors.drop_duplicates()
    groups = names.groupby(without_zeros(names), sort=False).agg(list)
    if twins := [group for group in groups if len(group) > 1]:
        more = f" (and {numbered(len(twins) - 1, 'further name')})" if len(twins) > 1 else ""
        logger.warning(
            "%s: donors %s differ in %s and are taken for %d people%s; write a donor alike in all "
            "rows, or one tells of itself from another fold",
            path, " and ".join(map(shown, twins[0])), differ_in(twins[0]), len(twins[0]), more,
        )  # fmt: skip


def _no_names(path: str | Path, *columns: pd.Series) -> Iterator[InputError]:
    """Yield names that tables take for nothing."""
    for column in columns:
        for name in column[column.isin(NOTHING)].unique()[:1]:
            found = f"the name {shown(name)}"
            yield InputError(f"{path}, column {column.name}", found, "a name, not a missing value")


def _spellings(path: str | Path, tissues: pd.Series) -> Iterator[InputError]:
    """Yield tissues that are numbers, or spelt in several ways, each a tissue of its own."""
    counts = tissues.value_counts()
    names = counts.index.to_series()
    # Tables read numbers as such, and join names of tissues by semicolons.
    for name in names[numbers_of(names).notna() | names.str.contains(";")][:1]:
        found, expected = f"the tissue {shown(name)}", "names that are no numbers and without ;"
        yield InputError(f"{path}, column {tissues.name}", found, expected)
    alike = folded(names)
    for same in alike.groupby(alike).groups.values():
        if len(same) > 1:
            found = " and ".join(f"{name!r} ({counts[name]} samples)" for name in same)
            yield InputError(f"{path}, column {tissues.name}", found, "one spelling of a tissue")


def _before_death(
    path: str | Path, ids: pd.Series, samples: pd.DataFrame, columns: Columns
) -> Iterator[InputError]:
    """Yield a sample that was taken before death and is no blood."""
    if "ischemic_minutes" not in samples:
        return
    before = samples["ischemic_minutes"] < 0
    blood = samples["tissue"].fillna("").str.contains("blood", case=False)
    if (before & ~blood).any():
        row = int(np.argmax(before & ~blood))
        yield InputError(
            f"{path}, row {row + 1}, column {columns.ischemic_minutes} of {ids.iloc[row]}",
            f"{samples['ischemic_minutes'].iloc[row]:g} minutes for {samples['tissue'].iloc[row]}",
            "0 or more, as blood alone is drawn before death",
        )
    elif before.any():
        logger.warning(
            "%s, column %s: %d blood samples were drawn before death, first %s (%g minutes)",
            path,
            columns.ischemic_minutes,
            before.sum(),
            ids[before].iloc[0],
            samples["ischemic_minutes"][before].iloc[0],
        )


def _ages(ages: pd.Series) -> dict[str, pd.Series]:
    """Bracket and age in years from brackets or exact ages."""
    bounds, exact = bounds_of_ages(ages)
    decade = (exact // 10 * 10).fillna(0).astype(int)
    of_exact = decade.astype(str) + "-" + (decade + 9).astype(str)
    return {
        "age_bracket": plain_brackets(ages).where(exact.isna(), of_exact),
        "age": exact.fillna((bounds[0] + bounds[1]) / 2),
    }


def read_subject_phenotypes(path: str | Path, columns: Columns = Columns()) -> pd.DataFrame:
    """Read the table of donors.

    Parameters
    ----------
    columns
        How its columns are named. Any but the donor's may be missing.

    Returns
    -------
    pd.DataFrame
        Indexed by donor id, as far as the file has them: ``sex`` (1 male, 2 female),
        ``age_bracket``, ``age`` (years; middle of the bracket, (60 + 69) / 2, where AGE is one),
        ``hardy`` (0 to 4), and the cohort's own covariates; fields may be missing.

    Raises
    ------
    InputError
        A donor stands twice, or a code is none.
    """
    id_column = columns.donor_id or columns.donor
    table = strict_table(path, id_column)
    ids, problems = table[id_column], []
    result = _phenotypes(path, table, ids, columns, problems)
    _raise(problems)
    return result.set_index(pd.Index(ids, name="donor"))


def demand_named_columns(
    columns: Columns, sample_attributes: str | Path, subject_phenotypes: str | Path | None
) -> None:
    """Demand the columns that a configuration names, of samples in the table of samples.

    Raises
    ------
    InputError
        Of all that are missing.
    """
    of_samples = table_columns(sample_attributes, [columns.sample_id, columns.tissue])
    anywhere, of_both = of_samples, sample_attributes
    if subject_phenotypes is not None:
        people = table_columns(subject_phenotypes, [columns.donor_id or columns.donor])
        anywhere = of_samples + people
        of_both = f"{sample_attributes} or {subject_phenotypes}"
    wanted = [
        (name, getattr(columns, name), of_samples if name in SAMPLE_COVARIATES else anywhere)
        for name in (*SAMPLE_COVARIATES, "sex", "age", "hardy")
        if columns.is_named(name)
    ]
    wanted += [
        (f"covariates.{name}", own.column or name, anywhere)
        for name, own in columns.covariates.items()
    ]
    problems = []
    for role, column, there in wanted:
        if column not in there:
            near = get_close_matches(column, there, n=1)
            file = sample_attributes if there is of_samples else of_both
            hint = f"Did you mean {near[0]!r}?" if near else ""
            expected = f"a column of {file}: {', '.join(dict.fromkeys(there))}"
            problems.append(InputError(f"config key columns.{role}", repr(column), expected, hint))
    _raise(problems)


def read_controlled_phenotypes(path: str | Path) -> pd.DataFrame:
    """Read the controlled-access subject phenotypes as dbGaP hands them out.

    Lines before the header that are empty or begin with ``#`` are passed over. The donor is in
    SUBJID or ``donor``.

    Returns
    -------
    pd.DataFrame
        Indexed by donor id, columns as in the file; AGE in exact years, SEX as codes. A column is
        numeric if every filled field of it is a number, else text.

    Raises
    ------
    InputError
        There is no donor column, a donor stands twice, AGE is no number, or SEX no sex.
    """
    names = (name for name in ("SUBJID", "donor") if name in table_columns(path, [name]))
    id_column = next(names, "SUBJID")
    table, problems = strict_table(path, id_column), []
    if "SEX" in table:
        # As codes, or words would be held against nothing.
        codes, problems = sex_codes(path, table[id_column], table["SEX"])
        table["SEX"] = codes.astype(object).where(codes.notna(), None)
    if "AGE" in table:
        problems += field_problems(path, table[id_column], table["AGE"], FIELDS["age"])
    _raise(problems)
    columns = {}
    for column in table.columns.drop(id_column):
        numbers = numbers_of(table[column])
        is_numeric = column == "AGE" or (numbers.notna() | table[column].isna()).all()
        columns[column] = pd.to_numeric(table[column]) if is_numeric else table[column]
    return pd.DataFrame(columns, index=table.index).set_index(
        pd.Index(table[id_column], name="donor")
    )
