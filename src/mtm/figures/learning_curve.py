"""Held-out accuracy while a model is trained."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator

from mtm.errors import InputError
from mtm.figures import names
from mtm.figures.registry import figure
from mtm.figures.style import COLUMN_MM, MUTED, PAGE_MM, new_figure

SHARE_OF_FINAL = 0.99
CROSS = {"marker": "x", "ms": 5, "mew": 1.2, "ls": "none"}
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
        ``model``, ``run``, ``step``, ``level`` (``gene_wise``, ``sample_wise``), ``rho``,
        ``steps_to_99`` (of the run and level, see `steps_to_final`; the same in all its rows),
        ``collapsed`` (whether the run's codes had collapsed at its end; the same in all its rows).

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
                collapsed=bool((training.get("collapsed", pd.Series(dtype=float)) == 1).any()),
            )
        )
    rows = pd.concat(parts, ignore_index=True)
    rows = rows[["model", "run", "step", "level", "rho", "collapsed"]]
    curve = ["model", "run", "level"]
    rows["steps_to_99"] = np.nan
    for _, mine in rows.groupby(curve):
        rows.loc[mine.index, "steps_to_99"] = steps_to_final(mine["step"], mine["rho"])
    return rows


def steps_to_final(step: Sequence[float], rho: Sequence[float]) -> float:
    """Return the first step at which rho reaches 99% of its final value (methods 1.6).

    The final value is the mean of the last tenth of the evaluations, one of which may be high or
    low by chance; NaN where it is not above 0.

    Parameters
    ----------
    step
        Optimiser steps of the evaluations, rising.
    rho
        Held-out accuracy at each.
    """
    step, rho = np.asarray(step, float), np.asarray(rho, float)
    final = rho[-math.ceil(len(rho) / 10) :].mean()
    return float(step[rho >= SHARE_OF_FINAL * final][0]) if final > 0 else math.nan


@figure("learning_curve", reduce=learning_curve_table)
def learning_curve(table: pd.DataFrame) -> Figure:
    """Held-out accuracy against optimiser step; a thin line a run, a thick one their mean.

    A triangle marks the median over runs of the step that reaches 99% of the final value, a cross
    the end of a run whose codes have collapsed.

    Parameters
    ----------
    table
        From `learning_curve_table`.
    """
    models = names.ordered(table["model"])
    wide = len(models) > 3
    drawing = new_figure(PAGE_MM if wide else COLUMN_MM, 62)
    axes = drawing.subplots(1, 2, sharey=True, sharex=True)
    for ax, (level, title) in zip(axes, LEVELS.items(), strict=True):
        rows = table[table["level"] == level.removeprefix("held_out_")]
        for rank, model in enumerate(models):
            _draw_model(ax, rows[rows["model"] == model], model, 0.03 + 0.05 * rank)
        ax.axhline(0, color=MUTED, lw=0.5, zorder=1)
        ax.set_title(title)
        ax.set_xlabel("Optimiser step")
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.grid(axis="y")
    axes[0].set_ylabel("Held-out Pearson's ρ")
    handles, labels = axes[0].get_legend_handles_labels()
    shown = [*zip(handles, labels, strict=True)] if len(models) > 1 else []
    reached = Line2D([], [], color=MUTED, marker="^", ms=4, ls="none")
    shown.append((reached, "99% of final ρ reached"))
    if table["collapsed"].any():
        shown.append((Line2D([], [], color=MUTED, **CROSS), "codes collapsed"))
    handles, labels = zip(*shown, strict=True)
    drawing.legend(handles, labels, loc="outside upper left", ncols=6 if wide else 3)
    return drawing


def _draw_model(ax: Axes, rows: pd.DataFrame, model: str, height: float) -> None:
    """Draw the runs of a model, their mean, and at `height` where it reaches its final value."""
    color = names.style(model)["color"]
    runs = rows.pivot_table(index="step", columns="run", values="rho")
    if runs.shape[1] > 1:
        between = runs.interpolate(limit_area="inside")
        ax.plot(runs.index, between, color=color, lw=0.5, alpha=0.5)
    complete = runs.dropna()
    ax.plot(
        complete.index, complete.mean(axis=1), color=color, lw=1.4, ms=3, label=names.title(model),
        # A model that has no colour of its own.
        ls="-" if model in names.MODELS else "--",
        marker="o" if len(complete) == 1 else None,
    )  # fmt: skip
    ends = rows[rows["collapsed"]].groupby("run").last()
    # A line without points that is not clipped takes room at the origin of the page.
    if len(ends):
        ax.plot(ends["step"], ends["rho"], color=color, clip_on=False, zorder=4, **CROSS)
    reached = rows.groupby("run")["steps_to_99"].first().median()
    ax.plot(
        reached, height, color=color, marker="^", ms=4, ls="none", clip_on=False,
        transform=ax.get_xaxis_transform(),
    )  # fmt: skip
