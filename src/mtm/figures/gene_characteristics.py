"""Best against worst predicted genes, tissue by tissue (He et al. 2023, Figs S10 and S11)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import offset_copy

from mtm.errors import InputError
from mtm.figures.registry import figure
from mtm.figures.style import INK, MUTED, PAGE_MM, model_styles, new_figure, tissue_colors
from mtm.vocabulary import MEAN_OF_TISSUES, MIN_GROUP, PAPER_SCALE

PANELS = {
    ("log2_z", "all_genes"): "a  All genes",
    ("log2_z", "predictable_genes"): "b  Predictable genes",
    ("tpm_z", "all_genes"): "c  All genes, paper's way",
}
KEY = ["scale", "reading"]
COLUMNS = [
    "model", *KEY, "tissue", "n_samples", "n_top", "n_bottom", "median_top", "median_bottom",
    "cliffs_delta", "ci_low", "ci_high", "p_rank_sum", "q_rank_sum", "p", "q",
]  # fmt: skip
SIGNIFICANT = 0.05
MAX_MODELS = 4
ROW_MM = 3.9
LEAST_MM = 80.0
BAND = "#F6F6F6"
SWATCH_POINTS = 5.0


def contrast_table(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``gene_characteristics/{characteristic}.tsv`` that are drawn.

    Returns
    -------
    pd.DataFrame
        `COLUMNS` and ``n_models`` (in the file) of the first `MAX_MODELS` models, tissues with
        `MIN_GROUP` genes in both groups; where there is none, all with a contrast.

    Raises
    ------
    InputError
        A column is missing.
    """
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise InputError(
            "contrasts of genes", f"columns {list(table)}", f"a column named {missing[0]}"
        )
    models = list(dict.fromkeys(table["model"]))
    panels = pd.MultiIndex.from_frame(table[KEY]).isin(list(PANELS))
    known = panels & table["model"].isin(models[:MAX_MODELS]) & table["cliffs_delta"].notna()
    large = known & (table[["n_top", "n_bottom"]].min(axis=1) >= MIN_GROUP)
    kept = large if large.any() else known
    return table.loc[kept, COLUMNS].assign(n_models=len(models)).reset_index(drop=True)


def _draw(table: pd.DataFrame, better: str) -> Figure:
    """Draw Cliff's delta of every tissue and model; `better` says what a positive one means."""
    models = list(dict.fromkeys(table["model"]))
    present = set(table[KEY].itertuples(index=False, name=None))
    panels = [panel for panel in PANELS if panel in present]
    single = table[table["tissue"] != MEAN_OF_TISSUES]
    order = single[(single[KEY] == panels[0]).all(axis=1)].groupby("tissue")["cliffs_delta"].mean()
    others = sorted(set(single["tissue"]) - set(order.index))
    tissues = [*order.sort_values(ascending=False, kind="stable").index, *others]
    drawing = new_figure(PAGE_MM, max((len(tissues) + 1) * ROW_MM + 32, LEAST_MM))
    axes = drawing.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    limit = _limit(table)
    for ax, panel in zip(axes, panels, strict=True):
        rows = table[(table[KEY] == panel).all(axis=1)]
        _draw_panel(ax, rows, models, tissues)
        ax.set_title(PANELS[panel])
        ax.set_xlim(-limit, limit)
    _name_tissues(axes[0], tissues, single.groupby("tissue")["n_samples"].max())
    drawing.supxlabel(f"Cliff's δ of top against bottom genes (above 0: {better})", fontsize=7)
    drawing.legend(handles=_model_legend(models), loc="outside upper left", ncols=2)
    drawing.legend(handles=_mark_legend(), loc="outside upper right")
    if table["n_models"].iloc[0] > len(models):
        note = f"The first {len(models)} of {table['n_models'].iloc[0]} models."
        drawing.suptitle(note, fontsize=6, color=MUTED, x=0.99, ha="right")
    return drawing


def _limit(table: pd.DataFrame) -> float:
    """Half width of the axis: holds every estimate, and intervals as far as they are of use."""
    ends = table[["ci_low", "ci_high"]].abs().to_numpy()
    wide = np.nanquantile(ends, 0.95) if np.isfinite(ends).any() else 0
    return min(1.0, 1.08 * max(table["cliffs_delta"].abs().max(), wide, 0.1))


