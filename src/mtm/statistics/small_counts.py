"""What is of too few people to leave the building: rows of tables, and counts in sentences."""

import re

import pandas as pd

# Columns that count people, or samples of one person each.
OF_PEOPLE = (
    "n_samples", "n_donors", "n_predicted", "n_cases", "n_controls", "n_reference_cases",
    "n_reference_controls", "n_training_samples", "n_held_out_donors", "n_held_out_source_donors",
)  # fmt: skip
# Columns that do where another stands beside them; elsewhere pairs of tissues, genes of a class.
BESIDE = {"n_pairs": "tissue", "n_low": "n_donors", "n_high": "n_donors"}
# A count of people in tables by tissue alone; elsewhere of anything.
BY_TISSUE = "n"
# "3 held-out donors", "at most 2 cases": a count, a word or two, whom it counts.
IN_WORDS = re.compile(
    r"\b(\d+)(?= (?:[\w-]+ ){0,2}(?:donors?|samples?|people|cases?|controls?|pairs?)\b)"
)


def of_enough_people(table: pd.DataFrame, fewest: int) -> pd.DataFrame:
    """Leave out the rows that are of some people, but of fewer than `fewest`.

    What a row says is then of so few that it tells of each: not the count alone goes, but the row.
    Rows that count nobody stay, and so do means over tissues, in which small tissues are part.

    Parameters
    ----------
    table
        Any table of a run; `OF_PEOPLE` and `BESIDE` are looked at where it has them.
    fewest
        People that a row must be of; 1 leaves every row.
    """
    names = [name for name in (*OF_PEOPLE, BY_TISSUE) if name in table]
    names += [name for name, other in BESIDE.items() if {name, other} <= set(table)]
    if "tissue" not in table and BY_TISSUE in names:
        names.remove(BY_TISSUE)
    if fewest <= 1 or not names:
        return table
    counts = table[names].apply(pd.to_numeric, errors="coerce")
    return table[~((counts > 0) & (counts < fewest)).any(axis=1)].reset_index(drop=True)


def without_small_counts(sentence: str, fewest: int) -> str:
    """Say "fewer than `fewest`" in place of every smaller number of people in a sentence."""
    if fewest <= 1:
        return sentence

    def told(match: re.Match) -> str:
        return f"fewer than {fewest}" if 0 < int(match[1]) < fewest else match[1]

    return IN_WORDS.sub(told, sentence)
