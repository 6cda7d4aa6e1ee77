"""Print the accuracy of every model of a run, with its interval and null, and where the page is.

Usage: python scripts/print_headline.py results/demo covariates
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from mtm.errors import InputError
from mtm.io import read_tsv
from mtm.vocabulary import HEADLINE

LEVELS = ("gene_wise", "sample_wise")
NUMBERS = ["mean_rho", "ci_low", "ci_high", "null_low", "null_high"]
CELL = "{:>7}  {:>14}  {:>14}"


def headline_lines(table: pd.DataFrame, covariates: str) -> list[str]:
    """Write ``accuracy/headline.tsv``, best model first; the covariates-only model is marked."""
    if covariates not in set(table["model"]):
        raise InputError("model", repr(covariates), f"one of {', '.join(table['model'].unique())}")
    table = table[table["scale"] == HEADLINE.scale]
    levels = {level: table[table["level"] == level].set_index("model") for level in LEVELS}
    models = levels[LEVELS[0]]["mean_rho"].sort_values(ascending=False, kind="stable").index
    names = {model: f"{model} *" if model == covariates else model for model in models}
    width = max(map(len, names.values()))
    heads = [f"{level.replace('_', '-')} correlation".center(39) for level in LEVELS]
    columns = [CELL.format("mean", "95% interval", "95% of null")] * len(LEVELS)
    n_tissues = levels[LEVELS[0]]["n_tissues"].max()
    lines = [
        f"{HEADLINE.title}; means over {n_tissues} tissues",
        _line("", heads, width),
        _line("model", columns, width),
    ]
    for model, name in names.items():
        numbers = (levels[level][NUMBERS].loc[model] for level in LEVELS)
        lines.append(_line(name, map(_cell, numbers), width))
    return [*lines, "* what the covariates alone tell: expression must beat this"]


def _cell(row: pd.Series) -> str:
    """Write one model's numbers of one level; a dash where there are none."""
    mean, *ends = ("-" if pd.isna(number) else f"{number:.3f}" for number in row)
    return CELL.format(mean, *("..".join(ends[at : at + 2]) for at in (0, 2)))


def _line(name: str, cells: Iterable[str], width: int) -> str:
    """Join a name and its cells."""
    return " ".join([f"{name:<{width}}", *cells]).rstrip()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    headline = read_tsv(folder / "accuracy" / "headline.tsv", ["model", "level", *NUMBERS])
    lines = headline_lines(headline, sys.argv[2])
    print("", *lines, f"Page: {folder / 'index.html'}", sep="\n")
