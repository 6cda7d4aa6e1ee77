"""Overlap of models' predictable genes: Venn diagram (Fig 2c), all tissues (Fig S7)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch

from mtm.errors import InputError
from mtm.figures import names
from mtm.figures.comparison import pairs_of
from mtm.figures.marks import DEFINITION_TITLES, DOT_COLOR, swarm
from mtm.figures.registry import figure
from mtm.figures.style import INK, MUTED, PAGE_HEIGHT_MM, PAGE_MM, new_figure
from mtm.vocabulary import AND, PAIR, VENN_SETS

# Centres of circles of radius 1, and where the name of each stands (angle, degrees).
CENTRES = {
    2: [(-0.55, 0.0), (0.55, 0.0)],
    3: [(-0.58, 0.34), (0.58, 0.34), (0.0, -0.66)],
}
NAME_PLACES = {
    2: [(-0.75, 1.25), (0.75, 1.25)],
    3: [(-0.85, 1.56), (0.85, 1.56), (0.0, -1.9)],
}
# A region's number is drawn this far from the middle, in the mean direction of its circles.
REACH = {2: {1: 1.55, 2: 0.0}, 3: {1: 1.62, 2: 1.62, 3: 0.0}}
LARGEST_NUMBER, SMALLEST_NUMBER = 8.0, 6.0

ROW_MM = 6.2
PANEL_WIDTH_MM = 62.0
# Percent, with room for names at both ends.
SHARE_LIMITS = (-20, 120)


def fig2c_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return ``comparison/venn.tsv`` as it is.

    Raises
    ------
    InputError
        It has not all regions of two or three models.
    """
    for definition, part in table.groupby("definition"):
        singles = _models(part)
        if len(singles) not in VENN_SETS or len(part) != 2 ** len(singles) - 1:
            raise InputError(
                "comparison/venn.tsv",
                f"{len(part)} regions of {len(singles)} models ({definition})",
                "all regions of two or three models",
            )
    return table


def _models(table: pd.DataFrame) -> list[str]:
    """Models of a Venn table, in its order."""
    return [region for region in dict.fromkeys(table["region"]) if AND not in region]


@figure("fig2c", reduce=fig2c_table)
def fig2c(table: pd.DataFrame) -> Figure:
    """Predictable genes of two or three models in one tissue; circles are not to scale.

    Parameters
    ----------
    table
        From `fig2c_table`.
    """
    definitions = [name for name in DEFINITION_TITLES if name in set(table["definition"])]
    tissue, n_samples = table["tissue"].iloc[0], int(table["n_samples"].iloc[0])
    drawing = new_figure(PAGE_MM if len(definitions) > 1 else 90.0, 88)
    axes = drawing.subplots(1, len(definitions), squeeze=False)[0]
    for ax, definition in zip(axes, definitions, strict=True):
        _draw_venn(ax, table[table["definition"] == definition])
        ax.set_title(DEFINITION_TITLES[definition])
    drawing.suptitle(
        f"Predictable genes, {tissue}, {n_samples} donors", fontsize=7, x=0.01, ha="left"
    )
    return drawing


