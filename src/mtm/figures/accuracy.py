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
from mtm.figures.registry import figure
from mtm.figures.style import (
    INK,
    MUTED,
    NULL_COLOR,
    PAGE_HEIGHT_MM,
    PAGE_MM,
    PALETTE,
    REFERENCE_COLOR,
    model_styles,
    new_figure,
    swarm_offsets,
    tissue_colors,
)
from mtm.vocabulary import ACCURACY_KEY, MEAN_OF_TISSUES, SAMPLE_CONVENTION

REFERENCE_MODEL = "covariates"
# The headline first, then the paper's own way (methods 6.1).
PANELS = (
    ("log2_z", "gene_wise", "per_fold"),
    ("log2_z", "sample_wise", SAMPLE_CONVENTION),
    ("tpm_z", "gene_wise", "pooled_raw"),
    ("tpm_z", "sample_wise", SAMPLE_CONVENTION),
)
PANEL_TITLES = {
    PANELS[0]: "Gene-wise, log2(1+TPM), per fold",
    PANELS[1]: "Sample-wise, log2(1+TPM)",
    PANELS[2]: "Gene-wise, TPM, folds pooled as in the paper",
    PANELS[3]: "Sample-wise, TPM, as in the paper",
}
VALUES = ["mean_rho", "ci_low", "ci_high", "null_low", "null_high"]
RHO_LABEL = "Pearson's ρ of prediction and observation"

DOT_MM = 1.15
PANEL_WIDTH_MM = 52.0
# Parts of a model's row in Fig 2a: dots above, their mean with its interval below.
SWARM_PLACE, SWARM_HALF_HEIGHT, MEAN_PLACE = -0.09, 0.33, 0.36
TISSUE_ROW_MM = 3.9


def model_order(summary: pd.DataFrame) -> list[str]:
    """Models from the most to the least accurate on the first panel of `PANELS` there is."""
    for panel in PANELS:
        rows = summary[
            (summary[ACCURACY_KEY] == panel).all(axis=1) & (summary["tissue"] == MEAN_OF_TISSUES)
        ]
        if len(rows):
            return list(rows.sort_values("mean_rho", ascending=False, kind="stable")["model"])
    raise InputError(
        "accuracy summary",
        f"no row of tissue {MEAN_OF_TISSUES!r} for any of {', '.join(map(str, PANELS))}",
        "accuracy/summary.tsv",
    )


def _select(
    summary: pd.DataFrame, panels: Sequence[tuple[str, str, str]], values: Sequence[str]
) -> pd.DataFrame:
    """Rows of `panels` in their order, models from best to worst, with the columns `values`."""
    columns = [*ACCURACY_KEY, "model", "tissue", "n_samples", *values]
    missing = [name for name in columns if name not in summary]
    if missing:
        raise InputError(
            "accuracy summary", f"columns {list(summary)}", f"a column named {missing[0]}"
        )
    order = model_order(summary)
    table = summary[summary["model"].isin(order)]
    measures = pd.MultiIndex.from_frame(table[ACCURACY_KEY])
    rank = pd.MultiIndex.from_tuples(panels).get_indexer(measures)
    table = table.assign(_panel=rank, _model=[order.index(name) for name in table["model"]])
    table = table[table["_panel"] >= 0].sort_values(["_panel", "_model", "tissue"])
    return table[columns].reset_index(drop=True)


