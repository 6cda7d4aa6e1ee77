"""R16 and R17: agreement of trait correlations."""

import numpy as np

from mtm.analyses.paper.results import NotRun, Ours, Results, Value, quantities
from mtm.vocabulary import PAPER, Reading

# Quantities of traits/summary.tsv that count tissues.
COUNTED = {
    True: "rho > 0.3 and P < 0.05 over genes",
    False: "rho above the permuted trait (q < 0.05)",
}
MEDIAN = ("median rho", "median rho, low", "median rho, high")


def how(value: Value, reading: Reading) -> tuple[str, str]:
    """Return scale and definition of a number."""
    if value.measure == "rho":
        return reading.scale, reading.definition
    return reading.scale, f"{reading.definition}, {COUNTED[reading == PAPER]}"


def ours(value: Value, results: Results, reading: Reading) -> Ours:
    """Look a number up in the summary of traits."""
    wanted = {"definition": reading.definition, "trait": value.of}
    if not (results.rows("traits", "trait")["trait"] == value.of).any():
        raise NotRun(f"not run: {results.absent.get(f'trait {value.of}', f'trait {value.of}')}")
    rows = results.rows("traits", "quantity", "value", model=results.model(value.role_a), **wanted)
    found = quantities(rows, "traits")
    n_tissues = int(found("tissues compared"))
    if not n_tissues:
        raise NotRun("no tissue with enough donors")
    names = MEDIAN if value.measure == "rho" else (COUNTED[reading == PAPER],)
    number, low, high = [*(found(name) for name in names), np.nan, np.nan][:3]
    return Ours(number, n_tissues, "tissues", low, high)
