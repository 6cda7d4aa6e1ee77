"""Accuracy of all models: by model (Fig 2a), by tissue, and predictable genes (Fig 2b)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, StrMethodFormatter

from mtm.errors import InputError
from mtm.figures import marks, names
from mtm.figures.registry import figure
from mtm.figures.style import (
    INK,
    MUTED,
    PAGE_HEIGHT_MM,
    PAGE_MM,
    PALETTE,
    REFERENCE_COLOR,
    new_figure,
)
from mtm.vocabulary import (
    ACCURACY_KEY,
    HEADLINE,
    MEAN_OF_TISSUES,
    PAPER,
    READINGS,
    SAMPLE_CONVENTION,
)

REFERENCE_MODEL = "covariates"
# The headline first, then the paper's own way. Folds do not matter to a single sample.
PANEL_TITLES = {
    (HEADLINE.scale, "gene_wise", HEADLINE.convention): f"Gene-wise, {HEADLINE.title}",
    (HEADLINE.scale, "sample_wise", SAMPLE_CONVENTION): "Sample-wise, log2(1+TPM)",
    (PAPER.scale, "gene_wise", PAPER.convention): f"Gene-wise, {PAPER.title}",
    (PAPER.scale, "sample_wise", SAMPLE_CONVENTION): "Sample-wise, TPM, as the paper",
}
PANELS = tuple(PANEL_TITLES)
PREDICTABLE = {
    f"n_{reading.definition}": (reading.scale, "gene_wise", reading.convention)
    for reading in READINGS
}
VALUES = ["mean_rho", "ci_low", "ci_high", "null_low", "null_high"]
# What any model could reach.
REACHABLE = {
    "ceiling": {"color": INK, "lw": 0.9, "ls": ":"},
    "floor": {"color": MUTED, "lw": 0.9, "ls": ":"},
}
RHO_LABEL = "Pearson's ρ of prediction and observation"

PANEL_WIDTH_MM = 52.0
# Parts of a model's row in Fig 2a: dots above, their mean with its interval below.
SWARM_PLACE, MEAN_PLACE = -0.09, 0.36
TISSUE_ROW_MM = 3.9
# Of a model in the row of a tissue.
MARK_MM = 0.5
MODEL_COLUMNS = 5


def _select(
    summary: pd.DataFrame, panels: Sequence[tuple[str, str, str]], values: Sequence[str]
) -> pd.DataFrame:
    """Rows of `panels` in their order, models by name, with the columns `values`."""
    columns = [*ACCURACY_KEY, "model", "tissue", "n_samples", *values]
    missing = [name for name in columns if name not in summary]
    if missing:
        raise InputError(
            "accuracy summary", f"columns {list(summary)}", f"a column named {missing[0]}"
        )
    measures = pd.MultiIndex.from_frame(summary[ACCURACY_KEY])
    means = measures.isin(PANELS) & (summary["tissue"] == MEAN_OF_TISSUES)
    if not means.any():
        raise InputError(
            "accuracy summary",
            f"no row of tissue {MEAN_OF_TISSUES!r} for any of {', '.join(map(str, PANELS))}",
            "accuracy/summary.tsv",
        )
    order = names.ordered(summary.loc[means, "model"])
    table = summary.assign(
        _panel=pd.MultiIndex.from_tuples(panels).get_indexer(measures),
        _model=pd.Index(order).get_indexer(summary["model"]),
    )
    table = table[(table[["_panel", "_model"]] >= 0).all(axis=1)]
    return table.sort_values(["_panel", "_model", "tissue"])[columns].reset_index(drop=True)


def fig2a_table(table: pd.DataFrame, ceiling: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``accuracy/summary.tsv`` that Fig 2a draws: headline and the paper's own way.

    Beside those of the headline stand ceiling and floor from ``accuracy/ceiling.tsv``.

    Raises
    ------
    InputError
        A column is missing, or there is no mean over tissues.
    """
    return _beside_ceiling(_select(table, PANELS, ["n_genes", *VALUES]), ceiling)


def _beside_ceiling(rows: pd.DataFrame, ceiling: pd.DataFrame) -> pd.DataFrame:
    """Add what any model could reach to the rows of the first panel."""
    wide = ceiling.pivot(index="tissue", columns="kind", values=["rho", "ci_low", "ci_high"])
    wide.columns = [f"{kind}_{value}" for value, kind in wide.columns]
    kept = {"ceiling_rho": "ceiling", "ceiling_ci_low": "ceiling_low",
            "ceiling_ci_high": "ceiling_high", "floor_rho": "floor"}  # fmt: skip
    wide = wide.reindex(columns=list(kept)).rename(columns=kept).astype(float)
    joined = rows.join(wide, on="tissue")
    joined.loc[(joined[ACCURACY_KEY] != PANELS[0]).any(axis=1), list(wide)] = np.nan
    return joined


