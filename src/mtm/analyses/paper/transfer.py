"""R21: fold changes of an external cohort."""

from mtm.analyses.paper.results import Ours, Results, Value, over_tissues
from mtm.vocabulary import PAPER, TARGET, Reading

GENES = "all"


def how(value: Value, reading: Reading) -> tuple[str, str]:
    """Return scale and definition of a number."""
    alignment = _alignment(reading)
    text = f"aligned by {alignment}, {GENES} genes"
    if value.statistic == "p":
        text += ", rank-sum over tissues" if reading == PAPER else ", external groups permuted"
    return alignment, text


def ours(value: Value, results: Results, reading: Reading) -> Ours:
    """Look a number up in the agreement of tissues or of groups of them."""
    model = results.model(value.role_a)
    wanted = {"model": model, "alignment": _alignment(reading), "genes": GENES}
    if value.measure == "transfer_p":
        column = "p_as_paper" if reading == PAPER else "permuted_p"
        columns = (column, "difference", "n_tissues")
        row = results.rows("transfer_groups", *columns, **wanted).iloc[0]
        same_way = bool(row["difference"] > 0)
        return Ours(float(row[column]), int(row["n_tissues"]), "tissues", same_way=same_way)
    rows = results.rows("transfer", "rho_log2fc", "related", **wanted, role=TARGET)
    of_group = rows["related"].astype(bool) == (value.of == "related")
    rho = rows.loc[of_group & rows["rho_log2fc"].notna(), "rho_log2fc"]
    if value.measure == "transfer_tissues":
        return Ours(float(len(rho)), int(rows["rho_log2fc"].notna().sum()), "tissues")
    return over_tissues(rho, value)


def _alignment(reading: Reading) -> str:
    """How external expression is brought to the training samples'; the paper does not say."""
    return "tpm" if reading == PAPER else "log2"
