"""In one word, how a run's number stands to the paper's (methods 3, the paper's table)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mtm.analyses.paper.results import Ours, Value

NO_VERDICT = "-"
BELOW = 0.05
# Of the paper's number, and units of the last digit that it prints.
TENTH, DIGITS = 0.1, 1
# The cohort of the paper: which datasets of config/datasets.tsv it and single analyses are made
# from, and what is left of it after all filters. HIPPIE is not there: what can be had is a later
# release than the paper's.
INPUTS = {
    "expression": "gtex_v8_gene_tpm",
    "sample_attributes": "gtex_v8_sample_attributes",
    "subject_phenotypes": "gtex_v8_subject_phenotypes",
    "controlled_phenotypes": "gtex_v8_controlled_phenotypes",
    "conservation": "phastcons100way",
}
COHORT = ("expression", "sample_attributes", "subject_phenotypes")
SIZE = {"n_tissues": 49, "n_genes": 19291}
# People of GSE184050.
EXTERNAL = {"n_cases": 25, "n_controls": 33}


def papers_data(
    inputs: Mapping[str, str | None], tables: Mapping[str, pd.DataFrame]
) -> frozenset[str]:
    """Say which data of a run are the paper's.

    Names of inputs alone do not tell: a local copy may be a part of a dataset, and filters choose.
    So the numbers of tissues and genes of the cohort, and of external people, must be the paper's.

    Parameters
    ----------
    inputs
        The section inputs of the configuration.
    tables
        Of the run: ``filtering``, and ``transfer`` where external people were taken along.

    Returns
    -------
    frozenset
        Of "cohort", "external" and the inputs of single analyses.
    """
    named = {role for role, dataset in INPUTS.items() if inputs.get(role) == dataset}
    size = tables["filtering"].iloc[-1]
    if not named.issuperset(COHORT) or any(size[name] != n for name, n in SIZE.items()):
        return frozenset()
    found = {"cohort", *named.difference(COHORT)}
    people = tables.get("transfer", pd.DataFrame(columns=[*EXTERNAL])).reindex(columns=[*EXTERNAL])
    if len(people) and (people.dropna() == pd.Series(EXTERNAL)).all(axis=None):
        found.add("external")
    return frozenset(found)


def verdict(value: Value, ours: Ours | None, same_data: bool) -> str:
    """Return ``reproduced``, ``higher``, ``lower``, ``other``, ``missing`` or a dash.

    Parameters
    ----------
    value, ours
        The paper's number and the run's; None where it has none.
    same_data
        Whether both are of the same data.
    """
    if not (same_data and value.paper):
        return NO_VERDICT
    if ours is None or np.isnan(ours.value):
        return "missing"
    paper = float(value.paper)
    if value.statistic == "p":
        same = (ours.value < BELOW) == (paper < BELOW) and ours.same_way
        return "reproduced" if same else "other"
    near = abs(ours.value - paper) <= margin(value.paper) * (1 + 1e-9)
    if near or ours.ci_low <= paper <= ours.ci_high:
        return "reproduced"
    return "higher" if ours.value > paper else "lower"


def margin(printed: str) -> float:
    """How far off a number still is the same: a tenth, but at least one unit of its last digit."""
    _, _, decimals = printed.partition(".")
    return max(TENTH * abs(float(printed)), DIGITS * 10.0 ** -len(decimals))
