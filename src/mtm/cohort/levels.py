"""Categories of samples and donors, as text."""

import pandas as pd


def as_levels(values: pd.Series) -> pd.Series:
    """Return categories as text, so that 1, 1.0 and "1" are one level; missing ones are None.

    Codes of up to 15 digits, dates among them, stay apart.
    """
    numbers = pd.to_numeric(values, errors="coerce")
    text = values.astype(object).where(numbers.isna(), numbers.map("{:.15g}".format))
    return text.where(values.notna(), None)
