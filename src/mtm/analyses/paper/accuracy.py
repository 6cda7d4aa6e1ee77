"""R1 to R5: accuracy by model, tissues won, predictable genes."""

from dataclasses import replace

from mtm.analyses.paper.results import Ours, Results, Value, over_tissues
from mtm.vocabulary import MEAN_OF_TISSUES, PAPER, SAMPLE_CONVENTION, Reading

# By what a tissue is won significantly, and the count of such tissues.
TESTS = {True: ("rank-sum P < 0.05", "n_better_rank_sum"), False: ("q < 0.05", "n_better_paired")}


def how(value: Value, reading: Reading) -> tuple[str, str]:
    """Return scale and definition of a number."""
    if value.measure == "predictable":
        return reading.scale, reading.definition
    convention = _measure(value, reading)["convention"]
    if value.measure.startswith("significantly"):
        return reading.scale, f"{convention}, {TESTS[reading == PAPER][0]}"
    return reading.scale, convention


def ours(value: Value, results: Results, reading: Reading) -> Ours:
    """Look a number up in the accuracy summary or the counts of tissues won."""
    models = [results.model(role) for role in value.roles]
    key = _measure(value, reading)
    if "better" in value.measure:
        significant = value.measure.startswith("significantly")
        column = TESTS[reading == PAPER][1] if significant else "n_better"
        pair = dict(zip(("model_a", "model_b"), models, strict=True))
        row = results.rows("pair_counts", column, "n_tissues", **key, **pair).iloc[0]
        return Ours(float(row[column]), int(row["n_tissues"]), "tissues")
    column = f"n_{reading.definition}" if value.measure == "predictable" else "mean_rho"
    rows = results.rows("summary", column, "tissue", **key, model=models[0])
    whole = rows["tissue"] == MEAN_OF_TISSUES
    result = over_tissues(rows.loc[~whole, column], value)
    if column != "mean_rho" or value.statistic != "mean" or not whole.any():
        return result
    ci_low, ci_high = rows.loc[whole, ["ci_low", "ci_high"]].iloc[0].astype(float)
    return replace(result, ci_low=ci_low, ci_high=ci_high)


def _measure(value: Value, reading: Reading) -> dict[str, str]:
    """Which rows of the accuracy tables."""
    level = "sample_wise" if "sample_wise" in value.measure else "gene_wise"
    convention = SAMPLE_CONVENTION if level == "sample_wise" else reading.convention
    return {"scale": reading.scale, "level": level, "convention": convention}
