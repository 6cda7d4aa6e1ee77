"""Accuracy in several cohorts, side by side: the same model and tissue."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mtm.errors import CannotDo, InputError, shown
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
    words = ["cohort", "model", *ACCURACY_KEY, "tissue"]
    try:
        # Names that are numbers stay as they stand.
        table = read_tsv(path, [*words, *VALUES], dtype=dict.fromkeys(words, str))
    except CannotDo as why:
        found = f"no accuracy, which was left out: {why.reason}"
        hint = f"To have it, {why.remedy}."
        raise InputError(folder, found, "the results of a cohort", hint) from None
    _demand_whole(table, words, path)
    names = table["cohort"].unique()
    if len(names) != 1:
        raise InputError(path, f"{len(names)} cohorts", "the summary of one cohort")
    measure = pd.MultiIndex.from_frame(table[ACCURACY_KEY]).isin(MEASURES)
    kept = table[measure].set_index(KEY)[VALUES]
    return str(names[0]), kept.apply(pd.to_numeric)


def _demand_whole(table: pd.DataFrame, words: list[str], path: Path) -> None:
    """Refuse a summary with an empty name, a row a second time, or text in place of a number."""
    hint = "The file is damaged: have the pipeline write it again."
    empty = table[words].isna()
    for row in table.index[empty.any(axis=1)][:1]:
        where = f"{path}, row {row + 2}, column {empty.loc[row].idxmax()}"
        raise InputError(where, "an empty field", "a name", hint)
    for row in table.index[table.duplicated(words)][:1]:
        found = f"{' '.join(map(shown, table.loc[row, words]))} a second time"
        raise InputError(f"{path}, row {row + 2}", found, "every one once", hint)
    for name in VALUES:
        wrong = table[name].notna() & pd.to_numeric(table[name], errors="coerce").isna()
        for row in table.index[wrong][:1]:
            where = f"{path}, row {row + 2}, column {name}"
            raise InputError(where, shown(table.loc[row, name]), "a number", hint)
