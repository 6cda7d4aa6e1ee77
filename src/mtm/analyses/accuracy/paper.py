"""The paper's accuracy numbers (methods 3, R1-R9) beside those of a run.

Each number stands under two readings, in columns of their own: the paper's (z-scores of TPM,
folds pooled, a gene predictable above rho 0.3, rank-sum tests) and the headline (z-scores of
log2(1+TPM), rho within folds, permutation q, donor-paired tests).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import pandas as pd

from mtm.analyses.accuracy.pair_counts import SIGNIFICANT
from mtm.errors import InputError
from mtm.vocabulary import (
    ACCURACY_KEY,
    HEADLINE,
    MEAN_OF_TISSUES,
    PAPER,
    SAMPLE_CONVENTION,
    Reading,
)

# The two readings by what their columns are called, and what a pair of models is significant by.
READING_OF = {"tpm_z_pooled": PAPER, "log2_z_per_fold": HEADLINE}
SIGNIFICANCE = {PAPER: "p_rank_sum", HEADLINE: "q"}
STATISTICS: dict[str, Callable[[pd.Series], float]] = {
    "mean": lambda values: values.mean(),
    "sd": lambda values: values.std(ddof=1),
    "min": lambda values: values.min(),
    "median": lambda values: values.median(),
    "max": lambda values: values.max(),
    "count": lambda values: values.sum(),
    "value": lambda values: values.iloc[0],
}


@dataclass(frozen=True)
class Results:
    """Tables of a run, as ``accuracy/summary.tsv`` and ``comparison/*.tsv`` hold them."""

    summary: pd.DataFrame
    pairs: pd.DataFrame
    overlaps: pd.DataFrame
    fold_changes: pd.DataFrame


@cache
def paper_values() -> pd.DataFrame:
    """Return the numbers that He et al. 2023 report.

    Returns
    -------
    pd.DataFrame
        ``id`` (R1 to R9), ``quantity``, ``measure``, ``role_a`` and ``role_b`` (MTM, S1, S2,
        S3), ``tissue`` (where the number is of one alone), ``statistic`` (a key of `STATISTICS`,
        over tissues), ``paper``, ``remark``.
    """
    with files("mtm.analyses.accuracy").joinpath("paper_values.tsv").open() as handle:
        table = pd.read_csv(handle, sep="\t", keep_default_na=False)
    return table.astype({"paper": float})


def paper_table(
    results: Results, roles: Mapping[str, str], models: list[str], cohort: str
) -> pd.DataFrame:
    """Set the paper's numbers beside those of a run.

    Parameters
    ----------
    results
        Tables of the run.
    roles
        Which model plays "MTM", "S1", "S2" and "S3".
    models
        Models of the run.
    cohort
        Name of the cohort.

    Returns
    -------
    pd.DataFrame
        ``id``, ``quantity``, ``statistic``, ``tissue``, ``role_a``, ``role_b``, ``model_a``,
        ``model_b``, ``paper``; ``ours_tpm_z_pooled`` and ``ours_log2_z_per_fold`` (see
        `READING_OF`); ``n_tissues_tpm_z_pooled`` and ``n_tissues_log2_z_per_fold`` that they
        are of; ``cohort``, ``n_genes`` scored in it; ``remark``, which says why a number is
        missing: "not run: mlp" where that model is not in the run.
    """
    unknown = sorted(set(roles) - set(_roles()))
    if unknown:
        raise InputError("roles of models", unknown[0], f"one of {', '.join(_roles())}")
    n_genes = int(results.summary["n_genes"].max())
    return pd.DataFrame(
        [
            _row(value, results, roles, models) | {"cohort": cohort, "n_genes": n_genes}
            for value in paper_values().to_dict("records")
        ]
    )[[*_COLUMNS]]


_COLUMNS = (
    *("id", "quantity", "statistic", "tissue", "role_a", "role_b", "model_a", "model_b", "paper"),
    *(f"ours_{name}" for name in READING_OF),
    *(f"n_tissues_{name}" for name in READING_OF),
    *("cohort", "n_genes", "remark"),
)


def _roles() -> list[str]:
    """Roles that the paper's numbers are of."""
    table = paper_values()
    return sorted({*table["role_a"], *table["role_b"]} - {""})


def _row(
    value: dict, results: Results, roles: Mapping[str, str], models: list[str]
) -> dict[str, object]:
    """Return one number of the paper with ours."""
    row = {key: value[key] for key in _COLUMNS if key in value}
    needed = [role for role in (value["role_a"], value["role_b"]) if role]
    names = [roles.get(role, "") for role in needed]
    row["model_a"], row["model_b"] = (*names, "")[:2]
    remarks = [value["remark"]] if value["remark"] else []
    missing = [
        f"not run: {name}" if name else f"not run: no model plays {role}"
        for role, name in zip(needed, names, strict=True)
        if name not in models
    ]
    remarks += missing
    for label, reading in READING_OF.items():
        known = pd.Series(dtype=float)
        if not missing:
            known = _values(value["measure"], names, reading, results).dropna()
            if value["tissue"]:
                known = known[known.index == value["tissue"]]
            if known.empty:
                remarks.append(f"no {value['tissue'] or 'tissue'} with a value ({label})")
        statistic = STATISTICS[value["statistic"]]
        row[f"ours_{label}"] = float(statistic(known)) if len(known) else np.nan
        row[f"n_tissues_{label}"] = len(known)
    return row | {"remark": "; ".join(remarks)}


def _values(measure: str, names: list[str], reading: Reading, results: Results) -> pd.Series:
    """Values of a measure, one a tissue."""
    level = "sample_wise" if "sample_wise" in measure else "gene_wise"
    of_level = SAMPLE_CONVENTION if level == "sample_wise" else reading.convention
    key = (reading.scale, level, of_level)
    if measure in ("sample_wise", "gene_wise", "predictable"):
        rows = _of_measure(results.summary, key)
        rows = rows[rows["model"] == names[0]].set_index("tissue")
        return rows["mean_rho" if measure != "predictable" else f"n_{reading.definition}"]
    if "better" in measure:
        rows = _of_measure(results.pairs, key)
        rows = _of_pair(rows, names).dropna(subset=["difference"])
        better = rows["difference"] > 0
        if measure.startswith("significantly"):
            better &= rows[SIGNIFICANCE[reading]] < SIGNIFICANT
        return better.astype(float)
    if measure == "share":
        rows = results.overlaps[results.overlaps["definition"] == reading.definition]
        of_a, of_b = _of_pair(rows, names), _of_pair(rows, names[::-1])
        return pd.concat([of_a["share_of_a_in_b"], of_b["share_of_b_in_a"]])
    changes = results.fold_changes
    rows = _of_pair(changes[changes["definition"] == reading.definition], names)
    return rows.loc[~rows["excluded"].astype(bool), measure]


def _of_measure(table: pd.DataFrame, key: tuple[str, str, str]) -> pd.DataFrame:
    """Rows of single tissues of one scale, level and convention."""
    return table[(table[ACCURACY_KEY] == key).all(axis=1) & (table["tissue"] != MEAN_OF_TISSUES)]


def _of_pair(table: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Rows of model A and model B, by tissue."""
    a, b = names
    return table[(table["model_a"] == a) & (table["model_b"] == b)].set_index("tissue")
