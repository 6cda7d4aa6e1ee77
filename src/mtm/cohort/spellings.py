"""Names of people, tissues and samples: which are one name, and which look like one."""

import unicodedata

import pandas as pd

# Of blanks and the signs that join words; a point between digits is a decimal one.
_SIGNS = r"(?:[\s_\u2010-\u2015\u2212-]|(?<!\d)\.|\.(?!\d))+"


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
    ).str.replace(_SIGNS, " ", regex=True)


def differ_in(names: list[str]) -> str:
    """Say what names that `folded` makes equal differ in."""
    if len({name.casefold() for name in names}) == 1:
        return "capitals alone"
    return "capitals, blanks or signs (- _ .) alone"
