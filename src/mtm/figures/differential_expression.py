"""Differential expression in predictions and observations (He et al. 2023, Fig 3a and 3b)."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mtm.figures import marks, names
from mtm.figures.registry import figure
from mtm.figures.style import GRID, INK, MUTED, PAGE_HEIGHT_MM, PAGE_MM, new_figure
from mtm.vocabulary import DIRECTIONS, HEADLINE, RAN, SELECTIONS

MAX_MODELS = 3
# More contrasts do not fit; those with the fewest dysregulated tissues are left out, and counted.
MAX_CONTRASTS = 12
# So many leave room for a second line below each column, with cases and controls.
FEW_CONTRASTS = 6
TOO_FEW_COLOR = "#E4E4E4"
SKIPPED_REASON = "No contrast ran:"


def fig3a_table(genes: pd.DataFrame, contrasts: pd.DataFrame) -> pd.DataFrame:
    """Genes of ``disease/volcano.tsv``; without any, the contrasts and why they did not run."""
    if genes.empty:
        return contrasts[["contrast", "tissue", "n_cases", "n_controls", "status", "reason"]]
    models = list(dict.fromkeys(genes["model"]))
    # The last is the covariates-only model where there is one.
    models = [*models[: MAX_MODELS - 1], *models[MAX_MODELS - 1 :][-1:]]
    columns = ["model", "tissue", "contrast", "gene_id", "n", "log2fc_observed", "p_observed",
               "q_observed", "log2fc_predicted", "q_predicted", "n_cases", "n_controls",
               "q_below"]  # fmt: skip
    return genes.loc[genes["model"].isin(models), columns].reset_index(drop=True)


@figure("fig3a", reduce=fig3a_table)
def fig3a(table: pd.DataFrame) -> Figure:
    """Observed log2 fold change and P of one tissue and disease, coloured by the predicted one.

    Parameters
    ----------
    table
        From `fig3a_table`.
    """
    if "gene_id" not in table:
        return _nothing_ran(table)
    models = names.ordered(table["model"])
    drawing = new_figure(PAGE_MM if len(models) > 1 else 100.0, 68)
    axes = drawing.subplots(1, len(models), sharex=True, sharey=True, squeeze=False)[0]
    span = max(float(table["log2fc_predicted"].abs().quantile(0.98)), 0.05)
    norm = TwoSlopeNorm(0, -span, span)
    lowest = table.loc[table["p_observed"] > 0, "p_observed"].min()
    table = table.assign(height=-np.log10(table["p_observed"].clip(lower=lowest)))
    for ax, model in zip(axes, models, strict=True):
        mine = table[table["model"] == model]
        # The most extreme predictions lie on top.
        mine = mine.iloc[mine["log2fc_predicted"].abs().argsort(kind="stable")]
        ax.scatter(
            mine["log2fc_observed"],
            mine["height"],
            c=mine["log2fc_predicted"],
            cmap="RdBu_r",
            norm=norm,
            s=9,
            edgecolors=MUTED,
            linewidths=0.2,
            zorder=3,
        )
        significant = mine[mine["q_observed"] < mine["q_below"]]
        if len(significant):
            ax.axhline(significant["height"].min(), color=MUTED, lw=0.6, ls="--")
        ax.axvline(0, color=MUTED, lw=0.5)
        same = np.sign(significant["log2fc_observed"]) == np.sign(significant["log2fc_predicted"])
        kept = f"\nsign kept in {same.mean():.0%}" if len(significant) else ""
        ax.set_title(f"{names.title(model)}\n{len(significant):,} of {len(mine):,} genes{kept}")
        ax.set_xlabel("Observed log2 fold change of TPM")
        ax.grid()
    axes[0].set_ylabel("−log10 P of the rank-sum test, observed")
    drawing.colorbar(
        ScalarMappable(norm, "RdBu_r"),
        ax=list(axes),
        label="Predicted log2 fold change",
        shrink=0.8,
        extend="both",
        pad=0.01,
    )
    pair = marks.contrast_title(table["contrast"].iloc[0], table)
    drawing.suptitle(f"{table['tissue'].iloc[0]}, {pair}", fontsize=7, x=0.01, ha="left")
    return drawing


def _nothing_ran(table: pd.DataFrame) -> Figure:
    """Say why there is nothing to draw."""
    drawing = new_figure(110.0, 40)
    ax = drawing.subplots()
    ax.set_axis_off()
    reasons = table["reason"].fillna("").astype(str).replace("", "too few predictable genes")
    counts = reasons.value_counts().head(4)
    lines = [SKIPPED_REASON, *(f"{n} × {reason}" for reason, n in counts.items())]
    ax.text(0.02, 0.95, "\n".join(lines), va="top", fontsize=6, transform=ax.transAxes)
    return drawing


def fig3b_table(agreement: pd.DataFrame, contrasts: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``disease/agreement.tsv`` that ran, of the first models and the headline reading.

    Without any, the contrasts and why they did not run.
    """
    rows = agreement[agreement["status"] == RAN]
    rows = rows[rows["definition"] == HEADLINE.definition]
    rows = rows[rows["selection"] == SELECTIONS[0]]
    if rows.empty:
        return contrasts[["contrast", "tissue", "n_cases", "n_controls", "status", "reason"]]
    models = list(dict.fromkeys(rows["model"]))
    enough = rows["n_de_observed"] >= rows["min_de_genes"]
    pairs = rows[enough & (rows["model"] == models[0])]["contrast"].value_counts()
    contrast_order = [*pairs.index, *(c for c in rows["contrast"].unique() if c not in pairs)]
    n_contrasts = len(contrast_order)
    rows = rows[rows["contrast"].isin(contrast_order[:MAX_CONTRASTS])]
    # The first model and the last, which is the covariates-only one where there is one.
    models = [models[0], models[-1]]
    measures = ("f1_{}", "f1_{}_q", "p_as_paper_{}", "mcc_{}")
    fields = [field.format(name) for name in DIRECTIONS for field in measures]
    counts = [f"n_{name}_observed" for name in DIRECTIONS]
    columns = ["model", "tissue", "contrast", "n_cases", "n_controls", "n_genes", *counts, *fields,
               "min_de_genes"]  # fmt: skip
    rows = rows.loc[rows["model"].isin(models), columns].assign(n_contrasts=n_contrasts)
    return rows.reset_index(drop=True)


