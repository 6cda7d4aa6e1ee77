"""Which columns of a cohort's tables are what, told by their names and by what they hold."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path

import pandas as pd

from mtm.cohort.fields import FIELDS, field_problems, numbers_of
from mtm.cohort.spellings import letters
from mtm.cohort.tables import SAMPLE_COVARIATES, read_subject_phenotypes
from mtm.errors import InputError
from mtm.settings.cohort import Columns

# What people call a donor, and a tissue; letters alone, in lower case.
_DONORS = (
    "donor", "subject", "individual", "animal", "case", "patient", "participant", "person",
    "mouse", "rat", "pig", "cow", "sheep", "dog", "monkey", "plant", "strain", "brain",
)  # fmt: skip
_NAMES = ["subjid", *(word + end for word in _DONORS for end in ("", "id", "no", "number"))]
# A case may be one beside controls; a brain or a plant may be sampled, or not.
DONOR_NAMES = tuple(name for name in _NAMES if name not in ("case", "brain", "plant"))
TISSUE_NAMES = ("smtsd", "tissue", "tissuetype", "tissuename", "organ", "bodysite", "sitetissue")
SEX_NAMES, AGE_NAMES = ("sex", "gender"), ("age", "ageyears", "ageinyears")
PHENOTYPE_NAMES = {
    "sex": SEX_NAMES,
    "age": AGE_NAMES,
    "batch": ("batch", "smgebtch", "batchid"),
    "rin": ("rin", "smrin"),
    "center": ("center", "centre", "site", "smcenter"),
}
# Columns that need no word: they are taken by themselves.
FIXED = [role for role in Columns.model_fields if role not in ("covariates", "donor_id")]
# No header has it: blanks around its names are left out.
_NO_COLUMN = " "
_LOOKS_LIKE = {
    "tissue": "a tissue for every sample, which several donors have (Blood, Liver, ...)",
    "donor": "a donor for every sample, the same for all samples of a person or animal",
}


def is_phenotype(column: str) -> bool:
    """Whether a column is called sex, age, batch or the like."""
    return any(letters(column) in names for names in PHENOTYPE_NAMES.values())


def _called(names: Iterable[str], table: Iterable[str]) -> str | None:
    """Column of a table that is called one of `names`, the first of these first."""
    columns = {letters(column): column for column in reversed(list(table))}
    return next((columns[name] for name in names if name in columns), None)


def tissue_and_donor(
    path: str | Path, table: pd.DataFrame, named: Mapping[str, str]
) -> tuple[str, str | None]:
    """Columns of tissue and donor; the latter None where GTEx's sample ids tell.

    By name, or, where no name tells, by the one pair of columns such that every donor has a tissue
    once.

    Raises
    ------
    InputError
        There is no such pair, or several: where plates were filled tissue by tissue, a place on
        the plate has every tissue once, too.
    """
    tissue = named.get("tissue") or _called(TISSUE_NAMES, table)
    donor = named.get("donor") or _called(DONOR_NAMES, table)
    if donor is None and table.index.str.startswith("GTEX-").all() and tissue:
        return tissue, None
    if tissue and donor:
        return tissue, donor
    others = [name for name in table if _may_be_a_name(table[name])]
    fitting = [
        pair
        for pair in permutations(dict.fromkeys([*filter(None, (tissue, donor)), *others]), 2)
        if (tissue or pair[0], donor or pair[1]) == pair and _are_crossed(table, *pair)
    ]
    if len(fitting) == 1:
        return fitting[0]
    known = {"tissue": tissue, "donor": donor}
    raise _untold(path, table, known, fitting)


def _untold(
    path: str | Path,
    table: pd.DataFrame,
    known: Mapping[str, str | None],
    fitting: Sequence[tuple[str, str]],
) -> InputError:
    """Return the error of columns of which none, or several, may be the tissue or the donor."""
    missing = [role for role, column in known.items() if not column]
    columns = f"columns {', '.join(table.columns)}"
    options = f"{' '.join(f'--{role} COLUMN' for role in missing)}."
    if fitting:
        tissues, donors = (
            " or ".join(dict.fromkeys(names)) for names in zip(*fitting, strict=True)
        )
        may = {"tissue": tissues, "donor": donors}
        which = ", ".join(f"the {role} may be {may[role]}" for role in missing)
        found = f"{columns}, none of which is clearly the {missing[0]}: {which}"
        expected = f"a column of each {' and '.join(missing)}"
        return InputError(path, found, expected, f"Name it: {options}")
    expected = " and ".join(_LOOKS_LIKE[role] for role in missing)
    repeated = [name for name in table if 2 <= table[name].nunique() < len(table)]
    left = [name for name in repeated if name not in known.values()]
    hint = f"Add a column {' and a column '.join(missing)} to the table"
    hint += f", or name what has it: {options}" if left else "."
    return InputError(path, f"{columns}, none of which is the {missing[0]}", expected, hint)


def _may_be_a_name(values: pd.Series) -> bool:
    """Whether a column may name tissues or donors: no phenotype, and no measure."""
    has_decimals = values.str.contains(r"^[-+]?\d*\.\d*$", na=False) & (numbers_of(values) % 1 > 0)
    is_measure = is_phenotype(values.name) or has_decimals.any()
    return not is_measure and 2 <= values.nunique() < len(values)


def _are_crossed(table: pd.DataFrame, tissue: str, donor: str) -> bool:
    """Whether two columns may be tissue and donor."""
    pair = table[[tissue, donor]]
    if pair.isna().any(axis=None) or pair.duplicated().any():
        return False
    n_tissues, n_donors = table[tissue].nunique(), table[donor].nunique()
    return 2 <= n_tissues < n_donors < len(table)


@dataclass(frozen=True)
class Table:
    """A table of samples or of donors.

    Parameters
    ----------
    path
        Its file.
    whole
        All of it, by sample or donor.
    used
        Of samples of the expression file, or all donors; without columns that are taken already.
    donor
        Donor of each row of `used`.
    """

    path: str | Path
    whole: pd.DataFrame
    used: pd.DataFrame
    donor: pd.Series


@dataclass
class Phenotypes:
    """What tables say of people and samples beside donor and tissue.

    Parameters
    ----------
    columns
        By role, where they are not GTEx's.
    has_covariates
        Whether there is any covariate.
    others
        Columns that are not used.
    warnings
        What a reader should know, a line each.
    """

    columns: dict[str, str] = field(default_factory=dict)
    has_covariates: bool = False
    others: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def find_phenotypes(tables: Sequence[Table], taken: Mapping[str, str]) -> Phenotypes:
    """Find sex, age, batch and so on; list what else there is.

    A column that is called like one of them and cannot be read as such is left out, with a
    warning; one under GTEx's name is read whatever it holds, and its reader says what is wrong.

    Parameters
    ----------
    tables
        That of donors, where there is one, then that of samples.
    taken
        Columns by role that are told already, where they are not GTEx's.
    """
    defaults, found, used = Columns(), Phenotypes(dict(taken)), set()
    for table in tables:
        for role, names in PHENOTYPE_NAMES.items():
            if role in SAMPLE_COVARIATES and table is not tables[-1]:
                # A site of donors is where they were recruited.
                continue
            default = getattr(defaults, role)
            column = _called((letters(default), *names), table.used)
            if column is None or role in used:
                continue
            # Under one name both tables are read.
            where = [table] if role in SAMPLE_COVARIATES else tables
            for problem in _misfits(where, role, column) if column != default else ():
                found.warnings.append(_not_used(column, problem))
                break
            else:
                used.add(role)
                found.has_covariates |= role != "batch" and table.used[column].nunique() > 1
                if column != default:
                    found.columns[role] = column
    known = {*found.columns.values(), *(getattr(defaults, role) for role in FIXED)}
    for table in tables:
        # R's names of rows have no name.
        of_table = [name for name in table.used if name and name not in known]
        found.others += [
            name
            for name in of_table
            if table.used[name].nunique() > 1 and name not in found.others
        ]
    found.warnings = list(dict.fromkeys(found.warnings))
    return found


def _not_used(column: str, problem: InputError) -> str:
    """Say that a column is left out, why, and what brings it in."""
    return f"column {column} is not used. {problem} mtm init takes it once that is mended."


def _misfits(tables: Iterable[Table], role: str, column: str) -> Iterator[InputError]:
    """Yield why a column cannot be what it is called, as its readers would say."""
    for table in tables:
        if column not in table.whole:
            continue
        if role not in ("sex", "age"):
            ids, values = pd.Series(table.whole.index), table.whole[column].reset_index(drop=True)
            yield from (
                field_problems(table.path, ids, values, FIELDS[role]) if role in FIELDS else ()
            )
            continue
        if table.whole.index.hasnans or table.whole.index.has_duplicates:
            # Others tell of that.
            continue
        try:
            people = _as_read(table, **{role: column})
        except InputError as error:
            yield from error.parts
            continue
        yield from _differing(table, column, people)


def _as_read(table: Table, **columns: str) -> pd.DataFrame:
    """Return columns of a table as its reader makes them of it.

    Raises
    ------
    InputError
        As of `read_subject_phenotypes`.
    """
    chosen = {
        "donor": table.whole.index.name,
        **dict.fromkeys(("sex", "age", "hardy"), _NO_COLUMN),
    }
    return read_subject_phenotypes(table.path, Columns(**chosen | columns))


def _differing(table: Table, column: str, people: pd.DataFrame) -> Iterator[InputError]:
    """Yield a donor whose samples have two values of a column, as they are read."""
    values = people.reindex(table.used.index).astype(str).agg(" ".join, axis=1)
    known = pd.DataFrame({"donor": table.donor, "value": values, "text": table.used[column]})
    known = known.dropna().drop_duplicates(["donor", "value"])
    twice = known[known.duplicated("donor", keep=False)]
    if len(twice):
        donor = twice["donor"].iloc[0]
        yield InputError(
            f"{table.path}, column {column} of donor {donor}",
            " and ".join(twice.loc[twice["donor"] == donor, "text"].iloc[:2]),
            "the same in all its samples",
            "What changes from sample to sample is a covariate of your own (columns.covariates).",
        )
