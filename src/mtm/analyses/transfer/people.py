"""Which samples of a series or table are compared, and whose they are."""

import re
from collections.abc import Callable, Collection, Mapping
from fnmatch import fnmatchcase

import numpy as np
import pandas as pd

from mtm.cohort.fields import DASH, FIELDS, check_traits
from mtm.cohort.geo.series import MISSING, field_name
from mtm.errors import InputError, numbered, shown
from mtm.settings.external import AGE, SEX, External, Values

SAMPLE = "sample"
# Visits of a person: the samples that `keep` takes, and those that `follow_up` takes.
KEPT, FOLLOW_UP = "kept", "follow-up"
PEOPLE = ["sample", "visit", "donor", "case", SEX, AGE, "reason"]
SEXES = {"1": 1, "m": 1, "male": 1, "man": 1, "2": 2, "f": 2, "female": 2, "woman": 2}
# Of those beyond a limit it is the limit: ">89", "90+"; of a bracket, "60-69", its middle.
_YEARS = re.compile(
    rf"[>\u2265~]?\s*(\d+(?:\.\d+)?)(?:{DASH}(\d+(?:\.\d+)?))?(?:\s*\+)?\s*"
    r"(?:y\.?o?\.?|yrs?\.?|years?)?(?:[ -]of age|[ -]old)?\.?"
)
MOST_VALUES, MOST_REASONS = 8, 3
# Words for a sex or age that nobody knows.
UNKNOWN = MISSING | {
    "unknown", "not known", "not recorded", "not reported", "not collected", "not provided",
    "not determined", "missing", "unspecified", "u", "?", "-",
}  # fmt: skip
# Fields that are taken for the sex and the age where none is named.
CALLED = {
    SEX: (SEX, "gender", "donor_sex", "subject_sex"),
    AGE: (AGE, "age_years", "age_in_years", "age_yrs", "age_y", "age_yr", "donor_age",
          "subject_age", "age_at_collection", "age_at_sampling"),
}  # fmt: skip
# Words for a person that nobody knows; a letter may be a name.
NOBODY = UNKNOWN - {"u"}
# What `doubts` are called, and what else is to be known of a reading.
DIFFER, OF_ONE = "samples that differ", "samples that may be of one person"
UNREAD = "samples whose reads are not known"
DOUBTS = (DIFFER, OF_ONE, UNREAD)
# Fields that often name the person, and those that say what a sample is of, written together.
OF_PERSON = ("individual", "individualid", "subject", "subjectid", "patient", "patientid",
             "patientnumber", "donor", "donorid", "donornumber", "participant", "participantid",
             "person", "personid")  # fmt: skip
OF_SAMPLE = ("tissue", "celltype", "cellpopulation", "organ", "sampletype", "tissuetype",
             "sourcenamech1", "librarystrategy", "moleculech1")  # fmt: skip


def describe_people(
    table: pd.DataFrame,
    settings: External,
    measured: Collection[str],
    where: object,
    said_by: Callable[[str], str],
    min_per_group: int,
) -> pd.DataFrame:
    """Choose the samples that are compared.

    Parameters
    ----------
    table
        One row a sample, indexed by its id; a column a field, named by `field_name`.
    settings
        Fields and values that tell groups, visits and people.
    measured
        Samples that have expression.
    where
        File named in errors.
    said_by
        Names what says a key of `settings`, for errors.
    min_per_group
        Least number of people in each group.

    Returns
    -------
    pd.DataFrame
        One row a sample in the order of `table`, columns `PEOPLE`, then its further fields:
        ``visit`` is `KEPT`, `FOLLOW_UP` or empty, with the reason; ``case`` (1, 0) and covariates
        are those of the person's kept sample.

    Raises
    ------
    InputError
        A field is unknown; a value is no sex or age; a sample is of both groups or visits; there
        are too few people in a group.
    """
    reader = _Fields(table, where, said_by)
    described = _chosen(reader, settings, pd.Series(table.index.isin(list(measured)), table.index))
    kept = described["visit"] == KEPT
    of_person = pd.DataFrame(
        {"case": described.pop("is_case").astype(int)} | reader.covariates(settings, kept)
    )[kept]
    of_person = of_person.set_axis(described.loc[kept, "donor"])
    for column in of_person:
        values = described["donor"].map(of_person[column])
        described[column] = values.where(described["visit"].notna())
    value = reader.text(settings.group.field, "group.field")
    _demand_enough(described, value, where, said_by, min_per_group)
    described["case"] = described["case"].astype("Int64")
    rest = table.drop(columns=[name for name in PEOPLE if name in table])
    described = described.rename_axis(SAMPLE).reset_index().reindex(columns=PEOPLE)
    return pd.concat([described, rest.reset_index(drop=True)], axis=1)


