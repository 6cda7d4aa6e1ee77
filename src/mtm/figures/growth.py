"""Accuracy by number of training donors, and what more of them promise."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from mtm.figures import names
from mtm.figures.registry import figure
from mtm.figures.style import COLUMN_MM, new_figure
from mtm.statistics.growth_curve import fit_growth, read_growth
from mtm.vocabulary import FORETOLD, MEAN_OF_TISSUES, MEASURED, PROMISED

LEVELS = {"gene_wise": "Gene-wise ρ", "sample_wise": "Sample-wise ρ"}
COLUMNS = ["model", "level", "kind", "n_donors", "mean_rho", "ci_low", "ci_high"]
HEIGHT_MM = 72.0


def growth_table(growth: pd.DataFrame | Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the means over tissues that were measured or promised, models by name.

    `growth` is ``growth/{model}.tsv``, by path; or one.
    """
    tables = [growth] if isinstance(growth, pd.DataFrame) else list(growth.values())
    rows = pd.concat(tables, ignore_index=True)
    rows = rows[(rows["tissue"] == MEAN_OF_TISSUES) & (rows["kind"] != FORETOLD)]
    place = pd.Index(names.ordered(rows["model"])).get_indexer(rows["model"])
    order = rows.assign(_place=place).sort_values(["_place", "level", "n_donors"], kind="stable")
    return order[COLUMNS].reset_index(drop=True)


@figure("growth", reduce=growth_table)
def growth(table: pd.DataFrame) -> Figure:
    """Draw both levels side by side.

    Parameters
    ----------
    table
        From `growth_table`.
    """
    models = names.ordered(table["model"])
    drawing = new_figure(COLUMN_MM, HEIGHT_MM)
    axes = drawing.subplots(1, 2, sharey=True)
    for ax, (level, label), letter in zip(axes, LEVELS.items(), "ab", strict=True):
        rows = table[table["level"] == level]
        for place, model in enumerate(models):
            _draw_model(ax, rows[rows["model"] == model], place - (len(models) - 1) / 2)
        _donor_axis(ax, rows)
        ax.set_title(f"{letter}  {label}")
    axes[0].set_ylabel("ρ, mean of tissues")
    handles, titles = axes[0].get_legend_handles_labels()
    drawing.legend(handles, titles, loc="outside upper left", ncols=2)
    return drawing


def _draw_model(ax: Axes, rows: pd.DataFrame, offset: float) -> None:
    """Draw a model's points, a little beside those of others, and the curve through them."""
    look, model = names.style(rows["model"].iloc[0]), rows["model"].iloc[0]
    measured = rows[rows["kind"] == MEASURED]
    for part, face in ((measured, look["color"]), (rows[rows["kind"] == PROMISED], "white")):
        x = part["n_donors"] * 1.012**offset
        ax.vlines(x, part["ci_low"], part["ci_high"], color=look["color"], lw=0.7)
        label = names.title(model) if part is measured else None
        ax.plot(x, part["mean_rho"], lw=0, ms=3.2, mfc=face, mew=0.8, label=label, **look)
    if (rows["kind"] == PROMISED).any():
        curve = fit_growth(measured["n_donors"].to_numpy(), measured["mean_rho"].to_numpy())
        n = np.geomspace(rows["n_donors"].min(), rows["n_donors"].max(), 100)
        ax.plot(n, read_growth(curve, n), lw=0.8, color=look["color"], zorder=1)


def _donor_axis(ax: Axes, rows: pd.DataFrame) -> None:
    """Numbers of donors on a logarithmic axis, each named."""
    sizes = sorted(rows["n_donors"].unique())
    ax.set_xscale("log")
    ax.set_xticks(sizes, [f"{n:,}" for n in sizes], rotation=60)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("Training donors")
    ax.grid(axis="y")
