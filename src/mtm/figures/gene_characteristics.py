"""Best against worst predicted genes, tissue by tissue (He et al. 2023, Figs S10 and S11)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mtm.errors import InputError
from mtm.figures import marks, names
from mtm.figures.registry import figure
from mtm.figures.style import MUTED, PAGE_MM, new_figure
from mtm.vocabulary import MEAN_OF_TISSUES, MIN_GROUP, PAPER_SCALE

PANELS = {
    ("log2_z", "all_genes"): "a  All genes",
    ("log2_z", "predictable_genes"): "b  Predictable genes",
    ("tpm_z", "all_genes"): "c  All genes, paper's way",
}
KEY = ["scale", "reading"]
COLUMNS = [
    "model", *KEY, "tissue", "n_samples", "n_top", "n_bottom", "median_top", "median_bottom",
    "cliffs_delta", "ci_low", "ci_high", "p_as_paper", "q_as_paper", "p", "q",
]  # fmt: skip
SIGNIFICANT = 0.05
MAX_MODELS = 4
ROW_MM = 3.9
LEAST_MM = 80.0


def contrast_table(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``gene_characteristics/{characteristic}.tsv`` that are drawn.

    Returns
    -------
    pd.DataFrame
        `COLUMNS` and ``n_models`` (in the file) of the first `MAX_MODELS` models, tissues with
        `MIN_GROUP` genes in both groups.

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
    return table.loc[large, COLUMNS].assign(n_models=len(models)).reset_index(drop=True)


def _draw(table: pd.DataFrame, better: str) -> Figure:
    """Draw Cliff's delta of every tissue and model; `better` says what a positive one means."""
    models = names.ordered(table["model"])
    present = set(table[KEY].itertuples(index=False, name=None))
    panels = [panel for panel in PANELS if panel in present]
    single = table[table["tissue"] != MEAN_OF_TISSUES]
    order = single[(single[KEY] == panels[0]).all(axis=1)].groupby("tissue")["cliffs_delta"].mean()
    others = sorted(set(single["tissue"]) - set(order.index))
    tissues = [
        MEAN_OF_TISSUES, *order.sort_values(ascending=False, kind="stable").index, *others
    ]  # fmt: skip
    drawing = new_figure(PAGE_MM, max(len(tissues) * ROW_MM + 32, LEAST_MM))
    axes = drawing.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    labels = marks.counted(tissues, single.groupby("tissue")["n_samples"].max())
    limit = _limit(table)
    for ax, panel in zip(axes, panels, strict=True):
        rows = table[(table[KEY] == panel).all(axis=1)]
        marks.tissue_axis(ax, tissues, labels if ax is axes[0] else None)
        _draw_panel(ax, rows, models, tissues)
        ax.set_title(PANELS[panel])
        ax.set_xlim(-limit, limit)
    marks.rows_label(axes[0], "held-out samples", len(tissues))
    drawing.supxlabel(f"Cliff's δ of top against bottom genes (above 0: {better})", fontsize=7)
    handles = marks.model_legend(models, ms=3.4, mew=0.6, mec=None)
    drawing.legend(handles=handles, loc="outside upper left", ncols=2)
    drawing.legend(handles=_mark_legend(), loc="outside upper right")
    marks.note_first(
        drawing, len(models), table["n_models"].iloc[0], "models", "gene_characteristics/"
    )
    return drawing


def _limit(table: pd.DataFrame) -> float:
    """Half width of the axis: holds every estimate and every interval."""
    ends = table[["ci_low", "ci_high", "cliffs_delta"]].abs().to_numpy()
    return 1.05 * max(np.nanmax(ends, initial=0.0), 0.1)


def _draw_panel(
    ax: Axes, rows: pd.DataFrame, models: Sequence[str], tissues: Sequence[str]
) -> None:
    """Draw one reading."""
    ax.axvline(0, color=MUTED, lw=0.6, zorder=1)
    for model, offset in marks.dodge(models, 0.27).items():
        mine, style = rows[rows["model"] == model], names.style(model)
        y = mine["tissue"].map(tissues.index).to_numpy() + offset
        marks.interval_lines(ax, mine, y, style["color"])
        of_panel = "q_as_paper" if (mine["scale"] == PAPER_SCALE).all() else "q"
        # The mean over tissues is one test.
        q = mine[of_panel].where(mine["tissue"] != MEAN_OF_TISSUES, mine["p"])
        significant = (q < SIGNIFICANT).to_numpy()
        for chosen, face in ((significant, style["color"]), (~significant, "white")):
            ax.plot(
                mine["cliffs_delta"][chosen], y[chosen], lw=0, ms=2.7, marker=style["marker"],
                mfc=face, mec=style["color"], mew=0.6, zorder=3,
            )  # fmt: skip
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))


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
