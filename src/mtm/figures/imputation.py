"""How well failed genes are imputed, and what codes of samples tell."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtm.figures import marks
from mtm.figures.names import CODE_KINDS, IMPUTERS
from mtm.figures.registry import figure
from mtm.figures.style import COLUMN_MM, INK, MUTED, PAGE_MM, PALETTE, new_figure
from mtm.vocabulary import MEAN_OF_TISSUES, NON_LINEAR

ROW_MM, REST_MM = 7.0, 26.0
TARGETS = {
    "tissue": ("a  Tissue", "Share named"),
    "donor": ("b  Donor", "AUC"),
    "expression": ("c  Expression in other tissues", "Gene-wise \N{GREEK SMALL LETTER RHO}"),
}


def imputation_table(accuracy: pd.DataFrame) -> pd.DataFrame:
    """Return the gene-wise means over tissues of ``imputation/accuracy.tsv``."""
    rows = accuracy[
        (accuracy["tissue"] == MEAN_OF_TISSUES) & (accuracy["level"] == "gene_wise")
    ].copy()
    return _in_order(rows, "method", IMPUTERS)


def _in_order(rows: pd.DataFrame, column: str, names: dict[str, str]) -> pd.DataFrame:
    """Sort rows as `names` has them."""
    order = {name: place for place, name in enumerate(names)}
    rows = rows.sort_values(column, key=lambda values: values.map(order), kind="stable")
    return rows.reset_index(drop=True)


@figure("imputation", reduce=imputation_table)
def imputation(table: pd.DataFrame) -> Figure:
    """Draw methods from top to bottom.

    Parameters
    ----------
    table
        From `imputation_table`.
    """
    drawing = new_figure(COLUMN_MM, REST_MM + ROW_MM * len(table))
    ax = drawing.subplots()
    ax.axvline(0, color=MUTED, lw=0.8, ls=":")
    for place, row in table.iterrows():
        marks.null_band(ax, place, row["null_low"], row["null_high"], half=0.2)
    marks.interval_lines(ax, table, table.index.to_numpy(), PALETTE[0])
    ax.plot(table["mean_rho"], table.index, "o", ms=3.6, mew=0, color=PALETTE[0])
    _rows(ax, [IMPUTERS[name] for name in table["method"]])
    ax.set_xlabel("Gene-wise \N{GREEK SMALL LETTER RHO}, mean of tissues")
    drawing.legend(handles=[marks.null_legend("permuted donors")], loc="outside upper left")
    return drawing


def _rows(ax: Axes, labels: list[str]) -> None:
    """Name the rows, the first on top."""
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.grid(axis="x")


def codes_table(probes: pd.DataFrame) -> pd.DataFrame:
    """Return ``imputation/probes.tsv`` in the order of the figure."""
    return _in_order(probes, "code", CODE_KINDS)


@figure("codes_probed", reduce=codes_table)
def codes_probed(table: pd.DataFrame) -> Figure:
    """Draw kinds of codes from top to bottom, what they tell beside each other.

    Parameters
    ----------
    table
        From `codes_table`.
    """
    kinds = list(dict.fromkeys(table["code"]))
    drawing = new_figure(PAGE_MM, REST_MM + ROW_MM * len(kinds))
    axes = drawing.subplots(1, len(TARGETS), sharey=True)
    for ax, (target, (title, label)) in zip(axes, TARGETS.items(), strict=True):
        part = table[table["target"] == target]
        ax.axvline(part["chance"].iloc[0], color=MUTED, lw=0.8, ls=":")
        for (_, probe), rows in part.groupby(["target", "probe"], sort=False):
            beside = 0.0 if part["probe"].nunique() == 1 else 0.14
            filled = probe != NON_LINEAR
            y = rows["code"].map(kinds.index).to_numpy() + (-beside if filled else beside)
            marks.interval_lines(ax, rows, y, INK)
            face = PALETTE[0] if filled else "white"
            ax.plot(rows["score"], y, "o", ms=3.6, mew=0.8, mec=PALETTE[0], mfc=face)
        ax.set_title(title)
        ax.set_xlabel(label)
        _rows(ax, [CODE_KINDS[name] for name in kinds])
    return drawing
