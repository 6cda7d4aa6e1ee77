"""Donors of a part of a cohort: a site, a batch, or whoever has some value in a column."""

from collections.abc import Sequence
from difflib import get_close_matches

import pandas as pd

from mtm.cohort.levels import as_levels
from mtm.errors import InputError


def donors_with(
    samples: pd.DataFrame,
    donors: pd.DataFrame,
    column: str,
    values: Sequence[str | int],
    within: str = "",
) -> set[str]:
    """Return the donors who have one of `values` in any of their samples.

    Parameters
    ----------
    samples
        One row a sample: ``donor``, ``tissue`` and further columns.
    donors
        One row a donor, indexed by donor id.
    column
        Of the samples or donors; the id of a donor is none.
    values
        Compared as text, so that 0, 0.0 and "0" are one.
    within
        What stands before the keys ``hold_out`` and ``values`` in errors.

    Raises
    ------
    InputError
        There is no such column, or nobody has one of the values.
    """
    known = [name for name in samples if name not in ("donor", "row")]
    if column in known:
        of_sample = samples[column]
    elif column in donors:
        of_sample = samples["donor"].map(donors[column])
    else:
        names = (*known, *donors)
        near = get_close_matches(str(column), names, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else ""
        raise InputError(f"{within}hold_out", repr(column), f"one of {', '.join(names)}", hint)
    text = as_levels(of_sample)
    wanted = as_levels(pd.Series(list(values), dtype=object))
    for value in wanted[~wanted.isin(text)][:1]:
        raise InputError(
            f"{within}values",
            f"{value!r}, which no sample has in {column}",
            f"some of {', '.join(sorted(text.dropna().unique())[:20])}",
        )
    return set(samples["donor"][text.isin(wanted)])
