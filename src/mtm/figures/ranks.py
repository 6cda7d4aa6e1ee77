"""What an encoder of rank values knows of held-out samples, and what moves its code."""

import pandas as pd
from matplotlib.figure import Figure

from mtm.figures import marks
from mtm.figures.registry import figure
from mtm.figures.style import MUTED, PAGE_MM, PALETTE, new_figure
from mtm.vocabulary import BLOOD_TO_TISSUE, CODE, PERPLEXITY, PROBE, RANK_INPUTS, RANK_PARTS

PANELS = {
    PERPLEXITY: ("a  Masked genes", "Perplexity"),
    PROBE: ("b  Linear probes", "Balanced accuracy"),
    BLOOD_TO_TISSUE: ("c  Source to tissue", "Gene-wise ρ, mean of tissues"),
}
ROW_MM, REST_MM = 5.0, 42.0
MOST_ROWS = 40


def ranks_table(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of ``ranks/summary.tsv`` in the order that they are drawn in."""
    order = {name: place for place, name in enumerate((*RANK_PARTS, *RANK_INPUTS))}
    place = summary.assign(
        part_place=summary["part"].map(order), input_place=summary["input"].map(order)
    )
    columns = ["part_place", "target", "input_place"]
    return place.sort_values(columns, kind="stable")[summary.columns].reset_index(drop=True)


@figure("ranks", reduce=ranks_table)
def ranks(table: pd.DataFrame) -> Figure:
    """Draw three panels below each other, the encoder in a colour of its own.

    Parameters
    ----------
    table
        From `ranks_table`.
    """
    parts = [name for name in PANELS if (table["part"] == name).any()]
    sizes = [int((table["part"] == name).sum()) for name in parts]
    drawing = new_figure(PAGE_MM, REST_MM + ROW_MM * sum(sizes))
    axes = drawing.subplots(len(parts), 1, squeeze=False, height_ratios=sizes)[:, 0]
    for ax, name in zip(axes, parts, strict=True):
        rows = table[table["part"] == name].reset_index(drop=True)
        several = rows["target"].nunique() > 1
        for y, row in rows.iterrows():
            colour = PALETTE[0] if row["input"] == CODE else MUTED
            marks.null_band(ax, y, row["null_low"], row["null_high"], half=0.3)
            ax.plot([row["ci_low"], row["ci_high"]], [y, y], color=colour, lw=1)
            ax.plot(row["score"], y, "o", ms=3.2, mew=0, color=colour)
            ax.plot(row["chance"], y, "|", ms=6, color=MUTED)
        labels = rows["target"] + ": " + rows["input"] if several else rows["input"]
        ax.set_yticks(range(len(rows)), labels)
        ax.set_ylim(len(rows) - 0.5, -0.5)
        title, of = PANELS[name]
        ax.set_title(title)
        ax.set_xlabel(of)
        ax.grid(axis="x")
    return drawing


def perturbation_table(perturbation: pd.DataFrame) -> pd.DataFrame:
    """Return ``ranks/perturbation.tsv``, the first rows of the least P values."""
    return perturbation.sort_values("p", kind="stable").head(MOST_ROWS).reset_index(drop=True)


@figure("perturbation", reduce=perturbation_table)
def perturbation(table: pd.DataFrame) -> Figure:
    """Draw the share of the way that a gene moves codes, beside the genes of its rank.

    Parameters
    ----------
    table
        From `perturbation_table`.
    """
    drawing = new_figure(PAGE_MM, REST_MM + ROW_MM * len(table))
    ax = drawing.subplots()
    ax.axvline(0, color=MUTED, lw=0.8, ls=":")
    for y, row in table.iterrows():
        ax.plot([row["null_median"], row["null_q95"]], [y, y], color=MUTED, lw=3, alpha=0.5)
        colour = PALETTE[0] if row["q"] < 0.05 else MUTED
        ax.plot(row["shift_to_goal"], y, "o", ms=3.5, mew=0, color=colour)
    labels = [
        f"{row['perturbation']} {row['symbol']}, {row['tissue']}: {row['from_state']} → "
        f"{row['to_state']}"
        for _, row in table.iterrows()
    ]
    ax.set_yticks(range(len(table)), labels)
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.set_xlabel("Share of the way; bar: median to 95% of genes of like rank")
    ax.grid(axis="x")
    return drawing
