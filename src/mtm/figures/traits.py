"""Trait associations of genes, predicted against observed (He et al. 2023, Figs S12-S14)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mtm.figures import marks, names
from mtm.figures.registry import figure
from mtm.figures.style import INK, MUTED, PAGE_MM, new_figure
from mtm.vocabulary import MEDIAN_OF_TISSUES, RAN, READINGS

MAX_PANELS = 4
MAX_MODELS = 4
ROW_MM = 3.9
TITLES = {reading.definition: reading.title for reading in READINGS}
VALUES = ["rho", "ci_low", "ci_high", "null_low", "null_high", "rho_split", "rho_covariates"]
COLUMNS = ["model", "definition", "trait", "tissue", "n_donors", "n_genes", *VALUES, "status",
           "reason"]  # fmt: skip


def _rows_of(agreement: pd.DataFrame, traits: Sequence[str]) -> pd.DataFrame:
    """Rows of some traits, of the first panels and models; skipped tissues stay rows."""
    rows = agreement[agreement["trait"].isin(list(traits))]
    chosen = list(dict.fromkeys(rows["trait"]))[:MAX_PANELS]
    definitions = list(TITLES)[: MAX_PANELS // max(len(chosen), 1) or 1]
    models = _models(rows)
    kept = rows["trait"].isin(chosen) & rows["definition"].isin(definitions)
    return rows.loc[kept & rows["model"].isin(models), COLUMNS].reset_index(drop=True)


def _models(rows: pd.DataFrame) -> list[str]:
    """Models to draw: without the covariates-only one, which is drawn on the genes of the first.

    It is the model whose own predictions are all that it is compared with, so nothing is left
    beyond it; where it is alone, it is drawn as a model.
    """
    models = list(dict.fromkeys(rows["model"]))
    own = rows.groupby("model")["rho_beyond"].apply(lambda values: values.notna().any())
    known = rows.groupby("model")["rho_covariates"].apply(lambda values: values.notna().any())
    others = [name for name in models if own[name] or not known[name]]
    return (others or models)[:MAX_MODELS]


def fig_s12_table(agreement: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``traits/agreement.tsv`` that are of age."""
    return _rows_of(agreement, ["age"])


