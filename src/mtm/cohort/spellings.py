"""Names of people, tissues and samples: which are one name, and which look like one."""

import re
import unicodedata
from collections.abc import Iterable

import pandas as pd

# Before the digits of a name: zeros, which Excel leaves out, and at its start R's X.
_BEFORE_DIGITS = re.compile(r"^x(?=\d)|(?<!\d)0+(?=\d)")
# A number as programs write it that take it for a decimal one.
_WHOLE = re.compile(r"^(\d+)\.0+$")
# A shorter name may be part of another by chance.
_SHORTEST_PART = 3
WRITE_ALIKE = (
    "write both alike (R turns signs in names of columns into dots, and puts X before digits, "
    "unless check.names=FALSE; Excel leaves zeros before digits out)"
)
# What joins words: blanks, or signs, which may stand between blanks. A point between digits is a
# decimal one, and a sign at one word alone is its own: CD8- T, day -7.
_SIGN = r"(?:[_\u2010-\u2015\u2212-]|(?<!\d)\.|\.(?!\d))+"
_JOINT = rf"(?<=\w)(?:{_SIGN}|\s+{_SIGN}\s+|\s+)(?=\w)"


def spelt(text: str) -> str:
    """Return a text with accents as one sign each (Unicode NFC), as programs differ in this."""
    return unicodedata.normalize("NFC", text)


def letters(name: str) -> str:
    """Letters and digits of a name, in lower case."""
    return "".join(filter(str.isalnum, name.casefold()))


def folded(names: pd.Series) -> pd.Series:
    """Return names such that those are equal which are one name in all likelihood.

    Neither case counts, nor how a sign is stored, nor which blank or sign (``- _ .``) joins words;
    that there is one does: A-1 is A_1, and not A1.
    """
    return names.map(
        lambda name: unicodedata.normalize("NFKC", name).casefold(), na_action="ignore"
    ).str.replace(_JOINT, " ", regex=True)


def without_zeros(names: pd.Series) -> pd.Series:
    """Return names as `folded`, and without zeros that programs add to numbers, or leave out.

    007 and 7.0 are 7, decimals stay as they are: 1.10 is not 1.1.
    """
    return _zeros_left_out(folded(names))


def _zeros_left_out(names: pd.Series) -> pd.Series:
    """Return names without zeros before digits, and without those of decimals of whole numbers."""
    whole = names.str.replace(_WHOLE, r"\1", regex=True)
    return whole.str.replace(r"(?<![\d.])0+(?=\d)", "", regex=True)


def differ_in(names: list[str]) -> str:
    """Say what names that `folded` or `without_zeros` makes equal differ in."""
    if len({name.casefold() for name in names}) == 1:
        return "capitals alone"
    of_names = pd.Series(names)
    if folded(of_names).nunique() == 1:
        return "capitals, blanks or signs (- _ .) alone"
    if _zeros_left_out(of_names).nunique() == 1:
        return "zeros alone"
    return "zeros, capitals, blanks or signs (- _ .) alone"


def bare(name: str) -> str:
    """Return a name without what programs change: case, signs, R's X, zeros before digits."""
    folded_name = unicodedata.normalize("NFKC", name).casefold()
    parts = re.split(r"[\W_]+", _WHOLE.sub(r"\1", folded_name))
    joined = " ".join(_BEFORE_DIGITS.sub("", part) for part in parts)
    # 1.1 is not 11.
    return re.sub(r"(?<!\d) | (?!\d)", "", joined)


def near_name(name: str, names: Iterable[str], within: bool) -> str | None:
    """Return the one of `names` that is `name` but for what programs change; for advice alone.

    Parameters
    ----------
    name, names
        One that is missed, and those that there are.
    within
        Whether it may also be one that is a part of the other, as of a path or with a lane.
    """
    names, of_name = list(names), bare(name)
    alike = [other for other in names if bare(other) == of_name]
    if within and not alike:
        alike = [other for other in names if _is_part(name, other) or _is_part(other, name)]
    return next(iter(alike), None)


def _is_part(name: str, other: str) -> bool:
    """Whether a name stands in another, between signs; in a number it does by chance."""
    is_number = other.replace(".", "", 1).isdigit()
    if len(name) < _SHORTEST_PART or name not in other or is_number:
        return False
    return re.search(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", other) is not None
