"""A trait of donors as numbers."""

import difflib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm.errors import InputError
from mtm.settings.traits import TraitSettings

# What donors of a cohort may lack without a mistake in the configuration.
MAY_LACK = (*TraitSettings.model_fields["columns"].default, "hardy")


@dataclass(frozen=True)
class Trait:
    """One trait of all donors.

    Parameters
    ----------
    name
        Its column.
    values
        Numbers by donor id, NaN where unknown; 0 and 1 for the two levels of a text column.
    levels
        The two values of a two-level trait, in order; empty for others.
    problem
        Why it cannot be used; empty where it can.
    """

    name: str
    values: pd.Series
    levels: tuple[float, ...]
    problem: str = ""


def read_trait(donors: pd.DataFrame, column: str) -> Trait:
    """Take one trait from ``cohort/donors.tsv`` (indexed by donor).

    Raises
    ------
    InputError
        There is no such column, and it is none of `MAY_LACK`; the nearest is named.
    """
    if column not in donors and column in MAY_LACK:
        values = pd.Series(np.nan, donors.index)
        return Trait(column, values, (), f"donors have no column {column}")
    if column not in donors:
        near = difflib.get_close_matches(column, donors.columns, n=1, cutoff=0.5)
        raise InputError(
            "config key traits.columns",
            repr(column),
            f"a column of cohort/donors.tsv ({', '.join(donors.columns)})",
            f"Did you mean {near[0]!r}?" if near else "",
        )
    known = donors[column].dropna()
    values = pd.to_numeric(donors[column], errors="coerce")
    if values[known.index].isna().any():
        names = sorted(known.astype(str).unique())
        values = known.astype(str).map({name: float(k) for k, name in enumerate(names)})
        values = values.reindex(donors.index)
        if len(names) > 2:
            return Trait(column, values, (), f"text of {len(names)} levels, not numbers or two")
    levels = tuple(sorted(values.dropna().unique()))
    if len(levels) < 2:
        shown = f"the one level {known.iloc[0]}" if len(known) else "no known value"
        return Trait(column, values, levels, f"the trait has {shown}")
    return Trait(column, values, levels if len(levels) == 2 else ())