def fig_s13_table(agreement: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``traits/agreement.tsv`` that are of sex."""
    return _rows_of(agreement, ["sex"])


def fig_s14_table(agreement: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``traits/agreement.tsv`` of the other traits, BMI first."""
    others = [name for name in dict.fromkeys(agreement["trait"]) if name not in ("age", "sex")]
    return _rows_of(agreement, sorted(others, key=lambda name: name != "BMI"))


@figure("fig_s12", reduce=fig_s12_table)
def fig_s12(table: pd.DataFrame) -> Figure:
    """Agreement of the association with age by tissue (He et al. 2023, Fig S12).

    Parameters
    ----------
    table
        From `fig_s12_table`.
    """
    return _draw(table)


@figure("fig_s13", reduce=fig_s13_table)
def fig_s13(table: pd.DataFrame) -> Figure:
    """Agreement of the association with sex by tissue (He et al. 2023, Fig S13).

    Parameters
    ----------
    table
        From `fig_s13_table`.
    """
    return _draw(table)


@figure("fig_s14", reduce=fig_s14_table)
def fig_s14(table: pd.DataFrame) -> Figure:
    """Agreement of the association with BMI or other traits (He et al. 2023, Fig S14).

    Parameters
    ----------
    table
        From `fig_s14_table`.
    """
    return _draw(table)


def _draw(table: pd.DataFrame) -> Figure:
    """Draw a panel a trait and definition, a row a tissue."""
    panels = list(table[["trait", "definition"]].drop_duplicates().itertuples(False, None))
    models = names.ordered(table["model"])
    ran = table[table["status"] == RAN]
    first = ran[(ran["model"] == models[0]) & (ran["tissue"] != MEDIAN_OF_TISSUES)]
    # By the first panel a tissue has a value in.
    order = (
        first.groupby("tissue")["rho"].first().sort_values(ascending=False, kind="stable").index
    )
    rest = sorted(set(table["tissue"]) - set(order) - {MEDIAN_OF_TISSUES})
    has_median = MEDIAN_OF_TISSUES in set(ran["tissue"])
    tissues = [*([MEDIAN_OF_TISSUES] if has_median else []), *order, *rest]
    drawing = new_figure(PAGE_MM, len(tissues) * ROW_MM + 24)
    axes = drawing.subplots(1, len(panels), sharex=True, squeeze=False)[0]
    labels = marks.counted(tissues, table.groupby("tissue")["n_donors"].max())
    low = np.nanmin([0.0, *ran[["rho", "null_low", "ci_low", "rho_split"]].min()])
    for ax, (trait, definition) in zip(axes, panels, strict=True):
        mine = table[(table["trait"] == trait) & (table["definition"] == definition)]
        _draw_panel(ax, mine, tissues, models)
        marks.tissue_axis(ax, tissues, labels if ax is axes[0] else None, bands=False)
        ax.set_title(f"{trait}: {TITLES[definition]}" if len(panels) < 3 else trait)
        ax.set_xlim(max(low - 0.05, -1.02), 1.02)
    marks.rows_label(axes[0], "held-out donors", len(tissues))
    drawing.supxlabel(
        "Pearson's ρ over genes of predicted and observed association with the trait", fontsize=7
    )
    drawing.legend(handles=_legend(models), loc="outside upper left", ncols=4)
    return drawing


def _draw_panel(
    ax: Axes, rows: pd.DataFrame, tissues: Sequence[str], models: Sequence[str]
) -> None:
    """Draw one trait under one definition."""
    for model, offset in marks.dodge(models, 0.28).items():
        mine = rows[(rows["model"] == model) & (rows["status"] == RAN)]
        place = mine["tissue"].map(tissues.index).to_numpy(float)
        style = names.style(model)
        if model == models[0]:
            for at, low, high in zip(place, mine["null_low"], mine["null_high"], strict=True):
                marks.null_band(ax, at, low, high)
            ax.plot(mine["rho_split"], place, "|", color=INK, ms=5, mew=1.0, zorder=4)
            ax.plot(
                mine["rho_covariates"], place, "D", mfc="none", mec=INK, ms=3, mew=0.6, zorder=4
            )
        marks.interval_lines(ax, mine, place + offset, style["color"], lw=0.7, alpha=0.7)
        ax.plot(
            mine["rho"], place + offset, lw=0, ms=3.2, mec="white", mew=0.25, zorder=3, **style
        )
    skipped = rows[(rows["status"] != RAN) & (rows["model"] == models[0])]
    for name, reason in zip(skipped["tissue"], skipped["reason"].astype(str), strict=True):
        short = _short(reason)
        ax.text(
            0.01, tissues.index(name), short, fontsize=6, color=MUTED, va="center",
            transform=ax.get_yaxis_transform(),
        )  # fmt: skip
    ax.axvline(0, color=MUTED, lw=0.5, zorder=1)


def _short(reason: str) -> str:
    """Shorten a reason to what fits into a row."""
    return reason.split(", fewer than")[0].replace(" predictable", "").replace(" donors", "")


def _legend(models: Sequence[str]) -> list[Line2D | Patch]:
    """Explain the marks."""
    first = names.title(models[0])
    return [
        *marks.model_legend(models, lw=0.7),
        Line2D([], [], marker="D", lw=0, ms=3, mfc="none", mec=INK, mew=0.6,
               label=f"covariates alone, genes of {first}"),
        Line2D([], [], marker="|", lw=0, ms=5, color=INK, mew=1.0,
               label=f"{first}, disjoint donors"),
        marks.null_legend(f"{first}, trait permuted"),
    ]  # fmt: skip