@figure("fig3b", reduce=fig3b_table)
def fig3b(table: pd.DataFrame) -> Figure:
    """F1 of finding differentially expressed genes, with stars where chance does not reach it.

    Parameters
    ----------
    table
        From `fig3b_table`.
    """
    if "model" not in table:
        return _nothing_ran(table)
    models = names.ordered(table["model"])
    tissues, contrasts = sorted(set(table["tissue"])), sorted(set(table["contrast"]))
    between = "\n" if len(contrasts) <= FEW_CONTRASTS else " "
    labels = {
        name: marks.contrast_title(name, rows, between) for name, rows in table.groupby("contrast")
    }
    longest = max(len(line) for label in labels.values() for line in label.split("\n"))
    around_mm = 28 + 1.2 * longest
    row_mm = min(4.2, (PAGE_HEIGHT_MM - around_mm) / len(tissues))
    drawing = new_figure(PAGE_MM, len(tissues) * row_mm + around_mm)
    panels = [(model, direction) for model in models for direction in DIRECTIONS]
    axes = drawing.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    norm = Normalize(0, 1)
    for ax, (model, direction) in zip(axes, panels, strict=True):
        mine = table[table["model"] == model]
        _draw_grid(ax, mine, direction, tissues, labels, norm)
        ax.set_title(f"{names.title(model)}\n{'↑ up' if direction == 'up' else '↓ down'}")
    marks.name_tissues(axes[0], tissues, tissues)
    drawing.colorbar(
        ScalarMappable(norm, "YlGnBu"),
        ax=list(axes),
        shrink=0.5,
        pad=0.01,
        label="F1 of genes found",
    )
    total = int(table["n_contrasts"].iloc[0])
    marks.note_first(drawing, len(contrasts), total, "contrasts", "disease/agreement.tsv")
    least = table["min_de_genes"].iloc[0]
    drawing.legend(
        handles=[
            Patch(color=TOO_FEW_COLOR, lw=0, label=f"fewer than {least} observed genes"),
            Patch(fc="white", ec=MUTED, lw=0.4, label="not tested"),
            Patch(color="none", label="* above permuted labels, q < 0.05"),
        ],
        loc="outside upper left",
        ncols=3,
    )
    return drawing


def _draw_grid(
    ax: Axes,
    rows: pd.DataFrame,
    direction: str,
    tissues: Sequence[str],
    labels: Mapping[str, str],
    norm: Normalize,
) -> None:
    """Draw one model and direction: tissues by contrasts, which have labels."""
    contrasts = list(labels)
    grid = np.full((len(tissues), len(contrasts)), np.nan)
    few = np.full(grid.shape, np.nan)
    labelled = len(contrasts) <= 4
    for row in rows.itertuples():
        at = tissues.index(row.tissue), contrasts.index(row.contrast)
        if getattr(row, f"n_{direction}_observed") < row.min_de_genes:
            few[at] = 1
            continue
        grid[at] = value = getattr(row, f"f1_{direction}")
        stars = "*" if getattr(row, f"f1_{direction}_q") < 0.05 else ""
        text = f"{value:.2f}{stars}" if labelled else stars
        color = "white" if value > 0.6 else INK
        ax.text(
            at[1], at[0], text, ha="center", va="center", fontsize=6, color=color,
            rotation=90 if len(contrasts) > 6 else 0,
        )  # fmt: skip
    shown = {"aspect": "auto", "interpolation": "nearest"}
    ax.imshow(few, cmap=ListedColormap([TOO_FEW_COLOR]), **shown)
    ax.imshow(grid, cmap="YlGnBu", norm=norm, **shown)
    ax.set_xticks(range(len(contrasts)), labels.values(), rotation=90)
    ax.tick_params(length=0)
    ax.set_xticks(np.arange(len(contrasts) + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(len(tissues) + 1) - 0.5, minor=True)
    ax.grid(which="minor", color=GRID, lw=0.3)
    ax.tick_params(which="minor", length=0)
