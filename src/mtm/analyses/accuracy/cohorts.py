"""Accuracy in several cohorts, side by side: the same model and tissue."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mtm.errors import InputError
from mtm.io import read_tsv
from mtm.vocabulary import ACCURACY_KEY, HEADLINE_MEASURES, MEAN_OF_TISSUES

MEASURES = HEADLINE_MEASURES[:2]
KEY = ["level", "model", "tissue"]
VALUES = ["n_samples", "mean_rho", "ci_low", "ci_high"]


def compare_cohorts(folders: Sequence[str | Path]) -> pd.DataFrame:
    """Join the accuracy of cohorts, on the headline's scale.

    Intervals are each cohort's own, over its donors. Where cohorts share donors, as releases of
    GTEx do, a difference between them is surer than the two intervals say.

    Parameters
    ----------
    folders
        Result folders of cohorts, ``results/{cohort}``.

    Returns
    -------
    pd.DataFrame
        One row (``level``, ``model``, ``tissue``) that all cohorts have, the mean of their own
        tissues first; then for each cohort ``{cohort} n_samples``, ``mean_rho``, ``ci_low`` and
        ``ci_high``.

    Raises
    ------
    InputError
        A folder has no accuracy, two are of one cohort, or they share no model and tissue; every
        folder that cannot be used is named.
    """
    parts, problems = {}, []
    for folder in map(Path, folders):
        try:
            name, part = _read(folder)
        except InputError as error:
            problems.append(error)
            continue
        if name in parts:
            found = f"the cohort {name} a second time"
            problems.append(InputError(folder, found, "another cohort, or another name for it"))
        parts[name] = part
    if problems:
        raise InputError.together(problems)
    table = pd.concat(parts, axis=1, join="inner", sort=False)
    if table.empty:
        models = "; ".join(
            f"{name}: {', '.join(part.index.unique('model'))}" for name, part in parts.items()
        )
        raise InputError("cohorts", f"no model and tissue in common ({models})", "one at least")
    table.columns = [f"{name} {value}" for name, value in table.columns]
    table = table.reset_index()
    order = table["tissue"].ne(MEAN_OF_TISSUES)
    return table.iloc[order.argsort(kind="stable")].reset_index(drop=True)


def _read(folder: Path) -> tuple[str, pd.DataFrame]:
    """Return a cohort's name and its accuracy by level, model and tissue."""
    path = folder / "accuracy" / "summary.tsv"
    if not path.exists():
        hint = "Run the pipeline for this cohort first; the folder is results/{cohort}."
        raise InputError(folder, "no accuracy/summary.tsv", "the results of a cohort", hint)
    table = read_tsv(path, ["cohort", "model", *ACCURACY_KEY, "tissue", *VALUES])
    names = table["cohort"].unique()
    if len(names) != 1:
        raise InputError(path, f"{len(names)} cohorts", "the summary of one cohort")
    measure = pd.MultiIndex.from_frame(table[ACCURACY_KEY]).isin(MEASURES)
    return str(names[0]), table[measure].set_index(KEY)[VALUES]
