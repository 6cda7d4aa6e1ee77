"""Similarity of tissues in expression and in predictability (He et al. 2023, Fig S9)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mtm.figures import names
from mtm.figures.marks import minus, note_first
from mtm.figures.registry import figure
from mtm.figures.style import INK, PAGE_MM, PALETTE, new_figure
from mtm.vocabulary import ALL_TISSUES, HEADLINE, OUTSIDE_BRAIN, PAPER, RELATIONS

MAX_MODELS = 4
# The headline, the paper's scale, and the variant by sets of genes.
ROWS = {
    ("pearson", HEADLINE.scale): f"Correlation of genes' ρ\n{HEADLINE.title}",
    ("pearson", PAPER.scale): f"Correlation of genes' ρ\n{PAPER.title}",
    ("jaccard", HEADLINE.scale): "Jaccard index of predictable\ngenes, log2(1+TPM)",
}
EXPRESSION_LABEL = "Similarity in expression\n(Pearson's ρ)"
HEADER_POINTS = 27.7
STATISTICS = ["spearman_rho", "ci_low", "ci_high", "p", "null_low", "null_high"]
# Most pairs first, so that the few lie on top.
RELATION_STYLES = {
    RELATIONS[2]: {"marker": "o", "s": 3.0, "c": "#A8A8A8"},
    RELATIONS[0]: {"marker": "D", "s": 5.0, "c": PALETTE[3]},
    RELATIONS[1]: {"marker": "^", "s": 7.0, "c": PALETTE[0]},
}


def with_statistics(pairs: pd.DataFrame, summary: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Put the statistics of each panel beside its pairs of tissues.

    Returns
    -------
    pd.DataFrame
        `pairs` with `STATISTICS` over all tissues, and the same ending in ``_outside_brain``
        (empty in a cohort without two regions of the brain).
    """
    for subset, suffix in ((ALL_TISSUES, ""), (OUTSIDE_BRAIN, "_outside_brain")):
        rows = summary[summary["subset"] == subset].set_index(key)[STATISTICS]
        pairs = pairs.join(rows.add_suffix(suffix), on=key)
    return pairs


def fig_s9_table(pairs: pd.DataFrame, summary: pd.DataFrame) -> pd.DataFrame:
    """Pairs of tissues that Fig S9 draws, of the first `MAX_MODELS` models.

    Parameters
    ----------
    pairs, summary
        ``representations/tissue_similarity.tsv`` and ``tissue_similarity_summary.tsv``.

    Returns
    -------
    pd.DataFrame
        Columns of `pairs`, those of `with_statistics`, and ``n_models`` in all.
    """
    models = list(dict.fromkeys(pairs["model"]))
    drawn = pd.MultiIndex.from_frame(pairs[["measure", "scale"]]).isin(list(ROWS))
    drawn &= pairs["model"].isin(models[:MAX_MODELS])
    table = with_statistics(pairs[drawn], summary, ["model", "measure", "scale", "of"])
    return table.assign(n_models=len(models)).reset_index(drop=True)


def number(value: float) -> str:
    """Two decimals, with a minus sign, none before zero."""
    return minus(f"{round(value, 2) + 0.0:.2f}")


def statement(rows: pd.DataFrame) -> str:
    """State Spearman's rho of a panel with its interval, P and null, and rho outside the brain."""
    first = rows.iloc[0]
    if not np.isfinite(first["spearman_rho"]):
        return "no similarity to compare\n\n"
    lines = []
    for label, suffix in (("ρ", ""), ("no brain", "_outside_brain")):
        value, low, high, p, *null = (first[name + suffix] for name in STATISTICS)
        if np.isfinite(value):
            lines.append(f"{label} {number(value)}")
            if np.isfinite(low):
                lines[-1] += f" ({number(low)} to {number(high)})"
            if not suffix:
                lines[-1] += f", P {p:.1g}"
                lines.append(f"null {number(null[0])} to {number(null[1])}")
    return "\n".join([*lines, ""][:3])


def scatter_pairs(ax: Axes, rows: pd.DataFrame, y: str, header: str = "") -> None:
    """Draw one dot a pair of tissues, `y` against similarity in expression.

    Above stand the statement of the panel and `header`.
    """
    for relation, style in RELATION_STYLES.items():
        part = rows[(rows["relation"] == relation) & rows[y].notna()]
        ax.scatter(
            part["expression_similarity"],
            part[y],
            edgecolors="none" if relation == RELATIONS[2] else INK,
            linewidths=0.2,
            rasterized=True,
            **style,
        )
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    ax.grid()
    ax.tick_params(labelleft=True, labelbottom=True)
    # A title takes room above its axes but, unlike other text, none beside them.
    above = "\n" if header else ""
    ax.set_title(above + statement(rows), fontsize=6, weight="normal", linespacing=1.2)
    if header:
        ax.annotate(
            header, (0, 1), (0, HEADER_POINTS), xycoords="axes fraction", weight="bold",
            textcoords="offset points", in_layout=False,
        )  # fmt: skip


def relation_legend(rows: pd.DataFrame) -> list[Line2D]:
    """Legend of the relations between tissues that `rows` have."""
    present = [name for name in RELATION_STYLES if name in set(rows["relation"])]
    return [
        Line2D(
            [],
            [],
            lw=0,
            marker=RELATION_STYLES[name]["marker"],
            color=RELATION_STYLES[name]["c"],
            mec=INK if name != RELATIONS[2] else "none",
            mew=0.2,
            ms=3,
            label=f"pair of tissues {name}",
        )
        for name in present
    ]


@figure("fig_s9", reduce=fig_s9_table)
def fig_s9(table: pd.DataFrame) -> Figure:
    """Similarity in predictability against similarity in expression, one dot a pair of tissues.

    Columns are models, rows are measures of predictability; each panel states Spearman's rho, its
    95% interval and Mantel's P.

    Parameters
    ----------
    table
        From `fig_s9_table`.
    """
    models = names.ordered(table["model"])
    present = set(table[["measure", "scale"]].itertuples(index=False, name=None))
    measures = [key for key in ROWS if key in present]
    wide = len(models) > 2
    width = PAGE_MM if wide else 45.0 * len(models) + 55
    drawing = new_figure(width, 48 * len(measures) + (20 if wide else 28))
    axes = drawing.subplots(len(measures), len(models), sharex=True, sharey="row", squeeze=False)
    for place, (of_measure, (measure, scale)) in enumerate(zip(axes, measures, strict=True)):
        rows = table[(table["measure"] == measure) & (table["scale"] == scale)]
        for ax, model in zip(of_measure, models, strict=True):
            header = "" if place else names.title(model)
            scatter_pairs(ax, rows[rows["model"] == model], "predictability_similarity", header)
        of_measure[0].set_ylabel(ROWS[measure, scale])
    for ax in axes[-1]:
        ax.set_xlabel(EXPRESSION_LABEL)
    total = int(table["n_models"].iloc[0])
    note_first(drawing, len(models), total, "models", "tissue_similarity.tsv")
    drawing.legend(
        handles=relation_legend(table), loc="outside lower center", ncols=3 if wide else 1
    )
    return drawing
