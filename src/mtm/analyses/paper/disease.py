"""R18 to R20: differential expression, and disease status."""

from mtm.analyses.paper.results import NotRun, Ours, Results, Value, quantities
from mtm.vocabulary import BASELINE, OBSERVED, PAPER, PREDICTED, SELECTIONS, SOURCE, Reading

# Quantities of disease/summary.tsv, and where the headline counts by a sounder test.
PAIRS = "pairs with enough observed genes"
QUANTITIES = {
    "pairs": PAIRS,
    "tissues": "tissues of these",
    "contrasts": "contrasts of these",
    "pairs_that_agree": "of these, sign consistency > 0.7 and rho > 0.3",
    "pairs_with_genes": "pairs with enough genes {of}",
    "overlapping_pairs": "of these, overlap P < 0.05, {of}",
    "f1": "median F1, {of}",
    "pairs_of_high_f1": "pairs with F1 > 0.7, {of}",
}
SOUNDER = {
    "pairs_that_agree": "of these, rho above labels without meaning (q < 0.05)",
    "overlapping_pairs": "of these, F1 above permuted labels (q < 0.05), {of}",
}
# Where the mean of an input stands in disease/status_summary.
MEANS = {
    OBSERVED: (OBSERVED, PREDICTED, "mean_a"),
    PREDICTED: (OBSERVED, PREDICTED, "mean_b"),
    SOURCE: (PREDICTED, SOURCE, "mean_b"),
    BASELINE: (PREDICTED, BASELINE, "mean_b"),
}


def how(value: Value, reading: Reading) -> tuple[str, str]:
    """Return scale and definition of a number."""
    selection = f"genes chosen on {_selection(reading)}"
    if value.id != "R20":
        counted = _quantity(value, reading) if value.measure in SOUNDER else ""
        parts = [reading.definition, selection, counted.removeprefix("of these, ")]
        return reading.scale, ", ".join(filter(None, parts))
    test = "paired Wilcoxon" if reading == PAPER else "donors halved"
    parts = [f"{_pairs(reading)} pairs", selection, *([test] if value.statistic == "p" else [])]
    return "", ", ".join(parts)


def ours(value: Value, results: Results, reading: Reading) -> Ours:
    """Look a number up in the summary of differential expression or of disease status."""
    model = results.model(value.role_a)
    if value.id == "R20":
        return _status(value, results, reading, model)
    wanted = {"model": model, "definition": reading.definition, "selection": _selection(reading)}
    rows = results.rows("dysregulation", "quantity", "value", **wanted)
    found = quantities(rows, "dysregulation")
    n_pairs = int(found(PAIRS))
    if value.id == "R19" and value.measure != "pairs_with_genes":
        n_pairs = int(found(QUANTITIES["pairs_with_genes"].format(of=value.of)))
    elif value.id == "R18" and value.measure != "pairs_that_agree":
        n_pairs = int(found("pairs tested"))
    return Ours(found(_quantity(value, reading)), n_pairs, "pairs")


def _status(value: Value, results: Results, reading: Reading, model: str) -> Ours:
    """Look a number of disease status up."""
    wanted = {"model": model, "selection": _selection(reading), "pairs": _pairs(reading)}
    if value.measure == "status_pairs":
        a, b, column = OBSERVED, PREDICTED, "n_pairs"
    elif value.measure == "auroc":
        a, b, column = MEANS[value.of]
    else:
        a, b = value.of.split(", ")
        column = "wilcoxon_p" if reading == PAPER else "p"
    columns = (column, "difference", "n_pairs", "n_pairs_all", "definition")
    row = results.rows("status", *columns, **wanted, input_a=a, input_b=b).iloc[0]
    n_pairs = int(row["n_pairs_all" if column == "n_pairs" else "n_pairs"])
    if not n_pairs:
        raise NotRun("no pair of this kind")
    return Ours(
        *(float(row[column]), n_pairs, "pairs"),
        note=f"genes {row['definition']}",
        same_way=bool(row["difference"] > 0),
    )


def _selection(reading: Reading) -> str:
    """Where genes are chosen: over all folds as the paper, or within training folds."""
    return SELECTIONS[0] if reading == PAPER else SELECTIONS[1]


def _pairs(reading: Reading) -> str:
    """Which pairs of tissue and disease: those that look informative as the paper, or all."""
    return "informative" if reading == PAPER else "all"


def _quantity(value: Value, reading: Reading) -> str:
    """Name of a number in disease/summary.tsv."""
    names = QUANTITIES if reading == PAPER else QUANTITIES | SOUNDER
    return names[value.measure].format(of=value.of)
