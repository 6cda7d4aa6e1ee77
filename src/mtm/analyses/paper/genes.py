"""R13 to R15: what the best predicted quarter of genes has more or less of than the worst."""

from mtm.analyses.paper.results import NotRun, Ours, Results, Value
from mtm.vocabulary import MEAN_OF_TISSUES, PAPER, Reading

BELOW = 0.05
TESTS = {True: ("rank-sum P", "p_as_paper"), False: ("q over genes and donors", "q")}


def how(value: Value, reading: Reading) -> tuple[str, str]:
    """Return scale and definition of a number."""
    quarters = "quarters of all genes"
    if not value.measure.startswith("significantly"):
        return reading.scale, quarters
    return reading.scale, f"{quarters}, {TESTS[reading == PAPER][0]} < {BELOW}"


def ours(value: Value, results: Results, reading: Reading) -> Ours:
    """Count tissues in the contrasts of a characteristic."""
    test = TESTS[reading == PAPER][1]
    wanted = {"model": results.model(value.role_a), "scale": reading.scale, "reading": "all_genes"}
    rows = results.rows(value.of, "tissue", "cliffs_delta", test, **wanted)
    rows = rows[(rows["tissue"] != MEAN_OF_TISSUES) & rows["cliffs_delta"].notna()]
    if rows.empty:
        raise NotRun("no tissue with a value")
    sign = 1 if value.measure.endswith("higher") else -1
    counted = rows["cliffs_delta"] * sign > 0
    if value.measure.startswith("significantly"):
        counted &= rows[test] < BELOW
    return Ours(float(counted.sum()), len(rows), "tissues")
