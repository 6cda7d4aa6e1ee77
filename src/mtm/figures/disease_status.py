"""Disease status from observed, predicted, source expression (He et al. 2023, Figs 3c-d, S15)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator

from mtm.figures.marks import (
    DOT_COLOR,
    case_counts,
    contrast_title,
    dodge,
    interval_lines,
    minus,
    note_first,
    tissue_axis,
)
from mtm.figures.registry import figure
from mtm.figures.style import INK, MUTED, PAGE_MM, PALETTE, new_figure
from mtm.settings.disease import contrast_label
from mtm.vocabulary import BASELINE, OBSERVED, PREDICTED, RAN, SOURCE

STYLES = {
    OBSERVED: {"color": INK, "marker": "o"},
    PREDICTED: {"color": PALETTE[1], "marker": "D"},
    SOURCE: {"color": PALETTE[0], "marker": "s"},
    BASELINE: {"color": PALETTE[2], "marker": "^"},
}
NAMES = {
    OBSERVED: "observed tissue",
    PREDICTED: "predicted tissue",
    SOURCE: "source tissue",
    BASELINE: "predicted from covariates",
}
ROC, PAIRS = "ROC curve", "pairs"
COMPARED = ((OBSERVED, PREDICTED), (PREDICTED, SOURCE), (PREDICTED, BASELINE))
ROW_MM = 3.6
MAX_COLUMNS, CROWDED = 9, 5
COUNTS = ["n_cases", "n_controls"]
VALUES = ["auroc", "ci_low", "ci_high", "null_mean", *COUNTS]


def _selection(ran: pd.DataFrame) -> str:
    """Return the nested choice of genes where it ran, else the first."""
    selections = [*dict.fromkeys(ran["selection"]), ""]
    return "nested" if "nested" in selections else selections[0]


def fig3cd_table(
    curves: pd.DataFrame, status: pd.DataFrame, summary: pd.DataFrame
) -> pd.DataFrame:
    """Reduce the tables of disease status to what Fig 3c and 3d draw.

    Parameters
    ----------
    curves, status, summary
        ``disease/status_curves``, ``disease/status`` and ``disease/status_summary`` of a model.

    Returns
    -------
    pd.DataFrame
        Panel "ROC curve": ``tissue``, ``contrast``, ``input``, ``auroc``, ``ci_low``, ``ci_high``,
        ``false_positive_rate``, ``true_positive_rate``, ``low``, ``high`` of the shown pair.
        Panel "pairs": ``tissue``, ``contrast``, ``input``, ``auroc`` of every pair, and
        ``informative``. Both have ``n_cases`` and ``n_controls``. Panels "informative" and "all":
        ``input_a``, ``input_b``, ``n_pairs``, ``mean_a``, ``mean_b``, ``wilcoxon_p``,
        ``difference``, ``ci_low``, ``ci_high``, ``p``.
    """
    key = ["model", "selection", "tissue", "contrast"]
    # Where nothing ran, the file's inputs are all missing and read as numbers.
    ran = status[status["status"] == RAN].astype({"input": object})
    chosen = _selection(ran)
    ran, curves, summary = (part[part["selection"] == chosen] for part in (ran, curves, summary))
    pairs = ran[[*key, "input", "auroc", "informative", *COUNTS]].assign(panel=PAIRS)
    shown = curves[curves["shown"].astype(bool)]
    intervals = ran[[*key, "input", "auroc", "ci_low", "ci_high", *COUNTS]]
    shown = shown.drop(columns=["shown", "definition", *COUNTS]).merge(
        intervals, on=[*key, "input"]
    )
    tests = summary[[*key[:2], "pairs", "input_a", "input_b", "n_pairs", "mean_a", "mean_b",
                     "wilcoxon_p", "difference", "ci_low", "ci_high", "p"]]  # fmt: skip
    tests = tests.rename(columns={"pairs": "panel"})
    table = pd.concat([shown.assign(panel=ROC), pairs, tests], ignore_index=True)
    table = table[["panel", *table.columns.drop("panel")]]
    return table[:0] if ran.empty else table


@figure("fig3cd", reduce=fig3cd_table)
def fig3cd(table: pd.DataFrame) -> Figure:
    """ROC curves of one pair (c), and auROC of all pairs by input (d).

    Parameters
    ----------
    table
        From `fig3cd_table`.
    """
    drawing = new_figure(PAGE_MM, 98)
    axes = drawing.subplot_mosaic(
        [["c", "d"], ["below", "below"]], width_ratios=[1, 1.3], height_ratios=[1, 0.2]
    )
    axes["below"].set_axis_off()
    _draw_curves(axes["c"], table[table["panel"] == ROC])
    _draw_pairs(axes["d"], table)
    _write_comparisons(axes["below"], table)
    return drawing


def _draw_curves(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the ROC curves of one pair."""
    ax.plot([0, 1], [0, 1], color=MUTED, lw=0.6, ls="--")
    for name in [name for name in STYLES if name in set(rows["input"])]:
        part, color = rows[rows["input"] == name], STYLES[name]["color"]
        first = part.iloc[0]
        interval = f"{first['ci_low']:.2f}\N{EN DASH}{first['ci_high']:.2f}"
        label = f"{name}: {first['auroc']:.2f} ({interval})"
        x = part["false_positive_rate"]
        ax.plot(x, part["true_positive_rate"], color=color, lw=1.2, label=label)
        ax.fill_between(x, part["low"], part["high"], color=color, alpha=0.12, lw=0)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.set_aspect("equal")
    ax.set_xlabel("False positive rate")
    ax.set_ylabel("True positive rate")
    ax.grid()
    if len(rows):
        pair = contrast_title(rows["contrast"].iloc[0], rows)
        ax.set_title(f"c  {rows['tissue'].iloc[0]},\n{pair}")
        ax.legend(
            loc="lower right", title="auROC (95% interval)", title_fontsize=6,
            alignment="left", frameon=True, framealpha=0.85, edgecolor="none",
        )  # fmt: skip