def fig2a_table(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``accuracy/summary.tsv`` that Fig 2a draws: headline and the paper's own way.

    Raises
    ------
    InputError
        A column is missing, or there is no mean over tissues.
    """
    return _select(table, PANELS, ["n_genes", *VALUES])


def _panels(table: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Panels of `PANELS` that have rows."""
    present = set(table[ACCURACY_KEY].itertuples(index=False, name=None))
    return [panel for panel in PANELS if panel in present]


def _rho_limits(table: pd.DataFrame) -> tuple[float, float]:
    """Limits of the rho axis that hold every value and interval, zero included."""
    values = table[["mean_rho", "ci_low", "ci_high", "null_low", "null_high"]]
    low, high = min(0.0, np.nanmin(values)), max(0.1, np.nanmax(values))
    margin = 0.04 * (high - low)
    return low - margin, high + margin


@figure("fig2a", reduce=fig2a_table)
def fig2a(table: pd.DataFrame) -> Figure:
    """Accuracy of every model, one dot a tissue (He et al. 2023, Fig 2a).

    Diamonds and bars are means over tissues with their interval; the grey box is the null
    interval of that mean, the blue band the interval of the covariates-only model.

    Parameters
    ----------
    table
        From `fig2a_table`.
    """
    models = list(dict.fromkeys(table["model"]))
    panels = _panels(table)
    scales = list(dict.fromkeys(scale for scale, _, _ in panels))
    levels = list(dict.fromkeys(level for _, level, _ in panels))
    tissues = sorted(set(table["tissue"]) - {MEAN_OF_TISSUES})
    colors = tissue_colors(tissues)
    legend = tissue_legend(colors)
    n_columns = 4
    legend_mm = 3.1 * int(np.ceil(len(legend) / n_columns))
    fixed_mm = len(scales) * 9 + legend_mm + 16
    row_mm = min(
        4.5 + 3.5 * min(1.0, len(tissues) / 48),
        (PAGE_HEIGHT_MM - fixed_mm) / (len(scales) * len(models)),
    )
    height = len(scales) * len(models) * row_mm + fixed_mm
    drawing = new_figure(PAGE_MM, height)
    axes = drawing.subplots(len(scales), len(levels), sharex=True, sharey=True, squeeze=False)
    limits = _rho_limits(table)
    for letter, panel in zip("abcd", panels, strict=False):
        ax = axes[scales.index(panel[0]), levels.index(panel[1])]
        rows = table[(table[ACCURACY_KEY] == panel).all(axis=1)]
        _draw_models(ax, rows, models, colors, limits, row_mm)
        ax.set_title(f"{letter}  {PANEL_TITLES[panel]}")
    for ax in axes[-1]:
        ax.set_xlabel(RHO_LABEL)
    drawing.legend(
        handles=_interval_legend(REFERENCE_MODEL in models), loc="outside upper left", ncols=4
    )
    drawing.legend(handles=legend, loc="outside lower center", ncols=n_columns)
    return drawing


def _draw_models(
    ax: Axes,
    rows: pd.DataFrame,
    models: Sequence[str],
    colors: dict[str, str],
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
    for place, model in enumerate(models):
        dots = rows[(rows["model"] == model) & (rows["tissue"] != MEAN_OF_TISSUES)].dropna(
            subset=["mean_rho"]
        )
        x = dots["mean_rho"].to_numpy()
        offsets = swarm_offsets(x * mm_per_rho, DOT_MM, SWARM_HALF_HEIGHT * row_mm) / row_mm
        ax.scatter(
            x,
            place + SWARM_PLACE + offsets,
            s=(DOT_MM * 72 / 25.4) ** 2,
            c=[colors[name] for name in dots["tissue"]],
            edgecolors=INK,
            linewidths=0.25,
            zorder=3,
        )
        if model not in means.index:
            continue
        mean = means.loc[model]
        ax.fill_betweenx(
            [place - 0.42, place + 0.42],
            mean["null_low"],
            mean["null_high"],
            color=NULL_COLOR,
            lw=0,
            zorder=1,
        )
        y = place + MEAN_PLACE
        ax.plot([mean["ci_low"], mean["ci_high"]], [y, y], color=INK, lw=1.4, zorder=4)
        ax.plot(mean["mean_rho"], y, "D", color=INK, ms=2.8, zorder=5)
        ax.text(
            1.01,
            place,
            f"{mean['mean_rho']:.3f}".replace("-", "\N{MINUS SIGN}"),
            transform=ax.get_yaxis_transform(),
            va="center",
            fontsize=6,
        )
    ax.set_yticks(range(len(models)), models)
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
        Line2D([], [], color="white", marker="o", ms=3.3, mfc="white", mec=INK, mew=0.4, lw=0,
               label="one tissue"),
        Patch(color=NULL_COLOR, lw=0, label="donors permuted"),
    ]  # fmt: skip
    if reference:
        handles.append(Patch(color=REFERENCE_COLOR, lw=0, label="covariates alone"))
    return handles


def tissue_legend(colors: dict[str, str]) -> list[Line2D]:
    """One entry a colour; tissues that share one are named by their organ and number."""
    names: dict[str, list[str]] = {}
    for tissue, color in colors.items():
        names.setdefault(color, []).append(tissue)
    labels = {
        color: group[0]
        if len(group) == 1
        else f"{group[0].split(' - ')[0]} ({len(group)} regions)"
        if len({name.split(" - ")[0] for name in group}) == 1
        else ", ".join(group)
        for color, group in names.items()
    }
    return [
        Line2D([], [], marker="o", lw=0, ms=3.5, color=color, mec=INK, mew=0.25, label=label)
        for color, label in labels.items()
    ]


def accuracy_by_tissue_table(table: pd.DataFrame) -> pd.DataFrame:
    """Headline rows of ``accuracy/summary.tsv``, every model and tissue."""
    return _select(table, PANELS[:2], ["n_genes", *VALUES])


def _tissue_rows(table: pd.DataFrame, value: str) -> list[str]:
    """Tissues from the best to the worst `value` of the best model, the mean first."""
    best = table.groupby("tissue")[value].max().sort_values(ascending=False, kind="stable")
    return [MEAN_OF_TISSUES, *(name for name in best.index if name != MEAN_OF_TISSUES)]


def _tissue_axis(ax: Axes, tissues: Sequence[str], n_samples: pd.Series, labels: bool) -> None:
    """Name the tissue rows, with their colour and number of samples."""
    colors = tissue_colors(set(tissues) - {MEAN_OF_TISSUES})
    ax.set_ylim(len(tissues) - 0.5, -0.5)
    ax.axhline(0.5, color=INK, lw=0.5)
    ax.tick_params(axis="y", length=0)
    ax.set_yticks(range(len(tissues)))
    ax.grid(axis="x")
    for place in range(1, len(tissues), 2):
        ax.axhspan(place - 0.5, place + 0.5, color="#F6F6F6", lw=0, zorder=0)
    if not labels:
        ax.tick_params(axis="y", labelleft=False)
        return
    ax.set_yticklabels(
        ["Mean of tissues", *(f"{name}  {int(n_samples[name])}" for name in tissues[1:])]
    )
    ax.tick_params(axis="y", pad=12)
    ax.set_ylabel("Tissue and its number of samples")
    for place, name in enumerate(tissues[1:], start=1):
        ax.plot(
            -0.045, place, "s", ms=3.8, color=colors[name], mec=INK, mew=0.25,
            transform=ax.get_yaxis_transform(), clip_on=False,
        )  # fmt: skip


def _model_legend(styles: dict[str, dict[str, str]]) -> list[Line2D]:
    """One entry a model."""
    return [
        Line2D([], [], lw=0, ms=4, mec="white", mew=0.3, label=name, **style)
        for name, style in styles.items()
    ]


@figure("accuracy_by_tissue", reduce=accuracy_by_tissue_table)
def accuracy_by_tissue(table: pd.DataFrame) -> Figure:
    """Accuracy of every model in every tissue with intervals over donors.

    Parameters
    ----------
    table
        From `accuracy_by_tissue_table`.
    """
    models = list(dict.fromkeys(table["model"]))
    styles = model_styles(models)
    panels = _panels(table)
    tissues = _tissue_rows(table[(table[ACCURACY_KEY] == panels[0]).all(axis=1)], "mean_rho")
    n_samples = table.groupby("tissue")["n_samples"].max()
    drawing = new_figure(PAGE_MM, len(tissues) * TISSUE_ROW_MM + 20)
    axes = drawing.subplots(1, len(panels), sharex=True, squeeze=False)[0]
    limits = _rho_limits(table)
    dodge = np.linspace(-0.3, 0.3, len(models)) if len(models) > 1 else [0.0]
    for ax, panel in zip(axes, panels, strict=True):
        rows = table[(table[ACCURACY_KEY] == panel).all(axis=1) & table["tissue"].isin(tissues)]
        place = rows["tissue"].map(tissues.index).to_numpy()
        _tissue_axis(ax, tissues, n_samples, labels=ax is axes[0])
        null = rows.groupby("tissue")[["null_low", "null_high"]].agg(
            {"null_low": "min", "null_high": "max"}
        )
        for name, bounds in null.iterrows():
            ax.fill_betweenx(
                np.array([-0.42, 0.42]) + tissues.index(name), *bounds, color=NULL_COLOR, lw=0
            )
        for model, offset in zip(models, dodge, strict=True):
            chosen = (rows["model"] == model).to_numpy()
            y, mine = place[chosen] + offset, rows[chosen]
            ax.hlines(
                y, mine["ci_low"], mine["ci_high"], color=styles[model]["color"], lw=0.6, alpha=0.6
            )
            ax.plot(mine["mean_rho"], y, lw=0, ms=2.9, mec="white", mew=0.25, **styles[model])
        ax.axvline(0, color=MUTED, lw=0.5, zorder=1)
        ax.set_xlim(*limits)
        ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        ax.set_xlabel(RHO_LABEL)
        ax.set_title(PANEL_TITLES[panel])
    drawing.legend(
        handles=[*_model_legend(styles), Patch(color=NULL_COLOR, lw=0, label="donors permuted")],
        loc="outside upper left",
        ncols=7,
    )
    return drawing


PREDICTABLE_PANELS = {
    "n_predictable": ("log2_z", "gene_wise", "per_fold"),
    "n_predictable_paper": ("tpm_z", "gene_wise", "pooled_raw"),
}
PREDICTABLE_TITLES = {
    "n_predictable": "Significant: log2(1+TPM), per fold",
    "n_predictable_paper": "As in the paper: TPM, folds pooled",
}


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
        for definition, panel in PREDICTABLE_PANELS.items()
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
    models = list(dict.fromkeys(table["model"]))
    styles = model_styles(models)
    definitions = [name for name in PREDICTABLE_PANELS if name in set(table["definition"])]
    tissues = _tissue_rows(table[table["definition"] == definitions[0]], "n_predictable_genes")
    n_samples = table.groupby("tissue")["n_samples"].max()
    drawing = new_figure(PAGE_MM, len(tissues) * TISSUE_ROW_MM + 20)
    axes = drawing.subplots(1, len(definitions), sharex=True, squeeze=False)[0]
    highest = max(float(table["n_predictable_genes"].max()), 10.0)
    for ax, definition in zip(axes, definitions, strict=True):
        rows = table[(table["definition"] == definition) & table["tissue"].isin(tissues)]
        _tissue_axis(ax, tissues, n_samples, labels=ax is axes[0])
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
                mine["tissue"].map(tissues.index),
                lw=0,
                ms=4,
                mec="white",
                mew=0.3,
                clip_on=False,
                zorder=3,
                **styles[model],
            )
        _count_axis(ax, highest)
        ax.set_title(PREDICTABLE_TITLES[definition])
    drawing.supxlabel("Number of predictable genes (square-root axis)", fontsize=7)
    drawing.legend(handles=_model_legend(styles), loc="outside upper left", ncols=8)
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
