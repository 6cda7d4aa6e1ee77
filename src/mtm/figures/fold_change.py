"""Fold change of predictable genes against sample size (He et al. 2023, Fig 2d and 2e)."""

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from mtm.figures import marks, names
from mtm.figures.comparison import first_pairs, note_pairs, pairs_of
from mtm.figures.registry import figure
from mtm.figures.style import INK, MUTED, PAGE_MM, new_figure
from mtm.vocabulary import PAIR

# As many as stand beside a panel.
LABEL_LETTERS = 36


def fig2de_table(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``comparison/fold_changes.tsv`` of the first pairs; excluded tissues stay rows."""
    return first_pairs(table)


@figure("fig2de", reduce=fig2de_table)
def fig2de(table: pd.DataFrame) -> Figure:
    """Fold change of the number of predictable genes, A over B, one dot a tissue.

    A tissue where A has no gene is a triangle on the lower edge. Where B has none there is no
    fold change, and the panel says in how many tissues.

    Parameters
    ----------
    table
        From `fig2de_table`.
    """
    pairs = pairs_of(table)
    definitions = [name for name in marks.DEFINITION_TITLES if name in set(table["definition"])]
    width = PAGE_MM if len(pairs) > 1 else 110.0
    drawing = new_figure(width, len(definitions) * 55 + 12)
    axes = drawing.subplots(len(definitions), len(pairs), sharex=True, sharey="row", squeeze=False)
    axes[0, 0].set_xlim(0, 1.05 * table["n_samples"].max())
    for row, definition in enumerate(definitions):
        of_definition = table[table["definition"] == definition]
        limits = _limits(of_definition["fold_change"])
        for ax, pair in zip(axes[row], pairs, strict=True):
            mine = of_definition[(of_definition[PAIR] == pair).all(axis=1)]
            _draw_pair(ax, mine, limits)
            ax.set_ylabel(fill(" / ".join(map(names.title, pair)), LABEL_LETTERS))
        axes[row, 0].set_title(marks.DEFINITION_TITLES[definition])
    for ax in axes[-1]:
        ax.set_xlabel("Samples of the tissue")
    drawing.supylabel("Fold change of the number of predictable genes", fontsize=7)
    if ((table["n_a"] == 0) & ~table["excluded"].astype(bool)).any():
        zero = Line2D(
            [], [], lw=0, marker="v", ms=3.5, mfc="white", mec=INK, mew=0.6,
            label="no gene of the first model: fold change 0",
        )  # fmt: skip
        drawing.legend(handles=[zero], loc="outside upper left")
    note_pairs(drawing, table, "comparison/fold_changes.tsv")
    return drawing


def _limits(changes: pd.Series) -> tuple[float, float]:
    """Limits of the logarithmic axis that hold every positive fold change, and 1."""
    positive = changes[changes > 0]
    low, high = min([0.8, *positive]), max([1.25, *positive])
    margin = (high / low) ** 0.08
    # Three lines of text stand above the dots.
    return low / margin, high * margin**5


def _draw_pair(ax: Axes, rows: pd.DataFrame, limits: tuple[float, float]) -> None:
    """Draw one pair under one definition."""
    ax.axhline(1, color=MUTED, lw=0.6, zorder=1)
    for marker, part in (
        ("o", rows[rows["fold_change"] > 0]),
        ("v", rows[rows["fold_change"] == 0].assign(fold_change=limits[0])),
    ):
        ax.scatter(
            part["n_samples"],
            part["fold_change"],
            s=marks.DOT_AREA,
            c=marks.DOT_COLOR,
            marker=marker,
            edgecolors=INK,
            linewidths=0.25,
            clip_on=False,
            zorder=3,
        )
    ax.set_yscale("log")
    ax.set_ylim(*limits)
    decades = np.log10(limits[1] / limits[0])
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2.5 else (1,)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    ax.tick_params(labelleft=True, labelbottom=True)
    ax.grid()
    named = rows[rows["fold_change"] > 0]
    far = np.abs(np.log(named["fold_change"].to_numpy(float)))
    marks.name_dots(ax, named["n_samples"], named["fold_change"], list(named["tissue"]), far)
    ax.text(0.97, 0.97, _statement(rows), transform=ax.transAxes, ha="right", va="top", fontsize=6)


def _statement(rows: pd.DataFrame) -> str:
    """State what the panel says: Spearman's rho, its P, tissues in and out."""
    whole = rows.iloc[0]
    lines = [f"{whole['n_tissues']} tissues"]
    if np.isfinite(whole["spearman_rho"]):
        p = whole["p_as_paper"]
        p = f"{p:.1e}".replace("e-0", "e-") if p < 1e-3 else f"{p:.2g}"
        lines.insert(0, marks.minus(f"Spearman {whole['spearman_rho']:.2f}, P {p}"))
    if whole["n_excluded"]:
        lines.append(f"{whole['n_excluded']} without fold change")
    return "\n".join(lines)