def _draw_pairs(ax: Axes, table: pd.DataFrame) -> None:
    """Draw the auROC of every pair: one line a pair, one column an input."""
    pairs = table[table["panel"] == PAIRS]
    inputs = [
        name for name in (OBSERVED, PREDICTED, SOURCE, BASELINE) if name in set(pairs["input"])
    ]
    wide = pairs.pivot(index=["tissue", "contrast"], columns="input", values="auroc")[inputs]
    informative = pairs.groupby(["tissue", "contrast"])["informative"].first().astype(bool)
    informative = informative.reindex(wide.index).to_numpy()
    places = np.arange(len(inputs))
    ax.axhline(0.5, color=MUTED, lw=0.6, ls="--")
    for values, chosen in zip(wide.to_numpy(), informative, strict=True):
        if not chosen:
            ax.plot(places, values, color="#C9C9C9", lw=0.4, marker="o", ms=1.6, zorder=1)
            continue
        ax.plot(places, values, color=MUTED, lw=0.6, alpha=0.8, zorder=2)
        ax.scatter(
            places, values, s=11, color=DOT_COLOR, edgecolors=INK, linewidths=0.25, zorder=3
        )
    for chosen, face, offset in (
        (informative, INK, -0.2),
        (np.ones(len(wide), bool), "white", 0.2),
    ):
        if chosen.any():
            ax.plot(
                places + offset, wide[chosen].mean(), lw=0, marker="D", ms=4.5, mfc=face, mec=INK,
                mew=0.8, zorder=4,
            )  # fmt: skip
    ax.set_xticks(places, [NAMES[name].replace("from ", "from\n") for name in inputs])
    ax.set_xlim(-0.4, len(inputs) - 0.6)
    ax.set_ylabel("auROC (mean over folds and repeats)")
    ax.grid(axis="y")
    counts = " cases / ".join(case_counts(pairs))
    ax.set_title(f"d  {len(wide)} pairs of tissue and disease,\nn = {counts} controls")
    handles = [
        Line2D([], [], color=MUTED, marker="o", mfc=DOT_COLOR, mec=INK, mew=0.25, ms=3.5,
               lw=0.6, label=f"{informative.sum()} informative pairs"),
        Line2D([], [], color="#C9C9C9", marker="o", ms=1.6, lw=0.4, label="other pairs"),
        Line2D([], [], lw=0, marker="D", ms=4.5, mfc=INK, mec=INK, label="mean, informative"),
        Line2D([], [], lw=0, marker="D", ms=4.5, mfc="white", mec=INK, label="mean, all"),
    ]  # fmt: skip
    ax.set_ylim(top=ax.get_ylim()[1] + 0.16 * np.ptp(ax.get_ylim()))
    ax.legend(handles=handles, loc="upper center", ncols=2)