def _draw_venn(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw circles with the number of genes of every region."""
    models = _models(rows)
    centres = np.array(CENTRES[len(models)])
    counts = rows.set_index("region")["n_genes"]
    for place, (model, centre) in enumerate(zip(models, centres, strict=True)):
        color = names.style(model)["color"]
        ax.add_patch(Circle(centre, 1, facecolor=color, alpha=0.22, lw=0))
        ax.add_patch(Circle(centre, 1, facecolor="none", edgecolor=color, lw=1.0))
        inside = [region for region in counts.index if model in region.split(AND)]
        x, y = NAME_PLACES[len(models)][place]
        ax.text(
            x, y, f"{names.title(model)}\n{counts[inside].sum():,}",
            ha="center", va="center", color=INK, fontsize=7, weight="bold", linespacing=1.3,
        )  # fmt: skip
    for region, count in counts.items():
        members = [models.index(name) for name in region.split(AND)]
        middle = centres[members].mean(0)
        x, y = middle * REACH[len(models)][len(members)]
        text = f"{count:,}"
        size = LARGEST_NUMBER if len(text) < 6 else 7.0
        ax.text(x, y, text, ha="center", va="center", fontsize=size)
    ax.set_xlim(-2, 2)
    ax.set_ylim(-2.1, 1.8)
    ax.set_aspect("equal")
    ax.set_axis_off()


def fig_s7_table(table: pd.DataFrame) -> pd.DataFrame:
    """Shares of ``comparison/overlaps.tsv`` that Fig S7 draws, both ways.

    Returns
    -------
    pd.DataFrame
        ``definition``, ``tissue``, ``of`` and ``found_by`` (models), ``n_of`` genes of the
        former, ``share`` of them that the latter predicts too (empty where there are none),
        ``chance`` (the share of all genes that the latter predicts), and over tissues
        ``median_share``, ``median_chance``, ``n_tissues`` with genes and ``n_without``.
    """
    parts = []
    for pair in pairs_of(table):
        rows = table[(table[PAIR] == pair).all(axis=1)]
        for of, by, count, share, found in (
            ("model_b", "model_a", "n_b", "share_of_b_in_a", "n_a"),
            ("model_a", "model_b", "n_a", "share_of_a_in_b", "n_b"),
        ):
            names = {of: "of", by: "found_by", count: "n_of", share: "share"}
            part = rows[["definition", "tissue", *names]].rename(columns=names)
            parts.append(part.assign(chance=rows[found] / rows["n_genes"]))
    long = pd.concat(parts, ignore_index=True).drop_duplicates(
        ["definition", "tissue", "of", "found_by"]
    )
    groups = long.groupby(["definition", "of", "found_by"])["share"]
    long["median_share"] = groups.transform("median")
    known = long["chance"].where(long["share"].notna())
    by = [long["definition"], long["of"], long["found_by"]]
    long["median_chance"] = known.groupby(by).transform("median")
    long["n_tissues"] = groups.transform("count")
    long["n_without"] = groups.transform("size") - long["n_tissues"]
    return long.reset_index(drop=True)


@figure("fig_s7", reduce=fig_s7_table)
def fig_s7(table: pd.DataFrame) -> Figure:
    """Share of one model's predictable genes that another predicts too (Fig S7).

    Bars are medians over tissues, dots single tissues; the number of tissues stands at the right.

    Parameters
    ----------
    table
        From `fig_s7_table`.
    """
    definitions = [name for name in DEFINITION_TITLES if name in set(table["definition"])]
    directions = list(
        table[["of", "found_by"]].drop_duplicates().itertuples(index=False, name=None)
    )
    fixed = 28
    row_mm = min(ROW_MM, (PAGE_HEIGHT_MM - fixed) / len(directions))
    drawing = new_figure(PAGE_MM, len(directions) * row_mm + fixed)
    axes = drawing.subplots(1, len(definitions), sharex=True, sharey=True, squeeze=False)[0]
    for ax, definition in zip(axes, definitions, strict=True):
        rows = table[table["definition"] == definition]
        _draw_shares(ax, rows, directions, row_mm)
        # Names of models may leave little room for it.
        ax.set_title(DEFINITION_TITLES[definition].replace(": ", ":\n").replace(", as", ",\nas"))
    axes[0].set_yticks(
        range(len(directions)),
        [f"of {names.title(of)}, found by {names.title(by)}" for of, by in directions],
    )
    for ax in axes:
        ax.set_xlabel("Share of predictable genes (%)")
    handles = [
        Patch(color="#C9D6E2", lw=0, label="median of tissues"),
        Line2D([], [], lw=0, marker="o", ms=3.3, mfc=DOT_COLOR, mec=INK, mew=0.4,
               label="one tissue, the first and last named"),
        Line2D([], [], color=INK, lw=1, ls=":",
               label="share of all genes that the second predicts"),
    ]  # fmt: skip
    drawing.legend(handles=handles, loc="outside upper left", ncols=3)
    return drawing


def _draw_shares(
    ax: Axes,
    rows: pd.DataFrame,
    directions: Sequence[tuple[str, str]],
    row_mm: float,
) -> None:
    """Draw one definition: a row a direction."""
    for place, (of, by) in enumerate(directions):
        mine = rows[(rows["of"] == of) & (rows["found_by"] == by)].dropna(subset=["share"])
        if mine.empty:
            ax.text(1, place, "no tissue with such genes", va="center", fontsize=6)
            continue
        x = 100 * mine["share"].to_numpy()
        ax.barh(place, 100 * mine["median_share"].iloc[0], height=0.8, color="#C9D6E2")
        swarm(ax, x, mine["tissue"].tolist(), place, PANEL_WIDTH_MM / np.ptp(SHARE_LIMITS), row_mm)
        chance = 100 * mine["median_chance"].iloc[0]
        ax.plot([chance, chance], [place - 0.4, place + 0.4], color=INK, lw=1, ls=":", zorder=2)
        count = mine["n_tissues"].iloc[0]
        ax.text(1.05, place, str(count), transform=ax.get_yaxis_transform(), va="center",
                fontsize=6)  # fmt: skip
    for place in np.arange(2, len(directions), 2):
        ax.axhline(place - 0.5, color="#E5E5E5", lw=0.5, zorder=0)
    ax.text(1.05, 1, "tissues", transform=ax.transAxes, va="bottom", fontsize=6, ha="center")
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(directions) - 0.5, -0.5)
    ax.set_xlim(*SHARE_LIMITS)
    ax.axvline(0, color=MUTED, lw=0.5)
    ax.set_xticks(range(0, 101, 20))
    ax.grid(axis="x")
