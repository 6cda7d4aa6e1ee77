"""Accuracy by which tissues of a person are given, and how many."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtm.figures import names
from mtm.figures.registry import figure
from mtm.figures.style import (
    COLUMN_MM,
    INK,
    MUTED,
    gtex_tissues,
    new_figure,
    tissue_colors,
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
HEIGHT_MM, NAME_MM = 92.0, 3.0
N_NAMED = 3


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
    """Draw accuracy against the number of tissues given; a dot at 1 for each single tissue.

    Parameters
    ----------
    table
        From `sources_table`.
    """
    drawing = new_figure(COLUMN_MM, HEIGHT_MM)
    ax = drawing.subplots()
    models = list(dict.fromkeys(table["model"]))
    for rank, model in enumerate(models[1:]):
        _draw_numbers(ax, table[table["model"] == model], 0.8, 2 + 0.01 * rank)
    best = table[table["model"] == models[0]]
    _draw_singles(ax, best[best["kind"] == ONE_TISSUE])
    _draw_numbers(ax, best, 1.4, 4)
    _draw_added(ax, best)
    _number_axis(ax, table)
    ax.set_ylabel("Gene-wise Pearson's ρ, mean of tissues")
    ax.grid(axis="y")
    looks = [Line2D([], [], lw=1, ms=4, label=names.title(m), **names.style(m)) for m in models]
    looks.append(Line2D([], [], lw=1, ms=4, marker="P", color=INK, label="source and accessible"))
    drawing.legend(handles=looks, loc="outside upper left", ncols=2)
    return drawing


def _place(n_given: pd.Series | float) -> np.ndarray:
    """Horizontal position of a number of tissues: as a logarithm, with room for none."""
    return np.log2(1 + np.asarray(n_given, float))


def _draw_numbers(ax: Axes, rows: pd.DataFrame, lw: float, zorder: float) -> None:
    """Draw what numbers of tissues drawn at random give, what all others do, and none."""
    look = names.style(rows["model"].iloc[0])
    line = rows[rows["kind"].isin([SOME_DRAWN, ALL_OTHERS])].sort_values("n_given")
    ax.plot(_place(line["n_given"]), line["rho"], lw=lw, zorder=zorder, ms=4, **look)
    none = rows[rows["kind"] == NO_TISSUE]
    ax.plot(_place(none["n_given"]), none["rho"], lw=0, zorder=zorder, ms=4, **look)
    both = pd.concat([line, none])
    ax.vlines(
        _place(both["n_given"]), both["low"], both["high"], lw=lw / 2, color=look["color"],
        zorder=zorder,
    )  # fmt: skip


def _draw_singles(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw a dot for each tissue given alone, and name the best, the source and the last."""
    rows = rows.sort_values("rho", ascending=False, ignore_index=True)
    colors = tissue_colors(rows["given"])
    x = np.full(len(rows), _place(1.0))
    ax.scatter(
        x, rows["rho"], s=11, c=[colors[name] for name in rows["given"]], edgecolors=INK,
        linewidths=0.25, zorder=3,
    )  # fmt: skip
    named = rows[(rows.index < N_NAMED) | rows["is_source"] | (rows.index == len(rows) - 1)]
    heights = named["rho"].to_numpy(float)
    low, high = ax.get_ylim()
    step = (high - low) * NAME_MM / (0.75 * HEIGHT_MM)
    for place in range(1, len(heights)):
        heights[place] = min(heights[place], heights[place - 1] - step)
    for (_, row), height in zip(named.iterrows(), heights, strict=True):
        ax.annotate(
            row["given"], (_place(1.0), row["rho"]), (_place(1.0) - 0.12, height), fontsize=5,
            ha="right", va="center", arrowprops={"arrowstyle": "-", "lw": 0.3, "color": MUTED},
        )  # fmt: skip


def _draw_added(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the source with accessible tissues added one after the other."""
    added = rows[rows["kind"] == SOME_ADDED].sort_values("n_given")
    if added.empty:
        return
    line = pd.concat([rows[rows["is_source"]], added])
    ax.plot(_place(line["n_given"]), line["rho"], "P-", color=INK, ms=4, lw=1, zorder=5)
    ax.vlines(_place(line["n_given"]), line["low"], line["high"], lw=0.5, color=INK, zorder=5)
    short = gtex_tissues()["abbreviation"]
    for given, x, y in zip(added["given"], _place(added["n_given"]), added["rho"], strict=True):
        last = given.split(AND)[-1]
        ax.annotate(
            f"+ {short.get(last, last)}", (x, y), (3, -5), textcoords="offset points", fontsize=5
        )


def _number_axis(ax: Axes, table: pd.DataFrame) -> None:
    """Name the numbers of tissues, all others by their mean."""
    counts = set(table.loc[table["kind"] != ALL_OTHERS, "n_given"].round(6))
    most = float(table.loc[table["kind"] == ALL_OTHERS, "n_given"].mean())
    ticks = {n: f"{n:g}" for n in sorted(counts) if n < 0.85 * most} | {most: f"all\n({most:.0f})"}
    ax.set_xticks(_place(list(ticks)), ticks.values())
    ax.set_xlabel("Tissues given")
    ax.set_xlim(-0.9, _place(most) + 0.25)
