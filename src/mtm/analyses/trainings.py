"""How every training of models with epochs ended."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

# Columns of training tables, as docs/contracts.md has them.
LOSSES = ("loss", "discriminator", "adversarial", "individual", "reconstruction", "cycle")
ENDED = ("restarts", "step", "epoch", "seconds", *LOSSES, "code_spread", "collapsed")


def training_summary(
    tables: Mapping[str | Path, pd.DataFrame], seeds: Mapping[str, int]
) -> pd.DataFrame:
    """Put the last rows of training tables under each other.

    Parameters
    ----------
    tables
        Training tables by their path ``models/{model}/{run}.training.tsv``, below
        ``external/{evaluation}`` where people from elsewhere were left out.
    seeds
        Seed of each model; a fold's number is added to it.

    Returns
    -------
    pd.DataFrame
        One row a training: ``model``, ``evaluation`` ("" for the cohort's own folds and for all
        donors), ``run`` (a fold, or all), ``seed`` (of the first attempt), and those of `ENDED`
        that any table has.
    """
    rows = []
    for path, table in tables.items():
        *place, _, model, name = Path(path).parts
        evaluation = place[-1] if place[-2:-1] == ["external"] else ""
        run = name.removesuffix(".training.tsv")
        number = 0 if run == "all" else int(run.removeprefix("fold"))
        last = table.iloc[-1].reindex(ENDED)
        of = {"model": model, "evaluation": evaluation, "run": run, "seed": seeds[model] + number}
        rows.append(of | last.to_dict())
    summary = pd.DataFrame(rows).dropna(axis=1, how="all")
    counts = [name for name in ("restarts", "step", "collapsed") if name in summary]
    return summary.astype(dict.fromkeys(counts, "Int64"))