def _write_comparisons(ax: Axes, table: pd.DataFrame) -> None:
    """Write the comparisons of inputs, over informative pairs and over all."""
    places = {"informative": 0.25, "all": 0.63}
    style = {"transform": ax.transAxes, "fontsize": 6, "va": "center"}
    ax.text(0, 0.86, "Mean difference of auROC", **style)
    for panel, x in places.items():
        ax.text(x, 0.86, f"{panel} pairs (95% interval), P; Wilcoxon's P", **style)
    for line, (a, b) in enumerate(COMPARED):
        rows = table[(table["input_a"] == a) & (table["input_b"] == b)].set_index("panel")
        if rows.empty:
            continue
        y = 0.62 - 0.24 * line
        ax.text(0, y, f"{a} \N{MINUS SIGN} {b}", **style)
        for panel, x in places.items():
            row = rows.loc[panel]
            if row["n_pairs"] == 0:
                ax.text(x, y, "no pair", **style)
                continue
            text = f"{row['difference']:+.2f} ({row['ci_low']:+.2f} to {row['ci_high']:+.2f})"
            text = minus(text)
            tests = [
                f"{row[name]:.1g}" if np.isfinite(row[name]) else "\N{EN DASH}"
                for name in ("p", "wilcoxon_p")
            ]
            text = ", ".join([text, "; ".join(tests)])
            ax.text(x, y, text, **style)


def fig_s15_table(status: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``disease/status`` that ran, the nested choice of genes where there is one.

    Column ``n_contrasts`` counts the contrasts; the first `MAX_COLUMNS` are kept, those with the
    most tissues first.
    """
    rows = status[status["status"] == RAN]
    rows = rows[rows["selection"] == _selection(rows)]
    order = (
        rows.groupby("contrast")["tissue"].nunique().sort_values(ascending=False, kind="stable")
    )
    rows = rows[rows["contrast"].isin(order.index[:MAX_COLUMNS])]
    rows = rows.assign(
        n_contrasts=len(order), _place=rows["contrast"].map(list(order.index).index)
    ).sort_values(["_place", "tissue"], kind="stable")
    columns = ["model", "selection", "contrast", "tissue", "input", *VALUES, "n_contrasts"]
    return rows[columns].reset_index(drop=True)


@figure("fig_s15", reduce=fig_s15_table)
def fig_s15(table: pd.DataFrame) -> Figure:
    """Area under the ROC curve by tissue (rows), disease (columns) and input (Fig S15).

    Parameters
    ----------
    table
        From `fig_s15_table`.
    """
    contrasts = list(dict.fromkeys(table["contrast"]))
    best = table[table["input"] == OBSERVED].groupby("tissue")["auroc"].mean()
    tissues = list(best.sort_values(ascending=False, kind="stable").index)
    inputs = [name for name in STYLES if name in set(table["input"])]
    width = max(90.0, min(PAGE_MM, 62 + 40.0 * len(contrasts)))
    drawing = new_figure(width, len(tissues) * ROW_MM + 26)
    axes = drawing.subplots(1, len(contrasts), sharex=True, sharey=True, squeeze=False)[0]
    low = min(0.4, float(table[["auroc", "ci_low"]].min().min()))
    high = max(0.8, float(table[["auroc", "ci_high"]].max().max()))
    for ax, contrast in zip(axes, contrasts, strict=True):
        rows = table[table["contrast"] == contrast]
        tissue_axis(ax, tissues, tissues if ax is axes[0] else None)
        ax.axvline(0.5, color=MUTED, lw=0.6, ls="--", zorder=1)
        for name, offset in dodge(inputs, 0.28).items():
            part = rows[rows["input"] == name]
            y = part["tissue"].map(tissues.index).to_numpy() + offset
            interval_lines(ax, part, y, STYLES[name]["color"], lw=0.5, alpha=0.5)
            ax.plot(part["auroc"], y, lw=0, ms=2.4, zorder=3, **STYLES[name])
        crowded = len(contrasts) > CROWDED
        ax.set_title(
            contrast_label(contrast), loc="left", fontsize=6, rotation=60 if crowded else 0
        )
        ax.set_xlabel("n = {} /\n{}".format(*case_counts(rows)), fontsize=6)
        ax.set_xlim(max(0.0, low - 0.02), min(1.0, high + 0.02))
        ax.xaxis.set_major_locator(MultipleLocator(0.4 if crowded else 0.2))
        ax.xaxis.set_minor_locator(MultipleLocator(0.1))
    drawing.supxlabel("auROC, 95% interval; n = cases / controls in these tissues", fontsize=7)
    handles = [Line2D([], [], lw=0, ms=4, label=NAMES[name], **STYLES[name]) for name in inputs]
    drawing.legend(handles=handles, loc="outside upper left", ncols=2 if width < 120 else 4)
    total = int(table["n_contrasts"].iloc[0])
    note_first(drawing, len(contrasts), total, "contrasts", "disease/status")
    return drawing
