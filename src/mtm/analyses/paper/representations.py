"""R10 to R12: codes, decoding paths, similarity of tissues."""

from dataclasses import replace

from mtm.analyses.paper.results import Ours, Results, Value
from mtm.vocabulary import ALL_PAIRS, ALL_TISSUES, PAPER, SAME_TISSUES, TRAINED, Reading

BELOW = 0.05


def how(value: Value, reading: Reading) -> tuple[str, str]:
    """Return scale and definition of a number."""
    as_paper = reading == PAPER
    if value.measure == "codes_p":
        comparison = ALL_PAIRS if as_paper else SAME_TISSUES
        return "", f"{comparison}, {'rank-sum' if as_paper else 'donors permuted'}"
    test = "pairs of tissues as if independent" if as_paper else "Mantel"
    if value.measure == "layers":
        return "", test
    similarity = f"Pearson over genes of {reading.rho}"
    with_p = value.measure.endswith("_p")
    return reading.scale, f"{similarity}, {test}" if with_p else similarity


def ours(value: Value, results: Results, reading: Reading) -> Ours:
    """Look a number up in the summary of codes, of decoding paths or of similarity."""
    as_paper = reading == PAPER
    model = results.model(value.role_a)
    if value.measure == "codes_p":
        comparison = ALL_PAIRS if as_paper else SAME_TISSUES
        wanted = {"model": model, "network": TRAINED, "comparison": comparison}
        column = "p_as_paper" if as_paper else "p"
        row = results.rows("codes", column, "difference", "n_donors", **wanted).iloc[0]
        same_way = bool(row["difference"] > 0)
        return Ours(float(row[column]), int(row["n_donors"]), "donors", same_way=same_way)
    p = "p_as_paper" if as_paper else "p"
    if value.measure == "layers":
        rows = results.rows("decoding", p, "spearman_rho", model=model, subset=ALL_TISSUES)
        alike = (rows[p] < BELOW) & (rows["spearman_rho"] > 0)
        return Ours(float(alike.mean()), len(rows), "layers")
    wanted = {"model": model, "measure": "pearson", "scale": reading.scale, "of": reading.rho}
    columns = ("spearman_rho", "ci_low", "ci_high", p, "n_pairs")
    row = results.rows("tissue_similarity", *columns, **wanted, subset=ALL_TISSUES).iloc[0]
    number = p if value.measure.endswith("_p") else "spearman_rho"
    found = Ours(float(row[number]), int(row["n_pairs"]), "pairs of tissues")
    if number == p:
        return replace(found, same_way=bool(row["spearman_rho"] > 0))
    return replace(found, ci_low=float(row["ci_low"]), ci_high=float(row["ci_high"]))
