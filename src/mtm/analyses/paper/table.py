"""The table: every number of the paper, under two readings, with a run's own beside it.

The readings are the paper's (z-scores of TPM, folds pooled, a gene predictable above rho 0.3,
tests over genes, tissues and pairs as if independent) and the headline (z-scores of log2(1+TPM),
rho within folds, permutation q, tests over donors).
"""

from dataclasses import replace
from typing import Protocol

import numpy as np
import pandas as pd

from mtm.analyses.paper import (
    accuracy,
    cost,
    disease,
    genes,
    overlaps,
    representations,
    traits,
    transfer,
)
from mtm.analyses.paper.results import NotRun, Ours, Results, Value, paper_values
from mtm.analyses.paper.verdict import verdict
from mtm.errors import InputError
from mtm.vocabulary import HEADLINE, PAPER, Reading

READINGS = {"paper": PAPER, "headline": HEADLINE}
COLUMNS = [
    *("id", "quantity", "of", "statistic", "role_a", "role_b", "model_a", "model_b", "reading"),
    *("scale", "definition", "paper", "ours", "ci_low", "ci_high", "covariates", "n", "n_of"),
    *("verdict", "cohort", "note"),
]


class Family(Protocol):
    """What a module of this package has to offer for its numbers."""

    def how(self, value: Value, reading: Reading) -> tuple[str, str] | None:
        """Return scale and definition; None where the number has no such reading."""

    def ours(self, value: Value, results: Results, reading: Reading) -> Ours:
        """Return the run's number, or raise `NotRun`."""


FAMILIES: dict[str, Family] = {
    **dict.fromkeys(("R1", "R2", "R3", "R4", "R5"), accuracy),
    **dict.fromkeys(("R6", "R7", "R8", "R9"), overlaps),
    **dict.fromkeys(("R10", "R11", "R12"), representations),
    **dict.fromkeys(("R13", "R14", "R15"), genes),
    **dict.fromkeys(("R16", "R17"), traits),
    **dict.fromkeys(("R18", "R19", "R20"), disease),
    "R21": transfer,
    "R22": cost,
}


def paper_table(
    results: Results, cohort: str, same_data: frozenset[str], reference: str | None = None
) -> pd.DataFrame:
    """Set the paper's numbers beside those of a run.

    Parameters
    ----------
    results
        Tables of the run.
    cohort
        Its name.
    same_data
        Which of its data are the paper's; from `papers_data`.
    reference
        The covariates-only model, if the run has one.

    Returns
    -------
    pd.DataFrame
        `COLUMNS`, as docs/contracts.md has them; no number of the paper is left out.
    """
    known = {role for value in paper_values() for role in value.roles}
    if unknown := sorted(set(results.roles) - known):
        raise InputError("roles of models", unknown[0], f"one of {', '.join(sorted(known))}")
    as_mtm = None
    if reference is not None:
        as_mtm = replace(results, roles={**results.roles, "MTM": reference})
    rows = []
    for value in paper_values():
        for name, reading in READINGS.items():
            described = FAMILIES[value.id].how(value, reading)
            if described is None:
                continue
            row = dict(zip(("scale", "definition"), described, strict=True)) | {"reading": name}
            row |= _numbers(value, results, reading, same_data)
            row["covariates"] = _of_covariates(value, as_mtm, reading)
            rows.append(row | {"cohort": cohort})
    return pd.DataFrame(rows)[COLUMNS].astype({"n": "Int64"})


def _numbers(
    value: Value, results: Results, reading: Reading, same_data: frozenset[str]
) -> dict[str, object]:
    """Return both numbers, the verdict, and what a reader must know of them."""
    row: dict[str, object] = {
        name: getattr(value, name)
        for name in ("id", "quantity", "of", "statistic", "role_a", "role_b")
    }
    names = [results.roles.get(role, "") for role in value.roles]
    row["model_a"], row["model_b"] = (*names, "", "")[:2]
    found, notes = None, [value.remark]
    try:
        found = FAMILIES[value.id].ours(value, results, reading)
        notes.append(found.note)
    except NotRun as reason:
        notes.append(str(reason))
    lacking = sorted({"cohort", *value.data.split()} - same_data)
    if "cohort" in same_data and lacking:
        notes.append(f"data not the paper's: {', '.join(lacking)}")
    of = found or Ours(np.nan, 0, "")
    return row | {
        "paper": float(value.paper or "nan"),
        "ours": of.value,
        "ci_low": of.ci_low,
        "ci_high": of.ci_high,
        "n": of.n if found else None,
        "n_of": of.n_of,
        "verdict": verdict(value, found, not lacking),
        "note": "; ".join(filter(None, notes)),
    }


def _of_covariates(value: Value, as_mtm: Results | None, reading: Reading) -> float:
    """Return MTM's own number of the covariates-only model, where its analysis was run."""
    if as_mtm is None or value.roles != ["MTM"] or value.id == "R22":
        return np.nan
    try:
        return FAMILIES[value.id].ours(value, as_mtm, reading).value
    except NotRun:
        return np.nan
