"""Accuracy for people from elsewhere beside that of the cohort's own held-out donors."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mtm.figures import marks, names
from mtm.figures.registry import figure
from mtm.figures.style import INK, MUTED, PAGE_HEIGHT_MM, PAGE_MM, PALETTE, new_figure
from mtm.vocabulary import ACCURACY_KEY, CROSS_VALIDATION, HEADLINE, MEAN_OF_TISSUES

COLUMNS = 2
ROW_MM = 6.5
MOST_COHORTS = 6
# Words, colour and marker of what is done to the external source samples.
LOOKS = {
    CROSS_VALIDATION: ("held-out donors of the cohort", INK, "D"),
    "none": ("external, as measured", PALETTE[1], "o"),
    "log2": ("external, aligned on log2(1+TPM)", PALETTE[0], "s"),
    "tpm": ("external, aligned on TPM", PALETTE[2], "^"),
}
DRAWN = ["cohort", "alignment", "model", "n_samples", "n_genes", "mean_rho", "ci_low", "ci_high",
         "null_low", "null_high", "n_tissues", "n_cohorts"]  # fmt: skip


def external_table(table: pd.DataFrame) -> pd.DataFrame:
    """Headline means over tissues of ``external/summary.tsv``, models by name.

    Returns
    -------
    pd.DataFrame
        `DRAWN`, of the first cohorts; ``n_tissues`` are those with a correlation, ``n_cohorts``
        how many cohorts there were.
    """
    measure = [HEADLINE.scale, "gene_wise", HEADLINE.convention]
    rows = table[(table[ACCURACY_KEY] == measure).all(axis=1)]
    cohorts = list(dict.fromkeys(rows["cohort"]))
    key = ["cohort", "alignment", "model"]
    is_mean = rows["tissue"] == MEAN_OF_TISSUES
    n_tissues = rows[~is_mean & rows["mean_rho"].notna()].groupby(key).size()
    means = rows[is_mean & rows["cohort"].isin(cohorts[:MOST_COHORTS])].join(
        n_tissues.rename("n_tissues"), on=key
    )
    order = names.ordered(means["model"])
    means = means.assign(
        n_tissues=means["n_tissues"].fillna(0).astype(int),
        n_cohorts=len(cohorts),
        _cohort=means["cohort"].map(cohorts.index),
        _model=means["model"].map(order.index),
        _alignment=means["alignment"].map(list(LOOKS).index),
    )
    return means.sort_values(["_cohort", "_model", "_alignment"])[DRAWN].reset_index(drop=True)


@figure("external", reduce=external_table)
def external(table: pd.DataFrame) -> Figure:
    """Draw a panel a cohort, a row a model, a mark for each way to bring the samples.

    Parameters
    ----------
    table
        From `external_table`.
    """
    cohorts = list(dict.fromkeys(table["cohort"]))
    models = names.ordered(table["model"])
    alignments = [name for name in LOOKS if name in set(table["alignment"])]
    n_columns = min(COLUMNS, len(cohorts))
    n_rows = -(-len(cohorts) // n_columns)
    fixed_mm = 14 * n_rows + 14
    row_mm = min(ROW_MM, (PAGE_HEIGHT_MM - fixed_mm) / (n_rows * len(models)))
    drawing = new_figure(PAGE_MM, n_rows * len(models) * row_mm + fixed_mm)
    axes = drawing.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False).ravel()
    for ax, cohort in zip(axes, cohorts, strict=False):
        rows = table[table["cohort"] == cohort]
        _draw_models(ax, rows, models, alignments)
        n_tissues = rows["n_tissues"].max()
        ax.set_title(f"{cohort} ({n_tissues} {'tissue' if n_tissues == 1 else 'tissues'})")
        ax.set_xlabel("Pearson's ρ, gene-wise, mean of tissues")
    for ax in axes[len(cohorts) :]:
        ax.set_axis_off()
    marks.note_first(
        drawing, len(cohorts), int(table["n_cohorts"].iloc[0]), "cohorts", "external/headline.tsv"
    )
    handles = [_mark(name) for name in alignments]
    drawing.legend(
        handles=[*handles, marks.null_legend("donors permuted")], loc="outside upper left", ncols=3
    )
    return drawing


def _draw_models(ax: Axes, rows: pd.DataFrame, models: list[str], alignments: list[str]) -> None:
    """Draw one panel."""
    offsets = marks.dodge(alignments, 0.28)
    half = 0.36 / len(alignments)
    for place, model in enumerate(models):
        mine = rows[rows["model"] == model]
        for alignment, row in mine.set_index("alignment").iterrows():
            _, color, marker = LOOKS[alignment]
            y = place + offsets[alignment]
            marks.null_band(ax, y, row["null_low"], row["null_high"], half=half)
            ax.plot([row["ci_low"], row["ci_high"]], [y, y], color=color, lw=1.0, zorder=2)
            ax.plot(
                row["mean_rho"], y, marker, color=color, ms=3.2, mec="white", mew=0.25, zorder=3
            )
    ax.axvline(0, color=MUTED, lw=0.5)
    ax.set_yticks(range(len(models)), map(names.title, models))
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(models) - 0.5, -0.5)
    ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    ax.grid(axis="x")


def _mark(alignment: str) -> Line2D:
    """Legend entry of an alignment."""
    label, color, marker = LOOKS[alignment]
    return Line2D(
        [], [], color=color, marker=marker, ms=3.2, mec="white", mew=0.25, lw=1, label=label
    )
