"""What the paper's numbers are looked up in: the tables of a run, and who plays which part."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.errors import CannotDo, InputError
from mtm.io import read_tsv
from mtm.statistics.small_counts import of_enough_people

STATISTICS: dict[str, Callable[[pd.Series], float]] = {
    "mean": lambda values: values.mean(),
    "sd": lambda values: values.std(ddof=1),
    "min": lambda values: values.min(),
    "median": lambda values: values.median(),
    "max": lambda values: values.max(),
    "sum": lambda values: values.sum(),
    "share": lambda values: values.mean(),
    "count": lambda values: values.sum(),
    "value": lambda values: values.iloc[0],
    "p": lambda values: values.iloc[0],
}


class NotRun(Exception):
    """A number that a run cannot have; the text says why."""


@dataclass(frozen=True)
class Value:
    """One number of the paper, a row of `values.tsv`.

    Parameters
    ----------
    id, quantity
        R1 to R22, and in words.
    measure
        How its family calls it.
    role_a, role_b
        Whose it is: "MTM", "S1", "S2", "S3", or nobody's.
    of
        What it is of, where the measure is of several things: a tissue, a trait, a direction.
    statistic
        A key of `STATISTICS`.
    paper
        As printed, digits and all; empty where the paper has no such number.
    data
        What must be the paper's beside the cohort for both numbers to be of the same data.
    remark
        What a reader must know of the paper's number.
    """

    id: str
    quantity: str
    measure: str
    role_a: str
    role_b: str
    of: str
    statistic: str
    paper: str
    data: str
    remark: str

    @property
    def roles(self) -> list[str]:
        """Roles of the models it is of."""
        return [role for role in (self.role_a, self.role_b) if role]


@dataclass(frozen=True)
class Ours:
    """A run's own number.

    Parameters
    ----------
    value
        The number.
    n, n_of
        How many of what it is over.
    ci_low, ci_high
        Its 95% interval; NaN where its table has none.
    note
        What a reader must know of it.
    same_way
        Of a P value: whether what it tests goes the paper's way.
    """

    value: float
    n: int
    n_of: str
    ci_low: float = np.nan
    ci_high: float = np.nan
    note: str = ""
    same_way: bool = True


@cache
def paper_values() -> tuple[Value, ...]:
    """Return the numbers that He et al. 2023 report."""
    with files("mtm.analyses.paper").joinpath("values.tsv").open() as handle:
        table = pd.read_csv(handle, sep="\t", dtype=str, keep_default_na=False)
    return tuple(Value(**row) for row in table.to_dict("records"))


def read_tables(
    inputs: Mapping[str, str | Path | Iterable[str | Path]], fewest_people: int = 1
) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """Read the tables of a run by name; those of several files are one, with a column `file`.

    Rows of fewer than `fewest_people` are left out, so that no number is made of them.

    Returns
    -------
    dict, dict
        The tables, and why others could not be made, by name.
    """
    tables, absent = {}, {}
    for name, paths in inputs.items():
        parts = []
        for path in [paths] if isinstance(paths, str | Path) else paths:
            try:
                table = of_enough_people(read_tsv(path), fewest_people)
                parts.append(table.assign(file=str(path)))
            except CannotDo as why:
                absent[name] = why.reason
        known = [part for part in parts if len(part)] or parts[:1]
        if known:
            tables[name] = pd.concat(known, ignore_index=True)
    return tables, {name: why for name, why in absent.items() if name not in tables}


@dataclass(frozen=True)
class Results:
    """The tables of a run, and who plays which part in it.

    Parameters
    ----------
    tables
        By name, as workflow/rules/paper.smk names them. An analysis that was left out has none;
        one that found nothing has one without rows.
    absent
        Why a table is not there, by name.
    roles
        Which model plays "MTM", "S1", "S2" and "S3".
    models
        Models of the run.
    """

    tables: Mapping[str, pd.DataFrame]
    absent: Mapping[str, str]
    roles: Mapping[str, str]
    models: Iterable[str]

    def model(self, role: str) -> str:
        """Return the model that plays a role."""
        name = self.roles.get(role)
        if not name:
            raise NotRun(f"not run: no model plays {role}")
        if name not in self.models:
            raise NotRun(f"not run: {name}")
        return name

    def rows(self, name: str, *columns: str, **wanted: object) -> pd.DataFrame:
        """Return the rows of a table whose columns hold what is wanted; at least one.

        Parameters
        ----------
        name
            Of the table.
        columns
            Columns that are read beside those of `wanted`.

        Raises
        ------
        NotRun
            The table is not there, or has no such row.
        InputError
            The table lacks a column.
        """
        if name not in self.tables:
            raise NotRun(f"not run: {self.absent.get(name, f'no table {name}')}")
        table = self.tables[name]
        if table.empty:
            raise NotRun(f"nothing ran: table {name} is empty")
        for column in [*columns, *wanted]:
            if column not in table:
                raise InputError(f"table {name}", f"columns {list(table)}", f"a column {column}")
        for column, value in wanted.items():
            table = table[table[column] == value]
        if table.empty:
            raise NotRun(f"table {name} has no row of {', '.join(map(str, wanted.values()))}")
        return table


def quantities(rows: pd.DataFrame, table: str) -> Callable[[str], float]:
    """Return the look-up of a summary's values by ``quantity``, over rows of one key."""
    values = rows.set_index("quantity")["value"].astype(float)

    def value_of(quantity: str) -> float:
        if quantity not in values.index:
            raise InputError(f"table {table}", f"quantities {list(values.index)}", repr(quantity))
        return float(values[quantity])

    return value_of


def over_tissues(values: pd.Series, value: Value) -> Ours:
    """Take a number's statistic over tissues; `values` are one a tissue, NaN where not known."""
    values = values.dropna()
    if values.empty:
        raise NotRun(f"no {value.of or 'tissue'} with a value")
    return Ours(float(STATISTICS[value.statistic](values)), len(values), "tissues")
