"""Held-out accuracy while a model is trained."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from mtm.errors import InputError
from mtm.figures.registry import figure
from mtm.figures.style import COLUMN_MM, MUTED, PAGE_MM, PALETTE, new_figure

LEVELS = {"held_out_gene_wise": "Gene-wise", "held_out_sample_wise": "Sample-wise"}


def learning_curve_table(table: pd.DataFrame | Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Held-out accuracy by step from one or several training tables.

    Parameters
    ----------
    table
        Training tables with ``step`` and the columns of `LEVELS`, by their path
        ``models/{model}/fold{fold}.training.tsv``; or one table. Rows without held-out accuracy
        are left out.

    Returns
    -------
    pd.DataFrame
        ``model``, ``run``, ``step``, ``level`` (``gene_wise``, ``sample_wise``), ``rho``.

    Raises
    ------
    InputError
        A table lacks ``step`` or has no held-out accuracy.
    """
    tables = {"model/run": table} if isinstance(table, pd.DataFrame) else table
    parts = []
    for path, training in tables.items():
        missing = [name for name in ("step", *LEVELS) if name not in training]
        if missing:
            raise InputError(
                path,
                f"columns {list(training)}",
                f"a column named {missing[0]}",
                "Train with held-out accuracy monitored.",
            )
        part = training[["step", *LEVELS]].melt("step", var_name="level", value_name="rho")
        parts.append(
            part.dropna(subset=["rho"]).assign(
                model=Path(path).parent.name,
                run=Path(path).name.removesuffix(".training.tsv"),
                level=lambda rows: rows["level"].str.removeprefix("held_out_"),
            )
        )
    return pd.concat(parts, ignore_index=True)[["model", "run", "step", "level", "rho"]]


@figure("learning_curve", reduce=learning_curve_table)
def learning_curve(table: pd.DataFrame) -> Figure:
    """Held-out accuracy against optimiser step; a thin line a run, a thick one their mean.

    Parameters
    ----------
    table
        From `learning_curve_table`.
    """
    models = list(dict.fromkeys(table["model"]))
    wide = len(models) > 3
    drawing = new_figure(PAGE_MM if wide else COLUMN_MM, 62)
    axes = drawing.subplots(1, 2, sharey=True, sharex=True)
    for ax, (level, title) in zip(axes, LEVELS.items(), strict=True):
        rows = table[table["level"] == level.removeprefix("held_out_")]
        for rank, model in enumerate(models):
            color = PALETTE[rank % len(PALETTE)]
            mine = rows[rows["model"] == model]
            runs = mine.pivot_table(index="step", columns="run", values="rho")
            if runs.shape[1] > 1:
                ax.plot(
                    runs.index,
                    runs.interpolate(limit_area="inside"),
                    color=color,
                    lw=0.5,
                    alpha=0.5,
                )
            complete = runs.dropna()
            ax.plot(
                complete.index,
                complete.mean(axis=1),
                color=color,
                lw=1.4,
                ls="-" if rank < len(PALETTE) else "--",
                marker="o" if len(complete) == 1 else None,
                ms=3,
                label=model,
            )
        ax.axhline(0, color=MUTED, lw=0.5, zorder=1)
        ax.set_title(title)
        ax.set_xlabel("Optimiser step")
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.grid(axis="y")
    axes[0].set_ylabel("Held-out Pearson's ρ")
    handles, labels = axes[0].get_legend_handles_labels()
    if len(models) > 1:
        drawing.legend(handles, labels, loc="outside upper left", ncols=6 if wide else 3)
    return drawing
