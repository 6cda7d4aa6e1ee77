"""Latent codes of donors, and decoding paths to tissues (He et al. 2023, Fig S8)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from mtm.figures import names
from mtm.figures.marks import note_first
from mtm.figures.registry import figure
from mtm.figures.style import INK, MUTED, PAGE_MM, PALETTE, new_figure
from mtm.figures.tissue_similarity import (
    EXPRESSION_LABEL,
    HEADER_POINTS,
    relation_legend,
    scatter_pairs,
    with_statistics,
)
from mtm.vocabulary import NETWORKS, SAME_TISSUES, TRAINED

MAX_MODELS = 3
QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
CODES, PATHS = "codes", "decoding paths"
PAIRS_OF = {"within": "codes of one donor", "between": "codes of two donors, same tissues"}
BOX_COLORS = {"within": PALETTE[0], "between": "#BBBBBB"}
CODE_ROW_MM, PATH_ROW_MM = 6.5, 47.0


def fig_s8_table(
    donors: pd.DataFrame,
    codes: pd.DataFrame,
    pairs: pd.DataFrame,
    decoding: pd.DataFrame,
) -> pd.DataFrame:
    """Reduce the tables of codes and decoding paths to what Fig S8 draws.

    Parameters
    ----------
    donors, codes
        ``representations/codes.tsv`` and ``codes_summary.tsv``.
    pairs, decoding
        ``representations/decoding.tsv`` and ``decoding_summary.tsv``.

    Returns
    -------
    pd.DataFrame
        Of the first `MAX_MODELS` models. Panel "codes": ``model``, ``network``, ``pairs``
        ("within", "between"), `QUANTILES` over donors of their mean similarity, ``n_donors``, and
        ``auc``, ``auc_low``, ``auc_high``, ``p`` of the matched comparison. Panel "decoding
        paths": columns of `pairs` and of `mtm.figures.tissue_similarity.with_statistics`.
        Column ``n_models`` counts all there were.
    """
    models = list(dict.fromkeys(codes["model"]))
    matched = codes[codes["comparison"] == SAME_TISSUES].set_index(["model", "network"])
    rows = []
    for (model, network), part in donors.groupby(["model", "network"], sort=False):
        of_network = matched.loc[(model, network)]
        statistics = of_network[["n_donors", "auc", "auc_low", "auc_high", "p"]].to_dict()
        for which in PAIRS_OF:
            values = part[f"mean_{which}"].quantile(list(QUANTILES.values())).to_numpy()
            quantiles = dict(zip(QUANTILES, values, strict=True))
            key = {"panel": CODES, "model": model, "network": network, "pairs": which}
            rows.append(key | quantiles | statistics)
    paths = with_statistics(pairs, decoding, ["model", "layer"]).assign(panel=PATHS)
    table = pd.concat([pd.DataFrame(rows), paths], ignore_index=True)
    table = table[table["model"].isin(models[:MAX_MODELS])]
    return table.assign(n_models=len(models)).reset_index(drop=True)


@figure("fig_s8", reduce=fig_s8_table)
def fig_s8(table: pd.DataFrame) -> Figure:
    """Similarity of codes within and between donors, and of decoding paths to two tissues.

    Above, a row a model and encoder: donors' mean similarity of codes (a), and how often a
    donor's own code is nearer than another donor's of the same tissue (b). Below, a row a model
    and a column a layer of its generator: one dot a pair of tissues (c).

    Parameters
    ----------
    table
        From `fig_s8_table`.
    """
    codes, paths = table[table["panel"] == CODES], table[table["panel"] == PATHS]
    models = names.ordered(codes["model"])
    rows = [
        (model, network)
        for model in models
        for network in NETWORKS
        if ((codes["model"] == model) & (codes["network"] == network)).any()
    ]
    heights = [len(rows) * CODE_ROW_MM + 18, len(models) * PATH_ROW_MM + 14]
    drawing = new_figure(PAGE_MM, sum(heights))
    above, below = drawing.subfigures(2, 1, height_ratios=heights)
    _draw_codes(above, codes, rows)
    _draw_paths(below, paths, models)
    total = int(table["n_models"].iloc[0])
    note_first(below, len(models), total, "models", "representations/")
    return drawing


def _draw_codes(drawing: SubFigure, codes: pd.DataFrame, rows: list[tuple[str, str]]) -> None:
    """Draw panels a and b."""
    left, right = drawing.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    for place, (model, network) in enumerate(rows):
        mine = codes[(codes["model"] == model) & (codes["network"] == network)]
        for offset, (which, color) in zip((-0.18, 0.18), BOX_COLORS.items(), strict=True):
            _box(left, place + offset, mine[mine["pairs"] == which].iloc[0], color)
        first = mine.iloc[0]
        right.plot([first["auc_low"], first["auc_high"]], [place, place], color=INK, lw=1.2)
        face = PALETTE[0] if network == TRAINED else "white"
        right.plot(first["auc"], place, "o", ms=4, mfc=face, mec=INK, mew=0.6)
    for edge in range(1, len(rows)):
        if rows[edge][0] != rows[edge - 1][0]:
            for ax in (left, right):
                ax.axhline(edge - 0.5, color=MUTED, lw=0.4)
    labels = [f"{names.title(model)}, {network}" for model, network in rows]
    left.set_yticks(range(len(rows)), labels)
    left.set_ylim(len(rows) - 0.5, -0.5)
    left.set_xlabel("Mean similarity of a donor's codes (Pearson's ρ)")
    left.set_title("a  Similarity of codes, by donor")
    right.axvline(0.5, color=MUTED, lw=0.6, ls="--")
    low, high = np.nanmin(codes[["auc_low", "auc"]]), np.nanmax(codes[["auc_high", "auc"]])
    right.set_xlim(min(0.48, low - 0.02), min(1.01, max(0.6, high + 0.02)))
    right.set_xlabel("Share of comparisons won by the own code")
    right.set_title("b  Own against another donor's code")
    for ax in (left, right):
        ax.grid(axis="x")
        ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    boxes = [Patch(color=BOX_COLORS[which], label=text) for which, text in PAIRS_OF.items()]
    dots = [
        Line2D([], [], lw=0, marker="o", ms=4, mfc=face, mec=INK, mew=0.6, label=label)
        for face, label in ((PALETTE[0], "trained encoder"), ("white", "no training"))
    ]
    drawing.legend(handles=[*boxes, *dots], loc="outside upper center", ncols=4)


def _box(ax: Axes, place: float, row: pd.Series, color: str) -> None:
    """Draw the middle half of the donors as a box, nine tenths as a line, the median in it."""
    ax.plot([row["q05"], row["q95"]], [place, place], color=INK, lw=0.6, zorder=2)
    ax.barh(
        place,
        row["q75"] - row["q25"],
        0.28,
        left=row["q25"],
        color=color,
        ec=INK,
        lw=0.4,
        zorder=3,
    )
    ax.plot([row["q50"]] * 2, [place - 0.14, place + 0.14], color=INK, lw=1.0, zorder=4)


def _draw_paths(drawing: SubFigure, paths: pd.DataFrame, models: list[str]) -> None:
    """Draw panels c."""
    n_layers = int(paths["layer"].max())
    axes = drawing.subplots(len(models), n_layers, sharex=True, squeeze=False)
    for of_model, model in zip(axes, models, strict=True):
        mine = paths[paths["model"] == model]
        for layer, ax in enumerate(of_model, start=1):
            rows = mine[mine["layer"] == layer]
            if rows.empty:
                ax.set_axis_off()
                continue
            width = f"{int(rows['width'].iloc[0]):,}"
            title = f"Layer {layer}, {width} units"
            if rows["kind"].iloc[0] == "output":
                title = f"Output, {width} genes"
            scatter_pairs(ax, rows, "path_similarity", title)
        of_model[0].set_ylabel(f"{names.title(model)}\nPath similarity (ρ)")
    axes[0, 0].annotate(
        "c",
        (0, 1),
        (-26, HEADER_POINTS),
        xycoords="axes fraction",
        textcoords="offset points",
        weight="bold",
        in_layout=False,
    )
    for column in axes.T:
        [ax for ax in column if ax.axison][-1].set_xlabel(EXPRESSION_LABEL)
    drawing.legend(handles=relation_legend(paths), loc="outside lower center", ncols=3)