def _chosen(reader: "_Fields", settings: External, measured: pd.Series) -> pd.DataFrame:
    """Say of every sample its visit, or why it has none, and whether it is a case's."""
    group = settings.group
    cases = reader.matches(group.field, group.case, "group.field")
    controls = reader.matches(group.field, group.control, "group.field")
    reader.demand_apart(cases, controls, "a case and a control", "group")
    kept = reader.all_match(settings.keep, "keep")
    later = reader.all_match(settings.follow_up, "follow_up") & bool(settings.follow_up)
    if settings.keep:
        reader.demand_apart(kept, later, "kept and a follow-up", "follow_up")
    kept &= ~later
    donor = reader.text(settings.donor or SAMPLE, "donor")
    if not _each_a_person(settings):
        donor = donor.mask(donor.fillna("").str.casefold().isin(NOBODY), None)
    value = reader.text(group.field, "group.field").fillna("empty")
    reason = pd.Series("", measured.index, dtype=object)

    def leave_out(rows: pd.Series, why: str | pd.Series) -> None:
        reason[:] = reason.mask((reason == "") & rows, why)

    def repeated(rows: pd.Series) -> pd.Series:
        rows = rows & (reason == "")
        return rows & donor.where(rows).duplicated()

    leave_out(~measured, "no expression")
    leave_out(~kept & ~later, "neither kept nor a follow-up")
    leave_out(donor.isna(), "nobody's sample")
    leave_out(kept & ~cases & ~controls, f"neither case nor control: {group.field} " + value)
    # Whichever sample stands first would say which group it is.
    of_group = [set(donor[kept & (reason == "") & rows]) for rows in (cases, controls)]
    leave_out(kept & donor.isin(set.intersection(*of_group)), "of a person in both groups")
    leave_out(repeated(kept), "a further sample of the person")
    people = set(donor[(reason == "") & kept])
    leave_out(later & ~donor.isin(people), "a follow-up of nobody who is kept")
    leave_out(repeated(later), "a further follow-up")
    visit = pd.Series(np.where(kept, KEPT, FOLLOW_UP), measured.index).where(reason == "")
    return pd.DataFrame({"visit": visit, "donor": donor, "reason": reason, "is_case": cases})


def _demand_enough(
    described: pd.DataFrame, value: pd.Series, where: object, said_by, least: int
) -> None:
    """Refuse fewer than `least` people in a group."""
    case = described.loc[described["visit"] == KEPT, "case"]
    for n, name, key in (((case == 1).sum(), "cases", "case"), ((case == 0).sum(), "controls",
                                                               "control")):  # fmt: skip
        if n < least:
            lost = described["reason"][described["reason"] != ""]
            lost = lost if lost.nunique() <= MOST_REASONS else lost.str.partition(":")[0]
            lost = lost.value_counts()
            why = "; ".join(f"{count} {text}" for text, count in lost.iloc[:MOST_REASONS].items())
            raise InputError(
                where,
                f"{n} {name}" + (f" ({why})" if why else ""),
                f"at least {least}",
                f"{said_by('group.field')} has the values {_values(value)}; see "
                f"{said_by(f'group.{key}')}, {said_by('keep')} and {said_by('min_per_group')}.",
            )


def _values(values: pd.Series) -> str:
    """Values of a field with their numbers."""
    counts = values.fillna("(empty)").value_counts()
    more = f" and {len(counts) - MOST_VALUES} more" if len(counts) > MOST_VALUES else ""
    return ", ".join(f"{shown(v)} ({n})" for v, n in counts.iloc[:MOST_VALUES].items()) + more


def fields_of(table: pd.DataFrame) -> pd.DataFrame:
    """List the fields of samples, for people who have to choose.

    Returns
    -------
    pd.DataFrame
        ``field``, ``n`` (samples that have it), ``values`` (the commonest, with their numbers).
    """
    rows = [(name, int(table[name].notna().sum()), _values(table[name].dropna()))
            for name in table]  # fmt: skip
    return pd.DataFrame(rows, columns=["field", "n", "values"])


