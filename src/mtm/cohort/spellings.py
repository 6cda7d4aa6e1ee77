"""Names of people, tissues and samples: which are one name, and which look like one."""

import unicodedata

import pandas as pd

# What joins words: blanks, or signs, which may stand between blanks. A point between digits is a
# decimal one, and a sign at one word alone is its own: CD8- T, day -7.
_SIGN = r"(?:[_\u2010-\u2015\u2212-]|(?<!\d)\.|\.(?!\d))+"
_JOINT = rf"(?<=\w)(?:{_SIGN}|\s+{_SIGN}\s+|\s+)(?=\w)"


def spelt(text: str) -> str:
    """Return a text with accents as one sign each (Unicode NFC), as programs differ in this."""
    return unicodedata.normalize("NFC", text)


def folded(names: pd.Series) -> pd.Series:
    """Return names such that those are equal which are one name in all likelihood.

    Neither case counts, nor how a sign is stored, nor which blank or sign (``- _ .``) joins words;
    that there is one does: A-1 is A_1, and not A1.
    """
    return names.map(
        lambda name: unicodedata.normalize("NFKC", name).casefold(), na_action="ignore"
    ).str.replace(_JOINT, " ", regex=True)


def differ_in(names: list[str]) -> str:
    """Say what names that `folded` makes equal differ in."""
    if len({name.casefold() for name in names}) == 1:
        return "capitals alone"
    return "capitals, blanks or signs (- _ .) alone"
