"""Numbers as the page says them: rounded to what they are worth."""

import math

import pandas as pd

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"


def number(value: float, digits: int = 2) -> str:
    """Write a number with `digits` decimals, a dash where there is none."""
    if value is None or pd.isna(value):
        return DASH
    return _signed(f"{value:.{digits}f}")


def count(value: float) -> str:
    """Write a count with commas between thousands."""
    return DASH if value is None or pd.isna(value) else f"{round(value):,}"


def share(part: float, whole: float) -> str:
    """Write a share in percent."""
    return f"{100 * part / whole:.0f}%" if whole else DASH


def p_value(value: float) -> str:
    """Write a P or q value with one digit that counts."""
    if pd.isna(value):
        return DASH
    if value < 1e-4:
        return "< 0.0001"
    rounded = float(f"{value:.1g}")
    return f"{rounded:.{max(0, -math.floor(math.log10(rounded)))}f}" if rounded < 1 else "1"


def between(low: float, high: float, digits: int = 2) -> str:
    """Write a range; empty where an end is missing."""
    if pd.isna(low) or pd.isna(high):
        return ""
    return f"{number(low, digits)} to {number(high, digits)}"


def measured(row: pd.Series, value: str = "mean_rho", low: str = "ci_low", high: str = "ci_high"):
    """Write a value with its 95% interval."""
    limits = between(row[low], row[high])
    return number(row[value]) + (f" ({limits})" if limits else "")


def listed(words: list[str]) -> str:
    """Join words with commas and an "and"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def duration(seconds: float) -> str:
    """Write a time in the unit that fits."""
    if pd.isna(seconds):
        return DASH
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.{0 if seconds >= 10 * length else 1}f} {unit}"
    return f"{seconds:.0f} seconds"


def _signed(text: str) -> str:
    text = text.removeprefix("-") if float(text) == 0 else text
    return text.replace("-", MINUS)
