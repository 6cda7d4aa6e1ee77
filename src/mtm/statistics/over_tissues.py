"""Rows of all tissues together, beside the rows of each."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from mtm.statistics.testing import benjamini_hochberg


def known_mean(values: np.ndarray) -> float | np.ndarray:
    """Mean along the first axis without NaN; NaN where nothing else stands."""
    count = np.isfinite(values).sum(0)
    return np.where(count > 0, np.nansum(values, 0) / np.maximum(count, 1), np.nan)[()]


def over_tissues(
    table: pd.DataFrame,
    key: Sequence[str],
    tissue: str,
    together: Callable[[tuple, pd.DataFrame], Mapping[str, object] | None],
    tested: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Put a row of all tissues after the tissues of each group, and q-values over the tissues.

    Parameters
    ----------
    table
        One row a group and ``tissue``.
    key
        Columns that make a group.
    tissue
        What stands in ``tissue`` of the added rows.
    together
        Gets a group's key and rows, gives the fields of its row of all tissues; None for no row.
    tested
        Columns of q-values to add, each with the column of its P-values.

    Returns
    -------
    pd.DataFrame
        Groups in the order of their first rows.
    """
    tested = {} if tested is None else tested
    if table.empty:
        return table.assign(**dict.fromkeys(tested, np.nan))
    parts = []
    for group, part in table.groupby([*key], sort=False):
        q = {name: benjamini_hochberg(part[p].to_numpy(float)) for name, p in tested.items()}
        parts.append(part.assign(**q))
        row = together(group, part)
        if row is not None:
            parts.append(pd.DataFrame([dict(zip(key, group, strict=True), tissue=tissue) | row]))
    return pd.concat(parts, ignore_index=True)


def averaged(
    tissues: pd.DataFrame,
    means: Sequence[str],
    counts: Sequence[str] = (),
    totals: Sequence[str] = (),
) -> dict[str, float]:
    """Average columns over tissues.

    Parameters
    ----------
    tissues
        One row a tissue.
    means
        Columns to take the mean of, NaN aside.
    counts
        Columns to take the mean of, rounded to a whole number; 0 without tissues.
    totals
        Columns to add up.
    """
    rounded = {name: round(tissues[name].mean()) if len(tissues) else 0 for name in counts}
    return tissues[[*means]].mean().to_dict() | rounded | tissues[[*totals]].sum().to_dict()
