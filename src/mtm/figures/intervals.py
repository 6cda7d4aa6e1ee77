"""Intervals of predictions: whether they hold what they should, and how wide they are."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mtm.errors import InputError
from mtm.figures import marks, names
from mtm.figures.registry import figure
from mtm.figures.style import COLUMN_MM, INK, MUTED, PALETTE, new_figure
from mtm.vocabulary import MEAN_OF_TISSUES

COLUMNS = [
    "model", "level", "tissue", "n_samples", "coverage", "ci_low", "ci_high", "width",
    "reference_width", "width_ratio", "n_tissues", "n_within",
]  # fmt: skip
LEVEL_COLORS = (PALETTE[4], PALETTE[3], PALETTE[0])
ROW_MM = 5.5


def intervals_table(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``intervals/coverage.tsv`` that are of all genes and samples, models by name.

    Raises
    ------
    InputError
        A column is missing.
    """
    missing = [name for name in (*COLUMNS, "by") if name not in table]
    if missing:
        raise InputError("intervals/coverage.tsv", f"columns {list(table)}", f"{missing[0]}")
    rows = table[table["by"] == "all"]
    place = pd.Index(names.ordered(rows["model"])).get_indexer(rows["model"])
    rows = rows.assign(_place=place).sort_values(["_place", "level", "tissue"], kind="stable")
    return rows[COLUMNS].reset_index(drop=True)


@figure("intervals", reduce=intervals_table)
def intervals(table: pd.DataFrame) -> Figure:
    """Coverage at every level, and width relative to the tissue's mean, a row a model.

    Parameters
    ----------
    table
        From `intervals_table`.
    """
    models = names.ordered(table["model"])
    levels = sorted(table["level"].unique())
    drawing = new_figure(COLUMN_MM, ROW_MM * len(models) + 24)
    left, right = drawing.subplots(1, 2, sharey=True)
    _draw_coverage(left, table, models, levels)
    _draw_width(right, table[table["level"] == levels[-1]], models)
    for ax in (left, right):
        ax.tick_params(axis="y", length=0)
        ax.set_ylim(len(models) - 0.5, -0.5)
        ax.grid(axis="x")
    left.set_yticks(range(len(models)), map(names.title, models))
    handles = [
        Line2D([], [], color=color, marker="D", ms=2.6, lw=1.2, label=f"{level:.0%}")
        for level, color in _colors(levels).items()
    ]
    handles += [
        Line2D([], [], color=MUTED, lw=2.4, alpha=0.35, label="all tissues"),
        Line2D([], [], color=MUTED, marker="o", lw=0, ms=2.2, label="one tissue"),
    ]
    drawing.legend(handles=handles, loc="outside upper left", ncols=len(handles))
    return drawing


def _colors(levels: Sequence[float]) -> dict[float, str]:
    """Colour of each level; the widest intervals have the darkest."""
    return {level: LEVEL_COLORS[place % len(LEVEL_COLORS)] for place, level in enumerate(levels)}


def _draw_coverage(
    ax: Axes, table: pd.DataFrame, models: Sequence[str], levels: Sequence[float]
) -> None:
    """Draw how far each level's coverage lies from where it should be."""
    ax.axvline(0, color=MUTED, lw=0.7, zorder=1)
    offsets = marks.dodge(levels, 0.26)
    for level, color in _colors(levels).items():
        for place, model in enumerate(models):
            rows = table[(table["level"] == level) & (table["model"] == model)]
            points = (
                rows.set_index("tissue")[["coverage", "ci_low", "ci_high"]].sub(level).mul(100)
            )
            of_tissues = points["coverage"].drop(MEAN_OF_TISSUES)
            mean, y = points.loc[MEAN_OF_TISSUES], place + offsets[level]
            ax.hlines(y, of_tissues.min(), of_tissues.max(), color=color, lw=2.4, alpha=0.35)
            ax.plot([mean["ci_low"], mean["ci_high"]], [y, y], color=color, lw=1.2)
            ax.plot(mean["coverage"], y, "D", color=color, ms=2.2, zorder=4)
    farthest = max(1.0, *np.abs(ax.get_xlim()))
    ax.set_xlim(-farthest, farthest)
    ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    ax.set_xlabel("Inside less level,\npercentage points")
    ax.set_title("a  Coverage")


def _draw_width(ax: Axes, rows: pd.DataFrame, models: Sequence[str]) -> None:
    """Draw widths beside those around the tissue's mean, which are 1."""
    ax.axvline(1, color=MUTED, lw=0.7, zorder=1)
    for place, model in enumerate(models):
        mine = rows[rows["model"] == model]
        of_tissues = mine[mine["tissue"] != MEAN_OF_TISSUES]["width_ratio"].to_numpy()
        color = names.style(model)["color"]
        ax.plot(of_tissues, np.full(len(of_tissues), place), "o", color=color, ms=2.2, mew=0,
                alpha=0.45)  # fmt: skip
        mean = mine[mine["tissue"] == MEAN_OF_TISSUES]["width_ratio"]
        ax.plot(mean, [place], "D", color=INK, ms=2.6, zorder=4)
    ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    level = rows["level"].iloc[0]
    ax.set_xlabel("Width over that\naround the mean")
    ax.set_title(f"b  Width, {level:.0%}")
