"""What a run left out: by its configuration, and by what it found in the cohort."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from mtm.errors import CannotDo
from mtm.io import read_table
from mtm.vocabulary import CEILING, SKIPPED

COLUMNS = ["analysis", "model", "tissue", "reason", "remedy"]
# Columns of tables that hold several models, or several cohorts of people from elsewhere.
PARTS = ("model", "cohort")
# Of which a model may have something of one and nothing of another: choices of genes, then traits.
WITHIN = (("definition", "selection"), ("trait",))


def skipped_analyses(
    planned: Iterable[Mapping[str, str]],
    tables: Iterable[str | Path],
    training: Mapping[str, Sequence[str | Path]],
) -> pd.DataFrame:
    """List what was left out, each with its reason and remedy.

    Parameters
    ----------
    planned
        ``analysis``, ``reason`` and ``remedy`` of what the configuration leaves out.
    tables
        Tables of the run. Listed are those that could not be made and, model by model and cohort
        by cohort, those in which every row, or every row of a choice of genes or of a trait, has
        the ``status`` skipped; an ``adjustment`` without a correlation; ceilings without a tissue.
    training
        Training tables of the folds, by model. Listed are tissues that were not fitted.

    Returns
    -------
    pd.DataFrame
        `COLUMNS`; ``model`` and ``tissue`` are empty where it is all of them.
    """
    rows = list(planned)
    for path in map(Path, sorted(set(map(str, tables)))):
        try:
            table = read_table(path)
            rows += [*_nothing_ran(path, table), *_nothing_known(path, table)]
        except CannotDo as why:
            rows.append({"analysis": why.analysis, "reason": why.reason, "remedy": why.remedy})
    for model, paths in training.items():
        rows += _not_fitted(model, [read_table(path) for path in paths])
    return pd.DataFrame(rows, columns=COLUMNS).fillna("").drop_duplicates(ignore_index=True)


def _nothing_ran(path: Path, table: pd.DataFrame) -> Iterator[dict[str, str]]:
    """Yield a row for every model, and people from elsewhere, of which `table` has nothing.

    Of choices of genes, and of traits, where the model has others.
    """
    if table.empty or not {"status", "reason"} <= set(table):
        return
    of = [table[name] if name in table else pd.Series("", table.index) for name in PARTS]
    for (model, cohort), whole in table.groupby(of):
        for about, part in _skipped_parts(cohort, whole):
            name = path.with_suffix("") if path.stem != model else path.parent
            yield {
                "analysis": "/".join(name.parts[-2:]) + (f" of {about}" if about else ""),
                "model": model,
                "reason": f"nothing ran; most often: {part['reason'].mode()[0]}",
                "remedy": "give the cohort what the reason names, or lower the limits of this "
                f"analysis in the configuration; every row's reason is in {path}",
            }


def _skipped_parts(name: str, rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield `rows` under their `name` if all are skipped, else what within them is."""
    if (rows["status"] == SKIPPED).all():
        yield name, rows
        return
    for columns in WITHIN:
        columns = [column for column in columns if column in rows]
        if not columns:
            continue
        of = [rows[column] for column in columns]
        skipped = rows["status"].eq(SKIPPED).groupby(of, dropna=False).transform("all")
        for about, part in rows[skipped].groupby(columns, sort=False):
            yield ", ".join(about), part
        rows = rows[~skipped]


def _nothing_known(path: Path, table: pd.DataFrame) -> Iterator[dict[str, str]]:
    """Yield a row for what a table has of no tissue: a ceiling, a model's partial accuracy."""
    if {"kind", "assumption"} <= set(table) and not table["kind"].eq(CEILING).any():
        yield {
            "analysis": "noise ceiling",
            "reason": "no tissue has another of its organ, given by enough of its donors",
            "remedy": "give the cohort two tissues of one organ, named as GTEx does "
            "(Skin - A, Skin - B); the floor below a ceiling stands in accuracy/ceiling.tsv",
        }
    if not {"model", "adjustment", "mean_rho"} <= set(table):
        return
    for (model, adjustment), part in table.groupby(["model", "adjustment"], sort=False):
        if part["mean_rho"].isna().all():
            yield {
                "analysis": f"{'/'.join(path.parent.parts[-2:])} of {adjustment}",
                "model": model,
                "reason": "no fold of a tissue has enough held-out donors",
                "remedy": "draw fewer folds (folds.n_folds), or give more donors; covariates take "
                "as many donors again as they have columns",
            }


def _not_fitted(model: str, folds: Sequence[pd.DataFrame]) -> Iterator[dict[str, str]]:
    """Yield a row for every tissue and reason, or one where no tissue was fitted."""
    row = {
        "analysis": "fit of a model",
        "model": model,
        "remedy": "give the cohort what the reason names, or leave the tissue or the model out; "
        "until then the training mean is predicted",
    }
    table = pd.concat(folds, ignore_index=True)
    if "n_tissues_not_fitted" in table and (most := int(table["n_tissues_not_fitted"].max())):
        yield row | {"reason": f"too few training pairs in {most} tissues"}
    if "reason" not in table:
        return
    missed = table[table["reason"].notna()]
    if len(missed) == len(table) and missed["reason"].nunique() == 1:
        yield row | {"reason": missed["reason"].iloc[0]}
        return
    for (tissue, reason), n in missed.groupby(["tissue", "reason"]).size().items():
        yield row | {"tissue": tissue, "reason": f"{reason} (in {n} of {len(folds)} folds)"}
