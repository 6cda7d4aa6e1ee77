"""How well panels of landmarks are made whole, method by method."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtm.figures import marks
from mtm.figures.names import LANDMARK_METHODS
from mtm.figures.registry import figure
from mtm.figures.style import COLUMN_MM, MUTED, PALETTE, new_figure
from mtm.vocabulary import IN_NO_PANEL, MEAN_OF_TISSUES, OTHERS, PANELS

COLUMNS = [
    "panel", "method", "genes", "n_landmarks", "n_genes", "mean_rho", "ci_low", "ci_high",
    "null_low", "null_high", "pooled_rho", "seconds",
]  # fmt: skip
SETS = {OTHERS: "a  All other genes", IN_NO_PANEL: "b  Genes in no panel"}
ROW_MM, REST_MM = 7.0, 30.0


def landmarks_table(accuracy: pd.DataFrame | Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the gene-wise means over tissues.

    `accuracy` is ``landmarks/accuracy/{panel}/{method}.tsv``, by path; or one.
    """
    tables = [accuracy] if isinstance(accuracy, pd.DataFrame) else list(accuracy.values())
    rows = pd.concat(tables, ignore_index=True)
    rows = rows[(rows["tissue"] == MEAN_OF_TISSUES) & (rows["level"] == "gene_wise")]
    order = {name: place for place, name in enumerate((*SETS, *LANDMARK_METHODS, *PANELS))}
    key = ["genes", "method", "panel"]
    rows = rows.sort_values(key, key=lambda column: column.map(order), kind="stable")
    return rows[COLUMNS].reset_index(drop=True)


@figure("landmarks", reduce=landmarks_table)
def landmarks(table: pd.DataFrame) -> Figure:
    """Draw methods from top to bottom, panels beside each other.

    Parameters
    ----------
    table
        From `landmarks_table`.
    """
    methods = [name for name in LANDMARK_METHODS if name in set(table["method"])]
    panels = [name for name in PANELS if name in set(table["panel"])]
    looks = dict(zip(PANELS, PALETTE, strict=False))
    offsets = marks.dodge(panels, 0.22 if len(panels) > 1 else 0)
    drawing = new_figure(COLUMN_MM, REST_MM + ROW_MM * len(methods))
    axes = drawing.subplots(1, len(SETS), sharey=True, sharex=True)
    for ax, (genes, title) in zip(axes, SETS.items(), strict=True):
        ax.axvline(0, color=MUTED, lw=0.8, ls=":")
        for panel in panels:
            rows = table[(table["genes"] == genes) & (table["panel"] == panel)]
            y = rows["method"].map(methods.index).to_numpy() + offsets[panel]
            for place, (_, row) in zip(y, rows.iterrows(), strict=True):
                marks.null_band(ax, place, row["null_low"], row["null_high"], half=0.1)
            marks.interval_lines(ax, rows, y, looks[panel])
            ax.plot(rows["mean_rho"], y, "o", ms=3.2, mew=0, color=looks[panel])
        ax.set_title(title)
        ax.grid(axis="x")
    drawing.supxlabel("Gene-wise ρ, mean of tissues", fontsize=7)
    axes[0].set_yticks(range(len(methods)), [LANDMARK_METHODS[name] for name in methods])
    axes[0].invert_yaxis()
    sizes = table.groupby("panel")["n_landmarks"].max()
    entries = [
        Line2D([], [], lw=0, marker="o", ms=4, color=looks[name], label=f"{name} ({sizes[name]})")
        for name in panels
    ]
    null = marks.null_legend("permuted donors")
    drawing.legend(handles=[*entries, null], loc="outside upper left", ncols=4)
    return drawing
