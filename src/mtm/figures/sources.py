"""Accuracy by which tissues of a person are given, and how many."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtm.figures import marks, names
from mtm.figures.registry import figure
from mtm.figures.style import (
    COLUMN_MM,
    INK,
    MUTED,
    PAGE_HEIGHT_MM,
    gtex_tissues,
    new_figure,
)
from mtm.vocabulary import (
    ALL_OTHERS,
    AND,
    MEAN_OF_TISSUES,
    NO_TISSUE,
    ONE_ADDED,
    ONE_TISSUE,
    SOME_ADDED,
    SOME_DRAWN,
)

DRAWN = [
    "model",
    "kind",
    "given",
    "n_given",
    "n_tissues",
    "n_samples",
    "rho",
    "low",
    "high",
    "is_source",
]
# A single tissue that reaches fewer of the targets than this is not drawn.
LEAST_TARGETS = 0.5
NUMBERS_MM, ROW_MM = 62.0, 2.9


def sources_table(accuracy: pd.DataFrame | Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Gene-wise means over targets, brought to the samples of the headline.

    Parameters
    ----------
    accuracy
        ``sources/accuracy/{model}.tsv``, by path; or one.

    Returns
    -------
    pd.DataFrame
        `DRAWN`. ``rho`` is that from the source for all samples plus the paired difference of
        the choice from it; ``low`` and ``high`` are the interval of the difference moved alike
        (of the source alone that of itself). The model that is best from all others stands
        first, and alone has single tissues and additions to the source.
    """
    tables = [accuracy] if isinstance(accuracy, pd.DataFrame) else list(accuracy.values())
    rows = pd.concat(tables, ignore_index=True)
    rows = rows[
        (rows["tissue"] == MEAN_OF_TISSUES)
        & (rows["level"] == "gene_wise")
        & (rows["kind"] != ONE_ADDED)
    ]
    of_all = rows[rows["kind"] == ALL_OTHERS].set_index("model")
    from_source = of_all["source_rho"]
    base = rows["model"].map(from_source)
    alone = (rows["kind"] == ONE_TISSUE) & (rows["difference"] == 0)
    rows = rows.assign(
        is_source=alone,
        rho=base + rows["difference"],
        low=np.where(alone, rows["ci_low"], base + rows["difference_low"]),
        high=np.where(alone, rows["ci_high"], base + rows["difference_high"]),
    )
    best = of_all["mean_rho"].idxmax()
    enough = rows["n_tissues"] >= LEAST_TARGETS * rows["n_tissues"].max()
    single = rows["kind"] == ONE_TISSUE
    of_best = rows["model"] == best
    shown = rows[
        (enough | ~single) & (of_best | rows["kind"].isin([NO_TISSUE, SOME_DRAWN, ALL_OTHERS]))
    ]
    order = [best, *(name for name in names.ordered(shown["model"]) if name != best)]
    rank = shown["model"].map(order.index)
    return (
        shown.assign(_rank=rank).sort_values("_rank", kind="stable")[DRAWN].reset_index(drop=True)
    )


@figure("sources", reduce=sources_table)
def sources(table: pd.DataFrame) -> Figure:
    """Draw accuracy against the number of tissues given, above that from each tissue alone.

    Parameters
    ----------
    table
        From `sources_table`.
    """
    models = list(dict.fromkeys(table["model"]))
    best = table[table["model"] == models[0]]
    single = best[best["kind"] == ONE_TISSUE].sort_values("rho", ascending=False)
    rows_mm = min(ROW_MM * len(single) + 8, PAGE_HEIGHT_MM - NUMBERS_MM)
    drawing = new_figure(COLUMN_MM, NUMBERS_MM + rows_mm)
    upper, lower = drawing.subfigures(2, height_ratios=[NUMBERS_MM, rows_mm])
    ax = upper.subplots()
    for model in models[::-1]:
        _draw_numbers(ax, table[table["model"] == model], 1.4 if model == models[0] else 0.8)
    _draw_added(ax, best)
    _number_axis(ax, table)
    looks = [Line2D([], [], lw=1, ms=4, label=names.title(m), **names.style(m)) for m in models]
    added = f"{''.join(best.loc[best['is_source'], 'given'])} and accessible"
    looks.append(Line2D([], [], lw=1, ms=4, marker="P", color=INK, label=added))
    upper.legend(handles=looks, loc="outside upper left", ncols=2)
    _draw_singles(lower.subplots(), single)
    return drawing


def _place(n_given: pd.Series | float) -> np.ndarray:
    """Horizontal position of a number of tissues: as a logarithm, with room for none."""
    return np.log2(1 + np.asarray(n_given, float))


def _draw_numbers(ax: Axes, rows: pd.DataFrame, lw: float) -> None:
    """Draw what numbers of tissues drawn at random give, what all others do, and none."""
    look = names.style(rows["model"].iloc[0])
    line = rows[rows["kind"].isin([SOME_DRAWN, ALL_OTHERS])].sort_values("n_given")
    none = rows[rows["kind"] == NO_TISSUE]
    for part, width in ((line, lw), (none, 0)):
        ax.plot(_place(part["n_given"]), part["rho"], lw=width, ms=4, **look)
        _intervals(ax, part, look["color"])


def _intervals(ax: Axes, rows: pd.DataFrame, color: str) -> None:
    """Draw intervals of numbers of tissues."""
    ax.vlines(_place(rows["n_given"]), rows["low"], rows["high"], lw=0.6, color=color)


def _draw_added(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the source with accessible tissues added one after the other."""
    added = rows[rows["kind"] == SOME_ADDED].sort_values("n_given")
    line = pd.concat([rows[rows["is_source"]], added])
    ax.plot(_place(line["n_given"]), line["rho"], "P-", color=INK, ms=4, lw=1)
    _intervals(ax, line, INK)
    short = gtex_tissues()["abbreviation"]
    for given, x, high in zip(
        added["given"], _place(added["n_given"]), added["high"], strict=True
    ):
        last = given.split(AND)[-1]
        ax.annotate(
            f"+ {short.get(last, last)}", (x, high), (0, 2), textcoords="offset points",
            fontsize=5, rotation=60, rotation_mode="anchor",
        )  # fmt: skip


def _number_axis(ax: Axes, table: pd.DataFrame) -> None:
    """Name the numbers of tissues, all others by their mean."""
    counts = set(table.loc[table["kind"] != ALL_OTHERS, "n_given"].round(6))
    most = float(table.loc[table["kind"] == ALL_OTHERS, "n_given"].mean())
    ticks = {n: f"{n:g}" for n in sorted(counts) if n < 0.85 * most} | {most: f"all\n({most:.0f})"}
    ax.set_xticks(_place(list(ticks)), ticks.values())
    ax.set_xlabel("Tissues given")
    ax.set_ylabel("Gene-wise ρ, mean of targets")
    ax.grid(axis="y")


def _draw_singles(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw a row a tissue given alone, a line where the source is."""
    tissues = list(rows["given"])
    marks.tissue_axis(ax, tissues, tissues)
    ax.tick_params(axis="y", labelsize=5)
    place = np.arange(len(rows))
    ax.hlines(place, rows["low"], rows["high"], color=MUTED, lw=0.6)
    ax.plot(rows["rho"], place, "o", color=INK, ms=2.5)
    for rho in rows.loc[rows["is_source"], "rho"]:
        ax.axvline(rho, color=MUTED, lw=0.5, ls=":")
    ax.set_xlabel("Gene-wise ρ from it alone")
