"""How well profiles of genes over tissues are told, part by part."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtm.figures import marks
from mtm.figures.names import PROFILE_METHODS
from mtm.figures.registry import figure
from mtm.figures.style import COLUMN_MM, MUTED, PALETTE, new_figure
from mtm.vocabulary import ALL_GENES, NO_RELATIVES

COLUMNS = [
    "hidden", "genes", "method", "measure", "value", "ci_low", "ci_high", "n_genes", "seconds",
]  # fmt: skip
GENES = (ALL_GENES, NO_RELATIVES)
MEASURES = {"shape_r": "shape r", "r2": "R²"}
# What a mean tells is far below 0 where a gene's own tissues are seen: it is left out of the axis.
LOWEST = -0.15
ROW_MM, REST_MM = 5.0, 32.0


def profiles_table(accuracy: pd.DataFrame) -> pd.DataFrame:
    """Return what is drawn, in order.

    `accuracy` is ``profiles/accuracy.tsv``.
    """
    rows = accuracy[accuracy["measure"].isin(list(MEASURES))]
    order = {name: place for place, name in enumerate((*MEASURES, *GENES, *PROFILE_METHODS))}
    by = ["measure", "genes", "method"]
    rows = rows.sort_values(by, key=lambda column: column.map(order), kind="stable")
    return rows[COLUMNS].reset_index(drop=True)


@figure("profiles", reduce=profiles_table)
def profiles(table: pd.DataFrame) -> Figure:
    """Draw methods from top to bottom, ways of hiding beside each other, a row a measure.

    Parameters
    ----------
    table
        From `profiles_table`.
    """
    methods = [name for name in PROFILE_METHODS if name in set(table["method"])]
    ways = list(pd.unique(table["hidden"]))
    looks = dict(zip(GENES, PALETTE, strict=False))
    offsets = marks.dodge(GENES, 0.22)
    drawing = new_figure(COLUMN_MM, REST_MM + 2 * ROW_MM * len(methods))
    axes = drawing.subplots(len(MEASURES), len(ways), sharey=True, sharex="row", squeeze=False)
    for line, (measure, label) in zip(axes, MEASURES.items(), strict=True):
        for ax, way in zip(line, ways, strict=True):
            ax.axvline(0, color=MUTED, lw=0.8, ls=":")
            for genes in GENES:
                rows = table[
                    (table["hidden"] == way)
                    & (table["genes"] == genes)
                    & (table["measure"] == measure)
                    & (table["value"] >= LOWEST)
                ]
                y = rows["method"].map(methods.index).to_numpy() + offsets[genes]
                marks.interval_lines(ax, rows, y, looks[genes])
                ax.plot(rows["value"], y, "o", ms=2.6, mew=0, color=looks[genes])
            ax.set_xlabel(label)
            ax.grid(axis="x")
        line[0].set_xlim(left=LOWEST)
    for ax, way in zip(axes[0], ways, strict=True):
        ax.set_title(way)
    axes[0, 0].set_yticks(range(len(methods)), [PROFILE_METHODS[name] for name in methods])
    axes[0, 0].invert_yaxis()
    entries = [
        Line2D([], [], lw=0, marker="o", ms=4, color=looks[name], label=name) for name in GENES
    ]
    drawing.legend(handles=entries, loc="outside upper left", ncols=2)
    return drawing