class _Fields:
    """Fields of a table of samples, asked for by name."""

    def __init__(self, table: pd.DataFrame, where: object, said_by: Callable[[str], str]):
        self.table, self.where, self.said_by = table, where, said_by

    def text(self, name: str, key: str) -> pd.Series:
        """Values of a field as text, None where missing."""
        wanted = field_name(name)
        if wanted == SAMPLE:
            return pd.Series(self.table.index, self.table.index, dtype=object)
        if wanted not in self.table:
            raise InputError(
                self.where,
                f"the fields {', '.join([SAMPLE, *self.table.columns])}",
                f"a field {shown(name)}, which {self.said_by(key)} names",
            )
        values = self.table[wanted].map(lambda value: None if pd.isna(value) else _plain(value))
        missing = values.map(lambda value: value is None or value.casefold() in MISSING)
        return values.astype(object).where(~missing, None)

    def matches(self, name: str, wanted: Values, key: str) -> pd.Series:
        """Whether samples have one of some values."""
        several = wanted if isinstance(wanted, tuple | list) else (wanted,)
        values = self.text(name, key)
        return values.map(
            lambda value: value is not None and any(_is_like(value, one) for one in several)
        ).astype(bool)

    def all_match(self, wanted: Mapping[str, Values], key: str) -> pd.Series:
        """Whether samples have one of some values in each of some fields."""
        result = pd.Series(True, self.table.index)
        for name, values in wanted.items():
            result &= self.matches(name, values, key)
        return result

    def demand_apart(self, one: pd.Series, other: pd.Series, what: str, key: str) -> None:
        """Refuse a sample that is both."""
        both = one & other
        if both.any():
            raise InputError(
                f"{self.where}, sample {self.table.index[both.argmax()]}",
                what,
                "one of them",
                f"Mend {self.said_by(key)}.",
            )

    def covariates(self, settings: External, rows: pd.Series) -> dict[str, pd.Series]:
        """Sex (1 male, 2 female) and age of the samples `rows`, as far as they are known."""
        found = {}
        for name, chosen, read in ((SEX, settings.sex, _sex), (AGE, settings.age, _years)):
            if chosen == name:
                chosen = next((called for called in CALLED[name] if called in self.table), None)
            if chosen is None:
                continue
            text = self.text(chosen, name)[rows]
            text = text.where(~text.fillna("").str.casefold().isin(UNKNOWN), None)
            values = text.map(lambda value, read=read: value and read(value.casefold().strip()))
            wrong = text.notna() & values.isna()
            if wrong.any():
                raise InputError(
                    f"{self.where}, sample {text.index[wrong.to_numpy().argmax()]}, {chosen}",
                    shown(text[wrong].iloc[0]),
                    FIELDS[name].meaning + (", male or female" if name == SEX else ""),
                    f"Set {self.said_by(name)} to null to do without.",
                )
            found[name] = values.astype(float).reindex(rows.index)
            check_traits(pd.DataFrame({name: found[name]}), self.where)
        return found


def doubts(used: pd.DataFrame, settings: External) -> list[tuple[str, str]]:
    """Say what may be wrong with the choice of samples, a name and a sentence each.

    Parameters
    ----------
    used
        Fields of the samples that are compared, as `describe_people` takes them: in its table
        ``donor`` is no field but whom a sample is taken for.
    """
    said, named = [], _named(settings)
    for name in _among(used, OF_SAMPLE):
        if used[name].nunique() > 1 and name not in named:
            said.append((DIFFER, f"{name}: {_values(used[name])}"))
    if _each_a_person(settings):
        # `sample` is the samples' ids; a field of that name has another in a series.
        of_person = (*OF_PERSON, "samplech1") if settings.donor else OF_PERSON
        for name in _among(used, of_person):
            known = used[name].dropna().map(_plain)
            known = known[~known.str.casefold().isin(NOBODY)]
            if known.duplicated().any():
                n, of = numbered(known.nunique(), "value"), numbered(len(known), "sample")
                said.append((OF_ONE, f"{name} has {n} in {of}, each taken for a person"))
                break
    return said


def _among(table: pd.DataFrame, called: Collection[str]) -> list[str]:
    """Fields of a table that have one of some names, in the order of these."""
    return [field for name in called for field in table.columns if field.replace("_", "") == name]


def _each_a_person(settings: External) -> bool:
    """Whether every sample is taken for a person."""
    return field_name(settings.donor or SAMPLE) == SAMPLE


def _named(settings: External) -> set[str]:
    """Fields that choose samples."""
    return {
        field_name(name) for name in (*settings.keep, *settings.follow_up, settings.group.field)
    }


def _plain(value: object) -> str:
    """Text of a value of a table; 1.0 is 1."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def _sex(text: str) -> int | None:
    """Code of a sex; 1.0 is 1."""
    return SEXES.get(text.removesuffix(".0"))


def _is_like(value: str, wanted: str | int) -> bool:
    """Whether a value is one, or like a pattern of * and ?; of a number, 1.0 is 1."""
    if isinstance(wanted, int):
        return re.fullmatch(rf"{wanted}(\.0*)?", value) is not None
    value, pattern = value.casefold(), wanted.casefold()
    return value == pattern or (
        ("*" in pattern or "?" in pattern) and fnmatchcase(value, pattern.replace("[", "[[]"))
    )


def _years(text: str) -> float | None:
    """Years of an age: 45, 45.5, "45 years", 40-49."""
    found = _YEARS.fullmatch(text)
    if not found:
        return None
    low, high = float(found[1]), float(found[2] or found[1])
    return (low + high) / 2 if low <= high else None
