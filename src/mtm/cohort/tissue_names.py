"""GTEx's tissues, and tissues by the names that people give them."""

from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

import pandas as pd

from mtm.cohort.spellings import letters
from mtm.errors import InputError, shown


@cache
def gtex_tissues() -> pd.DataFrame:
    """GTEx's tissues, indexed by SMTSD name; columns ``abbreviation`` and ``color`` (hex)."""
    with files("mtm.cohort").joinpath("gtex_tissues.tsv").open() as handle:
        table = pd.read_csv(handle, sep="\t", keep_default_na=False, na_values=[""])
    return table.set_index("tissue")


def _by_abbreviation(key: str) -> str | None:
    """Return the key of the tissue that GTEx abbreviates so."""
    keys = gtex_tissues()["abbreviation"].map(letters)
    return next((letters(tissue) for tissue in keys.index[keys == key]), None)


def named_tissue(name: str, tissues: Sequence[str], where: str = "tissue") -> str:
    """Return the one of `tissues` that a name means.

    Case, spaces, hyphens, underscores and brackets do not matter (``whole_blood``,
    ``Brain_Cortex``); GTEx's abbreviations are known (``WHLBLD``).

    Parameters
    ----------
    name
        What was given.
    tissues
        Those that there are.
    where
        Named in errors.

    Raises
    ------
    InputError
        None is meant, or several; names that are near are told.
    """
    if name in tissues:
        return name
    key = letters(name)
    for wanted in (key, _by_abbreviation(key)):
        meant = [tissue for tissue in tissues if wanted and letters(tissue) == wanted]
        if len(meant) == 1:
            return meant[0]
    near = meant or [tissue for tissue in tissues if key and key in letters(tissue)]
    keys = {letters(tissue): tissue for tissue in tissues}
    near = near or [keys[close] for close in get_close_matches(key, keys, n=3)]
    hint = f"Did you mean {' or '.join(map(repr, near[:5]))}?" if near else ""
    parts = [letters(part) for part in name.split(",")]
    if len(parts) > 1 and keys.keys() >= set(parts):
        hint = "Name each by itself: options that take a tissue may be repeated."
    raise InputError(where, shown(name), f"one of {', '.join(tissues)}", hint)
