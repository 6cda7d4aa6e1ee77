"""Model against model, tissue by tissue (He et al. 2023, Fig S6), and what such figures share."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mtm.figures import names
from mtm.figures.accuracy import PANEL_TITLES
from mtm.figures.marks import DOT_AREA, DOT_COLOR, name_dots, note_first
from mtm.figures.registry import figure
from mtm.figures.style import INK, MUTED, PAGE_MM, new_figure
from mtm.vocabulary import ACCURACY_KEY, MEAN_OF_TISSUES, PAIR, TABLE_MEASURES

MAX_PAIRS = 4
COUNTS = ["n_tissues", "n_better", "n_better_paired", "n_worse_paired"]


def first_pairs(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the first `MAX_PAIRS` pairs; column ``n_pairs`` counts all there were."""
    pairs = table[PAIR].drop_duplicates()
    kept = table.merge(pairs.head(MAX_PAIRS), on=PAIR)
    return kept.assign(n_pairs=len(pairs))


def pairs_of(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Pairs of models in a table, in its order."""
    return list(table[PAIR].drop_duplicates().itertuples(index=False, name=None))


def note_pairs(drawing: Figure, table: pd.DataFrame, file: str) -> None:
    """Say in the figure that `file` has more pairs than are drawn, where it has."""
    drawn, total = len(pairs_of(table)), int(table["n_pairs"].iloc[0])
    note_first(drawing, drawn, total, "pairs of models", file)


def fig_s6_table(table: pd.DataFrame, counts: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``comparison/pairs.tsv`` that Fig S6 draws, with the counts it states.

    Parameters
    ----------
    table, counts
        ``comparison/pairs.tsv`` and ``pair_counts.tsv``.

    Returns
    -------
    pd.DataFrame
        Single tissues of the first pairs, on the headline scale and the paper's: columns of the
        pair and measure, ``tissue``, ``n_samples``, ``mean_a``, ``mean_b``, ``difference``,
        ``q``, `COUNTS` of the whole pair and measure, ``n_pairs``.
    """
    rank = pd.MultiIndex.from_tuples(TABLE_MEASURES).get_indexer(
        pd.MultiIndex.from_frame(table[ACCURACY_KEY])
    )
    rows = first_pairs(table[rank >= 0])
    key = [*PAIR, *ACCURACY_KEY]
    rows = rows.merge(counts[[*key, *COUNTS]], on=key)
    rows = rows[(rows["tissue"] != MEAN_OF_TISSUES) & rows["difference"].notna()]
    values = ["tissue", "n_samples", "mean_a", "mean_b", "difference", "q"]
    return rows[[*PAIR, *ACCURACY_KEY, *values, *COUNTS, "n_pairs"]].reset_index(drop=True)


@figure("fig_s6", reduce=fig_s6_table)
def fig_s6(table: pd.DataFrame) -> Figure:
    """Accuracy of model A against model B, one dot a tissue (He et al. 2023, Fig S6).

    Above the diagonal A is better; filled dots differ significantly in the donor-paired test.

    Parameters
    ----------
    table
        From `fig_s6_table`.
    """
    pairs = pairs_of(table)
    present = set(table[ACCURACY_KEY].itertuples(index=False, name=None))
    measures = [measure for measure in TABLE_MEASURES if measure in present]
    side = 42.0
    width = PAGE_MM if len(pairs) > 2 else 110.0
    drawing = new_figure(width, len(measures) * (side + 4) + 16)
    axes = drawing.subplots(len(measures), len(pairs), sharex="row", sharey="row", squeeze=False)
    for row, measure in enumerate(measures):
        of_measure = table[(table[ACCURACY_KEY] == measure).all(axis=1)]
        values = of_measure[["mean_a", "mean_b"]].to_numpy()
        limits = _limits(values)
        for ax, pair in zip(axes[row], pairs, strict=True):
            mine = of_measure[(of_measure[PAIR] == pair).all(axis=1)]
            _draw_pair(ax, mine, limits)
            ax.set_xlabel(f"ρ of {names.title(pair[1])}" if row == len(measures) - 1 else "")
            ax.set_ylabel(f"ρ of {names.title(pair[0])}")
        axes[row, 0].set_title(PANEL_TITLES[measure])
    handles = [
        Line2D([], [], lw=0, marker="o", ms=3.5, color=DOT_COLOR, mec=INK, mew=0.4,
               label="one tissue, significantly different (donor-paired, q < 0.05)"),
        Line2D([], [], lw=0, marker="o", ms=3.5, mfc="white", mec=INK, mew=0.4,
               label="not significantly"),
    ]  # fmt: skip
    drawing.legend(handles=handles, loc="outside upper left", ncols=2)
    note_pairs(drawing, table, "comparison/pairs.tsv")
    return drawing


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Limits that hold all values, with a margin."""
    low, high = min(0.0, np.nanmin(values)), max(0.1, np.nanmax(values))
    return low - 0.05 * (high - low), high + 0.05 * (high - low)


def _draw_pair(ax: Axes, rows: pd.DataFrame, limits: tuple[float, float]) -> None:
    """Draw one pair on one measure."""
    ax.plot(limits, limits, color=MUTED, lw=0.6, zorder=1)
    significant = (rows["q"] < 0.05).to_numpy()
    for chosen, face in ((~significant, "white"), (significant, DOT_COLOR)):
        ax.scatter(
            rows["mean_b"][chosen],
            rows["mean_a"][chosen],
            s=DOT_AREA,
            c=face,
            edgecolors=INK,
            linewidths=0.4,
            zorder=3,
        )
    ax.set_xlim(*limits)
    ax.set_ylim(*limits)
    ax.set_box_aspect(1)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    ax.tick_params(labelleft=True, labelbottom=True)
    ax.grid()
    if rows.empty:
        return
    known = rows.dropna(subset=["mean_a", "mean_b"])
    far = np.abs(known["difference"].to_numpy())
    name_dots(ax, known["mean_b"], known["mean_a"], list(known["tissue"]), far)
    counts = rows.iloc[0]
    # The text stands on the side of the diagonal that has fewer dots.
    below = counts["n_better"] >= counts["n_tissues"] / 2
    ax.text(
        0.98 if below else 0.03,
        0.02 if below else 0.98,
        f"better {counts['n_better']} of {counts['n_tissues']}\n"
        f"significantly {counts['n_better_paired']}\n"
        f"sign. worse {counts['n_worse_paired']}",
        transform=ax.transAxes,
        ha="right" if below else "left",
        va="bottom" if below else "top",
        fontsize=6,
        linespacing=1.25,
    )
