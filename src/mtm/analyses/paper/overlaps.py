"""R6 to R9: predictable genes of one model found by another, ratios of their numbers."""

from dataclasses import replace

import pandas as pd

from mtm.analyses.paper.results import NotRun, Ours, Results, Value, over_tissues
from mtm.vocabulary import Reading


def how(value: Value, reading: Reading) -> tuple[str, str]:
    """Return scale and definition of a number."""
    return reading.scale, reading.definition


def ours(value: Value, results: Results, reading: Reading) -> Ours:
    """Look a number up in the overlaps or the fold changes of a pair of models."""
    models = [results.model(role) for role in value.roles]
    of_reading = {"definition": reading.definition}
    if value.measure == "share":
        shares = _shares(results, models, of_reading)
        return over_tissues(shares[shares.index == value.of] if value.of else shares, value)
    pair = dict(zip(("model_a", "model_b"), models, strict=True))
    rows = results.rows("fold_changes", value.measure, "excluded", **of_reading, **pair)
    values = rows.loc[~rows["excluded"].astype(bool), value.measure]
    if value.measure == "fold_change":
        return over_tissues(values, value)
    # One number of the whole pair stands in every row.
    whole = over_tissues(values, value)
    if value.statistic != "p":
        return whole
    falls = results.rows("fold_changes", **of_reading, **pair)["spearman_rho"].iloc[0] < 0
    return replace(whole, same_way=bool(falls))


def _shares(results: Results, models: list[str], of_reading: dict[str, str]) -> pd.Series:
    """Shares of the first model's genes that the second finds, by tissue; a pair stands once."""
    for column, (a, b) in (("share_of_a_in_b", models), ("share_of_b_in_a", models[::-1])):
        try:
            rows = results.rows("overlaps", column, "tissue", **of_reading, model_a=a, model_b=b)
        except NotRun as error:
            reason = error
        else:
            return rows.set_index("tissue")[column]
    raise reason
