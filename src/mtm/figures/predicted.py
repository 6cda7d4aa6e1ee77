"""What differs between an external cohort's groups in tissues predicted from its blood."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtm.figures import marks, names
from mtm.figures.registry import figure
from mtm.figures.style import MUTED, PAGE_HEIGHT_MM, PALETTE, new_figure
from mtm.vocabulary import RAN, SOURCE

# Comparisons that are drawn, and how they are called; later samples alone are in the table.
DRAWN = {
    "kept": "Cases against controls",
    "change": "Change within people, cases against controls",
}
COLORS = {"kept": PALETTE[0], "change": PALETTE[1]}
Q_BELOW = 0.05
ROW_MM, PANEL_MM, LABEL_MM, HEAD_MM = 3.6, 33.0, 50.0, 30.0
COLUMNS = ["model", "comparison", "tissue", "role", "n_cases", "n_controls", "covariates",
           "n_genes", "change", "ci_low", "ci_high", "explained", "null_low", "null_high", "p",
           "q", "n_up", "n_down", "n_beyond_source", "rho_source"]  # fmt: skip


def predicted_table(differences: pd.DataFrame) -> pd.DataFrame:
    """Order the tissues by what the groups explain, the change within people before all else.

    Parameters
    ----------
    differences
        ``transfer/{external}/predicted`` of one model.

    Returns
    -------
    pd.DataFrame
        `COLUMNS`: one row a comparison that is drawn and a tissue; targets first, then the source.
    """
    rows = differences[(differences["status"] == RAN) & differences["comparison"].isin(DRAWN)]
    if rows.empty:
        return pd.DataFrame()
    first = next(name for name in reversed(DRAWN) if name in set(rows["comparison"]))
    leading = rows[rows["comparison"] == first].set_index("tissue")
    place = leading.assign(last=leading["role"] == SOURCE).sort_values(
        ["last", "explained"], ascending=[True, False], kind="stable"
    )
    order = {tissue: number for number, tissue in enumerate(place.index)}
    comparisons = {name: number for number, name in enumerate(DRAWN)}
    keys = [rows["comparison"].map(comparisons), rows["tissue"].map(order)]
    return rows.iloc[np.lexsort(keys[::-1])][COLUMNS].reset_index(drop=True)


@figure("fig4_predicted", reduce=predicted_table)
def predicted_figure(table: pd.DataFrame) -> Figure:
    """Draw, by tissue, what the groups explain beside its null, and how large the change is.

    Parameters
    ----------
    table
        From `predicted_table`.
    """
    comparisons = list(dict.fromkeys(table["comparison"]))
    first = table[table["comparison"] == comparisons[-1]]
    tissues = list(first["tissue"])
    labels = [f"{row.tissue}, itself" if row.role == SOURCE else row.tissue
              for row in first.itertuples()]  # fmt: skip
    width = LABEL_MM + 2 * PANEL_MM * len(comparisons)
    drawing = new_figure(width, min(len(tissues) * ROW_MM + HEAD_MM, PAGE_HEIGHT_MM))
    axes = drawing.subplots(1, 2 * len(comparisons), squeeze=False)[0]
    for number, comparison in enumerate(comparisons):
        rows = table[table["comparison"] == comparison].set_index("tissue").loc[tissues]
        pair = axes[2 * number : 2 * number + 2]
        for ax in pair:
            marks.tissue_axis(ax, tissues, labels if ax is axes[0] else None)
        color = COLORS[comparison]
        _explained(pair[0], rows, color)
        _change(pair[1], rows, color)
        counts = " / ".join(marks.case_counts(rows))
        pair[0].set_title(f"{DRAWN[comparison]}\n(n = {counts})", loc="left")
        for ax in pair:
            ax.axhline((rows["role"] != SOURCE).sum() - 0.5, color=MUTED, lw=0.5)
    beside = table["covariates"].dropna()
    beside = beside[beside != ""]
    held = f" beside {beside.iloc[0].replace(', ', ' and ')}" if len(beside) else ""
    drawing.supxlabel(
        f"{names.title(table['model'].iloc[0])}; groups compared{held}. At the right: genes up / "
        "down.",
        fontsize=6,
    )
    look = {"lw": 0, "marker": "o", "ms": 3.5, "color": MUTED}
    handles = [
        Line2D([], [], label="q < 0.05 over tissues", **look),
        Line2D([], [], label="not", mfc="white", **look),
        marks.null_legend("groups permuted"),
    ]
    drawing.legend(handles=handles, loc="outside upper right", ncols=3)
    return drawing


def _explained(ax: Axes, rows: pd.DataFrame, color: str) -> None:
    """Draw the share of variance that groups explain, its null behind."""
    for place, row in enumerate(rows.itertuples()):
        marks.null_band(ax, place, row.null_low, row.null_high)
        _mark(ax, row.explained, place, row, color)
    ax.set_xlim(left=0)
    ax.set_xlabel("share of variance\nexplained, mean of genes")


def _change(ax: Axes, rows: pd.DataFrame, color: str) -> None:
    """Draw the size of the change with its interval, and count genes."""
    marks.interval_lines(ax, rows, np.arange(len(rows)), color)
    for place, row in enumerate(rows.itertuples()):
        _mark(ax, row.change, place, row, color)
        ax.annotate(
            f"{row.n_up} / {row.n_down}", (1, place), (2, 0), fontsize=5, va="center",
            color=MUTED, xycoords=ax.get_yaxis_transform(), textcoords="offset points",
            annotation_clip=False,
        )  # fmt: skip
    ax.set_xlim(left=0)
    ax.set_xlabel("log2 fold change,\nroot mean square of genes")


def _mark(ax: Axes, x: float, place: int, row, color: str) -> None:
    """Draw a dot, filled where the tissue differs; the source has no q, and its P counts."""
    found = (row.p if pd.isna(row.q) else row.q) < Q_BELOW
    ax.plot(x, place, "o", ms=3.2, color=color, mfc=color if found else "white", mew=0.7,
            zorder=3, clip_on=False)  # fmt: skip