def _panels(table: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Panels of `PANELS` that have rows."""
    present = set(table[ACCURACY_KEY].itertuples(index=False, name=None))
    return [panel for panel in PANELS if panel in present]


def _rho_limits(table: pd.DataFrame) -> tuple[float, float]:
    """Limits of the rho axis that hold every value, interval and name, zero included."""
    values = table[[*VALUES, *REACHABLE]]
    low, high = min(0.0, np.nanmin(values)), max(0.1, np.nanmax(values))
    margin = 0.1 * (high - low)
    return low - margin, high + margin


@figure("fig2a", reduce=fig2a_table)
def fig2a(table: pd.DataFrame) -> Figure:
    """Accuracy of every model, one dot a tissue (He et al. 2023, Fig 2a).

    Diamonds and bars are means over tissues with their interval; the grey box is the null
    interval of that mean, the blue band the interval of the covariates-only model; on the
    headline, dotted lines are the mean of ceilings, and of the floors below them.

    Parameters
    ----------
    table
        From `fig2a_table`.
    """
    models = names.ordered(table["model"])
    panels = _panels(table)
    scales = list(dict.fromkeys(scale for scale, _, _ in panels))
    levels = list(dict.fromkeys(level for _, level, _ in panels))
    tissues = sorted(set(table["tissue"]) - {MEAN_OF_TISSUES})
    fixed_mm = len(scales) * 9 + 16
    row_mm = min(
        4.5 + 3.5 * min(1.0, len(tissues) / 48),
        (PAGE_HEIGHT_MM - fixed_mm) / (len(scales) * len(models)),
    )
    height = len(scales) * len(models) * row_mm + fixed_mm
    drawing = new_figure(PAGE_MM, height)
    axes = drawing.subplots(len(scales), len(levels), sharex=True, sharey=True, squeeze=False)
    low, high = _rho_limits(table)
    # Room for the name of the last tissue, before the column of numbers.
    limits = low, high + 0.1 * (high - low)
    for letter, panel in zip("abcd", panels, strict=False):
        ax = axes[scales.index(panel[0]), levels.index(panel[1])]
        rows = table[(table[ACCURACY_KEY] == panel).all(axis=1)]
        _draw_models(ax, rows, models, limits, row_mm)
        ax.set_title(f"{letter}  {PANEL_TITLES[panel]}")
    for ax in axes[-1]:
        ax.set_xlabel(RHO_LABEL)
    drawing.legend(
        handles=[
            *_interval_legend(REFERENCE_MODEL in models),
            *reachable_legend(table, "mean of tissues that have one"),
        ],
        loc="outside upper left",
        ncols=3,
    )
    return drawing


def _draw_models(
    ax: Axes,
    rows: pd.DataFrame,
    models: Sequence[str],
    limits: tuple[float, float],
    row_mm: float,
) -> None:
    """Draw one panel of Fig 2a: a row a model."""
    mm_per_rho = PANEL_WIDTH_MM / (limits[1] - limits[0])
    means = rows[rows["tissue"] == MEAN_OF_TISSUES].set_index("model")
    if REFERENCE_MODEL in means.index:
        reference = means.loc[REFERENCE_MODEL]
        ax.axvspan(reference["ci_low"], reference["ci_high"], color=REFERENCE_COLOR, lw=0)
        ax.axvline(reference["mean_rho"], color=PALETTE[0], lw=0.5, ls="--")
    ax.axvline(0, color=MUTED, lw=0.5)
    for name, style in REACHABLE.items():
        ax.axvline(means[name].max(), **style)
    for place, model in enumerate(models):
        dots = rows[(rows["model"] == model) & (rows["tissue"] != MEAN_OF_TISSUES)].dropna(
            subset=["mean_rho"]
        )
        marks.swarm(
            ax, dots["mean_rho"].to_numpy(), dots["tissue"].tolist(), place + SWARM_PLACE,
            mm_per_rho, row_mm,
        )  # fmt: skip
        if model not in means.index:
            continue
        mean = means.loc[model]
        marks.null_band(ax, place, mean["null_low"], mean["null_high"])
        y = place + MEAN_PLACE
        ax.plot([mean["ci_low"], mean["ci_high"]], [y, y], color=INK, lw=1.4, zorder=4)
        ax.plot(mean["mean_rho"], y, "D", color=INK, ms=2.8, zorder=5)
        ax.text(
            1.01,
            place,
            marks.minus(f"{mean['mean_rho']:.2f}"),
            transform=ax.get_yaxis_transform(),
            va="center",
            fontsize=6,
        )
    ax.set_yticks(range(len(models)), map(names.title, models))
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(models) - 0.5, -0.5)
    ax.set_xlim(*limits)
    ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    ax.grid(axis="x")


def _interval_legend(reference: bool) -> list[Line2D | Patch]:
    """Explain the marks of Fig 2a."""
    handles = [
        Line2D([], [], color=INK, marker="D", ms=2.8, lw=1.4,
               label="mean of tissues, 95% interval over donors"),
        Line2D([], [], marker="o", ms=3.3, mfc=marks.DOT_COLOR, mec=INK, mew=0.4, lw=0,
               label="one tissue, the first and last named"),
        marks.null_legend("donors permuted"),
    ]  # fmt: skip
    if reference:
        handles.append(Patch(color=REFERENCE_COLOR, lw=0, label="covariates alone"))
    return handles


def reachable_legend(table: pd.DataFrame, of: str = "") -> list[Line2D]:
    """Explain the lines of what any model could reach, as far as a table has them."""
    words = {"ceiling": "noise ceiling", "floor": "floor of what can be reached"}
    return [
        Line2D([], [], **style, label=f"{words[name]}, {of}" if of else words[name])
        for name, style in REACHABLE.items()
        if table[name].notna().any()
    ]


def accuracy_by_tissue_table(table: pd.DataFrame, ceiling: pd.DataFrame) -> pd.DataFrame:
    """Headline rows of ``accuracy/summary.tsv``, every model and tissue, with their ceiling."""
    return _beside_ceiling(_select(table, PANELS[:2], ["n_genes", *VALUES]), ceiling)


def _tissue_rows(table: pd.DataFrame, value: str) -> list[str]:
    """Tissues from the best to the worst `value` of the best model, the mean first."""
    best = table.groupby("tissue")[value].max().sort_values(ascending=False, kind="stable")
    return [MEAN_OF_TISSUES, *(name for name in best.index if name != MEAN_OF_TISSUES)]


def _tissue_panels(
    table: pd.DataFrame, tissues: list[str], n_panels: int, row_mm: float = TISSUE_ROW_MM
) -> tuple[Figure, np.ndarray]:
    """Panels side by side, a row a tissue."""
    drawing = new_figure(PAGE_MM, len(tissues) * row_mm + 20)
    axes = drawing.subplots(1, n_panels, sharex=True, squeeze=False)[0]
    labels = marks.counted(tissues, table.groupby("tissue")["n_samples"].max())
    for ax in axes:
        marks.tissue_axis(ax, tissues, labels if ax is axes[0] else None)
    marks.rows_label(axes[0], "samples", len(tissues))
    return drawing, axes


@figure("accuracy_by_tissue", reduce=accuracy_by_tissue_table)
def accuracy_by_tissue(table: pd.DataFrame) -> Figure:
    """Accuracy of every model in every tissue with intervals over donors.

    Parameters
    ----------
    table
        From `accuracy_by_tissue_table`.
    """
    every = names.ordered(table["model"])
    panels = _panels(table)
    tissues = _tissue_rows(table[(table[ACCURACY_KEY] == panels[0]).all(axis=1)], "mean_rho")
    models = _told_apart(every, max(TISSUE_ROW_MM, (PAGE_HEIGHT_MM - 20) / len(tissues)))
    row_mm = _row_mm(len(tissues), len(models))
    drawing, axes = _tissue_panels(table, tissues, len(panels), row_mm)
    limits = _rho_limits(table)
    offsets = marks.dodge(models, 0.38)
    for ax, panel in zip(axes, panels, strict=True):
        rows = table[(table[ACCURACY_KEY] == panel).all(axis=1) & table["tissue"].isin(tissues)]
        null = rows.groupby("tissue").agg({"null_low": "min", "null_high": "max"})
        for name, bounds in null.iterrows():
            marks.null_band(ax, tissues.index(name), *bounds)
        for model, offset in offsets.items():
            mine, style = rows[rows["model"] == model], names.style(model)
            y = mine["tissue"].map(tissues.index).to_numpy() + offset
            marks.interval_lines(ax, mine, y, style["color"])
            ax.plot(mine["mean_rho"], y, lw=0, ms=2.9, mec="white", mew=0.25, zorder=3, **style)
        reachable = rows.groupby("tissue")[list(REACHABLE)].max()
        y = np.array([tissues.index(name) for name in reachable.index])
        for name, style in REACHABLE.items():
            ax.vlines(reachable[name], y - 0.42, y + 0.42, **style)
        ax.axvline(0, color=MUTED, lw=0.5, zorder=1)
        ax.set_xlim(*limits)
        ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        ax.set_xlabel(RHO_LABEL)
        ax.set_title(PANEL_TITLES[panel])
    handles = [*marks.model_legend(models), marks.null_legend("donors permuted")]
    handles += reachable_legend(table)
    marks.note_first(drawing, len(models), len(every), "models", "accuracy/summary.tsv")
    drawing.legend(handles=handles, loc="outside upper left", ncols=MODEL_COLUMNS)
    return drawing


def _row_mm(n_tissues: int, n_models: int) -> float:
    """Height of a tissue's row in which marks of every model stand one above the other."""
    room_mm = (PAGE_HEIGHT_MM - 20) / n_tissues
    return min(max(TISSUE_ROW_MM, MARK_MM * n_models), room_mm)


def _told_apart(models: list[str], row_mm: float) -> list[str]:
    """Models that have room in a row, the first ones and always the covariates-only one."""
    n = max(2, int(row_mm / MARK_MM))
    if len(models) <= n:
        return models
    last = [name for name in models if name == REFERENCE_MODEL]
    first = [name for name in models if name != REFERENCE_MODEL][: n - len(last)]
    return names.ordered([*first, *last])


def fig2b_table(table: pd.DataFrame) -> pd.DataFrame:
    """Predictable genes by model and tissue: each definition on the scale it belongs to.

    Returns
    -------
    pd.DataFrame
        Columns ``definition`` (``n_predictable``, ``n_predictable_paper``), then those of the
        summary, and ``n_predictable_genes``.
    """
    parts = [
        _select(table, [panel], ["n_genes", definition])
        .rename(columns={definition: "n_predictable_genes"})
        .assign(definition=definition)
        for definition, panel in PREDICTABLE.items()
    ]
    reduced = pd.concat(parts, ignore_index=True)
    return reduced[["definition", *reduced.columns.drop("definition")]]


@figure("fig2b", reduce=fig2b_table)
def fig2b(table: pd.DataFrame) -> Figure:
    """Count the predictable genes of every model in every tissue (He et al. 2023, Fig 2b).

    Parameters
    ----------
    table
        From `fig2b_table`.
    """
    models = names.ordered(table["model"])
    definitions = [name for name in PREDICTABLE if name in set(table["definition"])]
    tissues = _tissue_rows(table[table["definition"] == definitions[0]], "n_predictable_genes")
    row_mm = _row_mm(len(tissues), len(models))
    drawing, axes = _tissue_panels(table, tissues, len(definitions), row_mm)
    offsets = marks.dodge(models, 0.36)
    highest = max(float(table["n_predictable_genes"].max()), 10.0)
    for ax, definition in zip(axes, definitions, strict=True):
        rows = table[(table["definition"] == definition) & table["tissue"].isin(tissues)]
        span = rows.groupby("tissue")["n_predictable_genes"].agg(["min", "max"])
        ax.hlines(
            [tissues.index(name) for name in span.index],
            span["min"],
            span["max"],
            color="#BBBBBB",
            lw=0.6,
        )
        for model in reversed(models):
            mine = rows[rows["model"] == model]
            ax.plot(
                mine["n_predictable_genes"],
                mine["tissue"].map(tissues.index).to_numpy() + offsets[model],
                lw=0,
                ms=3.4,
                mec="white",
                mew=0.3,
                clip_on=False,
                zorder=3,
                **names.style(model),
            )
        if REFERENCE_MODEL in models:
            alone = rows[rows["model"] == REFERENCE_MODEL]
            ax.barh(
                alone["tissue"].map(tissues.index), alone["n_predictable_genes"], height=0.84,
                color=REFERENCE_COLOR, zorder=0.5,
            )  # fmt: skip
        _count_axis(ax, highest)
        ax.set_title(marks.DEFINITION_TITLES[definition.removeprefix("n_")])
    drawing.supxlabel("Number of predictable genes (square-root axis)", fontsize=7)
    handles = marks.model_legend(models)
    if REFERENCE_MODEL in models:
        handles.append(Patch(color=REFERENCE_COLOR, lw=0, label="up to covariates alone"))
    drawing.legend(handles=handles, loc="outside upper left", ncols=MODEL_COLUMNS)
    return drawing


def _count_axis(ax: Axes, highest: float) -> None:
    """Square-root axis from 0 to `highest` with round ticks."""
    ax.set_xscale("function", functions=(lambda n: np.sqrt(np.maximum(n, 0)), np.square))
    ax.set_xlim(0, highest * 1.03)
    ticks = [0.0]
    for tick in sorted(unit * 10.0**power for power in range(7) for unit in (1, 2, 5)):
        if np.sqrt(tick) - np.sqrt(ticks[-1]) >= 0.12 * np.sqrt(highest) and tick <= highest:
            ticks.append(tick)
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