def _draw_panel(
    ax: Axes, rows: pd.DataFrame, models: Sequence[str], tissues: Sequence[str]
) -> None:
    """Draw one reading: a row a tissue, the mean over tissues first."""
    places = {MEAN_OF_TISSUES: 0} | {name: index for index, name in enumerate(tissues, 1)}
    for place in range(1, len(places), 2):
        ax.axhspan(place - 0.5, place + 0.5, color=BAND, lw=0, zorder=0)
    ax.axhline(0.5, color=INK, lw=0.5)
    ax.axvline(0, color=MUTED, lw=0.6, zorder=1)
    dodge = np.linspace(-0.27, 0.27, len(models)) if len(models) > 1 else [0.0]
    styles = model_styles(models)
    for model, offset in zip(models, dodge, strict=True):
        mine = rows[rows["model"] == model]
        y = mine["tissue"].map(places).to_numpy() + offset
        style = styles[model]
        ax.hlines(y, mine["ci_low"], mine["ci_high"], color=style["color"], lw=0.6, alpha=0.55)
        of_panel = "q_rank_sum" if (mine["scale"] == PAPER_SCALE).all() else "q"
        # The mean over tissues is one test.
        q = mine[of_panel].where(mine["tissue"] != MEAN_OF_TISSUES, mine["p"])
        significant = (q < SIGNIFICANT).to_numpy()
        for chosen, face in ((significant, style["color"]), (~significant, "white")):
            ax.plot(
                mine["cliffs_delta"][chosen], y[chosen], lw=0, ms=2.7, marker=style["marker"],
                mfc=face, mec=style["color"], mew=0.6, zorder=3,
            )  # fmt: skip
    ax.set_ylim(len(places) - 0.5, -0.5)
    ax.set_yticks(range(len(places)))
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    ax.grid(axis="x")


def _name_tissues(ax: Axes, tissues: Sequence[str], n_samples: pd.Series) -> None:
    """Name the rows, with the colour of each tissue and its number of samples."""
    ax.set_yticklabels(["Mean of tissues", *(f"{name}  {n_samples[name]}" for name in tissues)])
    ax.tick_params(axis="y", pad=2 * SWATCH_POINTS)
    ax.set_ylabel("Tissue and its number of held-out samples")
    colors = tissue_colors(tissues)
    beside = offset_copy(ax.get_yaxis_transform(), ax.figure, x=-SWATCH_POINTS, units="points")
    for place, name in enumerate(tissues, start=1):
        ax.plot(
            0, place, "s", ms=3.8, color=colors[name], mec=INK, mew=0.25,
            transform=beside, clip_on=False,
        )  # fmt: skip


def _model_legend(models: Sequence[str]) -> list[Line2D]:
    """One entry a model."""
    return [
        Line2D([], [], lw=0, ms=3.4, mew=0.6, mec=style["color"], label=name, **style)
        for name, style in model_styles(models).items()
    ]


def _mark_legend() -> list[Line2D]:
    """Explain the marks."""
    style = {"marker": "o", "ms": 3.4, "mec": MUTED, "mew": 0.7, "color": MUTED}
    filled = "q < 0.05; a, b: over genes and donors, c: rank-sum test"
    return [
        Line2D([], [], mfc=MUTED, lw=0, label=filled, **style),
        Line2D(
            [], [], mfc="white", lw=0.8, label="not; 95% interval over genes and donors", **style
        ),
    ]


@figure("fig_s10", reduce=contrast_table)
def fig_s10(table: pd.DataFrame) -> Figure:
    """Mean TPM of the best against the worst predicted genes (He et al. 2023, Fig S10).

    Parameters
    ----------
    table
        From `contrast_table`, of ``gene_characteristics/expression_level.tsv``.
    """
    return _draw(table, "well predicted genes are expressed more highly")


@figure("fig_s11", reduce=contrast_table)
def fig_s11(table: pd.DataFrame) -> Figure:
    """PhastCons of the best against the worst predicted genes (He et al. 2023, Fig S11).

    Parameters
    ----------
    table
        From `contrast_table`, of ``gene_characteristics/conservation.tsv``.
    """
    return _draw(table, "well predicted genes are more conserved")


@figure("fig_s8_connectivity", reduce=contrast_table)
def fig_s8_connectivity(table: pd.DataFrame) -> Figure:
    """Partners of the best against the worst predicted genes (He et al. 2023, section 3).

    Parameters
    ----------
    table
        From `contrast_table`, of ``gene_characteristics/connectivity.tsv``.
    """
    return _draw(table, "well predicted genes have more partners in the protein network")
