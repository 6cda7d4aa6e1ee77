"""Dysregulation predicted for external patients against the reference (He et al. 2023, Fig 4)."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator, NullFormatter

from mtm.figures import marks, names
from mtm.figures.registry import figure
from mtm.figures.style import (
    INK,
    MUTED,
    PAGE_HEIGHT_MM,
    PAGE_MM,
    PALETTE,
    new_figure,
    tissue_colors,
)
from mtm.settings.disease import contrast_label
from mtm.vocabulary import RAN, TARGET

COLUMNS, PANEL_MM, PANEL_HEIGHT_MM = 6, 30.0, 36.0
NARROW_COLUMNS = 4
TEXT_MARGIN_MM = 7.0
# Hexagons across a panel; as many as the genes fill.
LEAST_CELLS, MOST_CELLS = 10, 28
# Of the largest fold changes, this share lies beyond the axes and is drawn on their edge.
BEYOND = 0.002
MAX_MODELS = 3
SHORTER = {"EBV-transformed": "EBV", "Gastroesophageal": "Gastroesoph."}
ROW_MM = 3.6
CORNERS = np.deg2rad(np.arange(30, 390, 60))
ALIGNMENT_STYLES = {
    "log2": {"color": PALETTE[0], "marker": "o"},
    "tpm": {"color": PALETTE[3], "marker": "D"},
    "none": {"color": MUTED, "marker": "x"},
    "shift": {"color": PALETTE[2], "marker": "s"},
    "combat": {"color": PALETTE[1], "marker": "^"},
}
ALIGNMENT_NAMES = {
    "log2": "aligned on log2(1+TPM)",
    "tpm": "aligned on TPM",
    "none": "not aligned",
    "shift": "means aligned",
    "combat": "means and sds aligned",
}

# Cases and controls of the reference and of the external cohort.
DONORS = ["n_reference_cases", "n_reference_controls", "n_cases", "n_controls"]


def hexagons(x: np.ndarray, y: np.ndarray, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Put points into the cells of a hexagonal grid.

    Parameters
    ----------
    x, y
        Shape ``(n,)``.
    size
        Distance of neighbouring centres.

    Returns
    -------
    np.ndarray, np.ndarray
        Centres of the cells that hold a point, shape ``(n_cells, 2)``, and how many they hold.
    """
    step = np.array([size, size * np.sqrt(3)])
    points = np.stack([x, y], 1)
    grids = [np.round(points / step) * step, (np.round(points / step - 0.5) + 0.5) * step]
    distance = [((points - grid) ** 2).sum(1) for grid in grids]
    centres = np.where((distance[0] <= distance[1])[:, None], *grids)
    # Rounded so that the same centre is one row whatever the way it was reached.
    return np.unique(np.round(centres / size, 6), axis=0, return_counts=True)


def fig4_table(genes: pd.DataFrame, agreement: pd.DataFrame) -> pd.DataFrame:
    """Bin the genes of every tissue by reference and predicted fold change.

    Parameters
    ----------
    genes, agreement
        ``transfer/genes`` and ``transfer/agreement`` of one model.

    Returns
    -------
    pd.DataFrame
        One row a hexagon: ``model``, ``alignment``, ``contrast``, ``tissue``, ``related``,
        ``n_genes``, ``rho_log2fc``, ``ci_low``, ``ci_high``, ``q``, donors in the
        contrast, ``limit`` (of both axes; genes beyond stand on it), ``n_cells_across``,
        ``log2fc_reference`` and ``log2fc_predicted`` of its centre, ``n_genes_in_cell``. Related
        tissues first, both groups by falling rho.
    """
    alignment = genes["alignment"].iloc[0] if len(genes) else ""
    rows = agreement[
        (agreement["status"] == RAN)
        & (agreement["role"] == TARGET)
        & (agreement["genes"] == "all")
        & (agreement["alignment"] == alignment)
    ].dropna(subset=["rho_log2fc"])
    rows = rows.sort_values(["related", "rho_log2fc"], ascending=False, kind="stable")
    keep = ["model", "alignment", "contrast", "tissue", "related", *DONORS, "n_genes",
            "rho_log2fc", "ci_low", "ci_high", "q"]  # fmt: skip
    by_tissue, parts = dict(iter(genes.groupby("tissue", sort=False))), []
    for row in rows[keep].to_dict("records"):
        values = by_tissue[row["tissue"]][["log2fc_reference", "log2fc_predicted"]].to_numpy()
        # One limit for both axes, which shows how much less predictions vary than observations.
        limit = max(np.quantile(np.abs(values), 1 - BEYOND, axis=0).max(), 1e-6)
        x, y = np.clip(values / limit, -1, 1).T
        n_cells = int(np.clip(0.6 * len(values) ** 0.5, LEAST_CELLS, MOST_CELLS))
        size = 2 / n_cells
        centres, counts = hexagons(x, y, size)
        parts.append(
            pd.DataFrame(
                {
                    **row,
                    "limit": limit,
                    "n_cells_across": n_cells,
                    "log2fc_reference": centres[:, 0] * size * limit,
                    "log2fc_predicted": centres[:, 1] * size * limit,
                    "n_genes_in_cell": counts,
                }
            )
        )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


@figure("fig4", reduce=fig4_table)
def fig4(table: pd.DataFrame) -> Figure:
    """Draw predicted against reference log2 fold changes, one panel a tissue.

    Parameters
    ----------
    table
        From `fig4_table`.
    """
    tissues = list(dict.fromkeys(table["tissue"]))
    n_rows = -(-len(tissues) // COLUMNS)
    n_columns = min(COLUMNS, len(tissues))
    width = min(PAGE_MM, max(90.0, n_columns * PANEL_MM))
    row_mm = min(PANEL_HEIGHT_MM, (PAGE_HEIGHT_MM - 18) / n_rows)
    drawing = new_figure(width, n_rows * row_mm + 18)
    # The text above a panel is wider than the panel.
    drawing.get_layout_engine().set(rect=(0, 0, 1 - TEXT_MARGIN_MM / width, 1))
    axes = drawing.subplots(n_rows, n_columns, squeeze=False)
    norm = LogNorm(1, max(10, table["n_genes_in_cell"].max()))
    colors = tissue_colors(tissues)
    for ax in axes.flat[len(tissues) :]:
        ax.set_axis_off()
    for ax, tissue in zip(axes.flat, tissues, strict=False):
        cells = _draw_tissue(ax, table[table["tissue"] == tissue], norm, colors[tissue])
    first = table.iloc[0]
    of = _counts(table, "n_reference_")
    if table["n_reference_cases"].notna().all():
        # A table's fold changes are of what it is, whatever contrast is named.
        of = f"{contrast_label(first['contrast'])}, observed, {of}"
    # What counts and legend take together is wider than a few panels.
    apart = "; " if n_columns > NARROW_COLUMNS else "\n"
    drawing.supxlabel(
        f"log2 fold change in the reference\n({of}){apart}\N{BLACK STAR} related tissue; dashed: "
        "equal",
        fontsize=7,
    )
    drawing.supylabel(
        f"log2 fold change predicted\nfor external patients ({_counts(table, 'n_')})", fontsize=7
    )
    bar = drawing.colorbar(cells, ax=axes, location="top", shrink=0.4, aspect=40, pad=0.02)
    of = f"{names.title(first['model'])}, {ALIGNMENT_NAMES[first['alignment']]}"
    bar.set_label(f"genes ({of})", fontsize=6)
    bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    bar.ax.xaxis.set_minor_formatter(NullFormatter())
    bar.ax.tick_params(labelsize=6)
    return drawing


def _draw_tissue(ax: Axes, rows: pd.DataFrame, norm: LogNorm, color: str) -> PolyCollection:
    """Draw the hexagons of one tissue."""
    first = rows.iloc[0]
    limit = first["limit"]
    radius = 2 / first["n_cells_across"] / np.sqrt(3)
    corners = radius * np.stack([np.cos(CORNERS), np.sin(CORNERS)], 1)
    centres = rows[["log2fc_reference", "log2fc_predicted"]].to_numpy()
    cells = PolyCollection(
        centres[:, None] + corners * limit, array=rows["n_genes_in_cell"].to_numpy(float),
        cmap="viridis", norm=norm, lw=0,
    )  # fmt: skip
    ax.axhline(0, color=MUTED, lw=0.4, zorder=0)
    ax.axvline(0, color=MUTED, lw=0.4, zorder=0)
    ax.add_collection(cells)
    ends = np.array([-1.06, 1.06]) * limit
    ax.plot(ends, ends, color=MUTED, lw=0.5, ls="--", zorder=0)
    ax.set_xlim(*ends)
    ax.set_ylim(*ends)
    ax.set_box_aspect(1)
    ax.xaxis.set_major_locator(MaxNLocator(3, symmetric=True))
    ax.yaxis.set_major_locator(MaxNLocator(3, symmetric=True))
    ax.tick_params(pad=1)
    rho = marks.minus("{rho_log2fc:.2f} ({ci_low:.2f}, {ci_high:.2f})".format_map(first))
    # The title keeps room above the panel; the text itself may be wider than the panel.
    ax.set_title("\n\n", fontsize=6, pad=1)
    name = _named(first["tissue"], first["related"])
    text = f"{name}\n\N{GREEK SMALL LETTER RHO} {rho}"
    ax.annotate(
        text, (0, 1), (0, 2), xycoords="axes fraction", textcoords="offset points",
        fontsize=6, annotation_clip=False,
    ).set_in_layout(False)  # fmt: skip
    for side in ("left", "bottom"):
        ax.spines[side].set(color=color, linewidth=1.6)
    return cells


def _counts(table: pd.DataFrame, of: str) -> str:
    """Cases and controls of the reference, or of the external cohort."""
    named = {f"{of}cases": "n_cases", f"{of}controls": "n_controls"}
    if table[list(named)].isna().any(axis=None):
        return "as given in a table"
    return "n = " + " / ".join(marks.case_counts(table[list(named)].rename(columns=named)))


def _named(tissue: str, related: bool) -> str:
    """Break a long name in two lines without what is in brackets; mark related tissues first."""
    name = tissue.split(" (")[0]
    for long, short in SHORTER.items():
        name = name.replace(long, short)
    star = "\N{BLACK STAR} " if related else ""
    head, _, tail = name.partition(" - ")
    return star + (f"{head} -\n{tail}" if tail and len(name) > 20 else name)


def transfer_table(
    agreement: Mapping[str, pd.DataFrame], groups: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Join agreement and groups of all models over all genes.

    Parameters
    ----------
    agreement, groups
        ``transfer/agreement`` and ``transfer/groups`` of the models, by path.

    Returns
    -------
    pd.DataFrame
        Panel "tissues": ``model``, ``alignment``, ``contrast``, ``tissue``, ``role``,
        ``related``, donors in the contrast, ``rho_log2fc``, ``ci_low``, ``ci_high``,
        ``null_low``, ``null_high``, ``q``.
        Panel "groups": ``model``, ``alignment``, ``n_related``, ``median_related``, ``n_other``,
        ``median_other``, ``p_as_paper``, ``permuted_p``, ``median``, ``median_p``. Column
        ``n_models`` counts the models; the first `MAX_MODELS` are kept.
    """
    rows = pd.concat(agreement.values(), ignore_index=True)
    rows = rows[(rows["status"] == RAN) & (rows["genes"] == "all") & rows["rho_log2fc"].notna()]
    tests = pd.concat(groups.values(), ignore_index=True)
    tests = tests[tests["genes"] == "all"]
    models = list(dict.fromkeys(rows["model"]))
    columns = ["model", "alignment", "contrast", "tissue", "role", "related", *DONORS,
               "rho_log2fc", "ci_low", "ci_high", "null_low", "null_high", "q"]  # fmt: skip
    numbers = ["model", "alignment", "n_related", "median_related", "n_other", "median_other",
               "p_as_paper", "permuted_p", "median", "median_p"]  # fmt: skip
    table = pd.concat(
        [rows[columns].assign(panel="tissues"), tests[numbers].assign(panel="groups")],
        ignore_index=True,
    )
    table = table[table["model"].isin(models[:MAX_MODELS])].assign(n_models=len(models))
    return table[["panel", *table.columns.drop("panel")]].reset_index(drop=True)


@figure("transfer", reduce=transfer_table)
def transfer_figure(table: pd.DataFrame) -> Figure:
    """Agreement of fold changes with the reference in every tissue, by model and alignment.

    Parameters
    ----------
    table
        From `transfer_table`.
    """
    rows, groups = table[table["panel"] == "tissues"], table[table["panel"] == "groups"]
    models = names.ordered(rows["model"])
    alignments = [name for name in ALIGNMENT_STYLES if name in set(rows["alignment"])]
    headline = rows["alignment"].iloc[0]
    order = _tissues_in_order(rows, models, headline)
    tissues = list(order["tissue"])
    width = max(110.0, min(PAGE_MM, 62 + 50.0 * len(models)))
    drawing = new_figure(width, len(tissues) * ROW_MM + 40)
    axes = drawing.subplots(1, len(models), sharex=True, sharey=True, squeeze=False)[0]
    labels = _labels(order)
    for ax, model in zip(axes, models, strict=True):
        marks.tissue_axis(ax, tissues, labels if ax is axes[0] else None, bands=False)
        _draw_model(
            ax, rows[rows["model"] == model], tissues, marks.dodge(alignments, 0.25), headline
        )
        ax.set_title(names.title(model), loc="left")
        ax.set_xlabel(_groups_text(groups[groups["model"] == model], headline), fontsize=6)
    _part_groups(axes, order)
    drawing.supxlabel(
        "Pearson's \N{GREEK SMALL LETTER RHO} of log2 fold changes over genes\ncases / controls: "
        f"reference {_counts(rows, 'n_reference_')}, external {_counts(rows, 'n_')}",
        fontsize=7,
    )
    handles = [
        Line2D([], [], lw=0.8, ms=3.5, label=ALIGNMENT_NAMES[name], **ALIGNMENT_STYLES[name])
        for name in alignments
    ] + [
        marks.null_legend("groups permuted"),
        Line2D([], [], lw=0, marker="*", ms=5, color=INK, label="related in the reference"),
    ]
    drawing.legend(handles=handles, loc="outside upper left", ncols=3 if width < 140 else 5)
    total = int(table["n_models"].iloc[0])
    marks.note_first(drawing, len(models), total, "models", "transfer/agreement")
    return drawing


def _tissues_in_order(rows: pd.DataFrame, models: list[str], headline: str) -> pd.DataFrame:
    """Rows of the first model, of a later one where it has no correlation; a tissue each."""
    by = [rows["alignment"] != headline, rows["model"].map(models.index)]
    first = rows.iloc[np.lexsort(by[::-1])].drop_duplicates("tissue")
    # "target" sorts after "source": targets first, the source itself last.
    return first.sort_values(["role", "related", "rho_log2fc"], ascending=False, kind="stable")


def _draw_model(
    ax: Axes,
    rows: pd.DataFrame,
    tissues: list[str],
    offsets: Mapping[str, float],
    headline: str,
) -> None:
    """Draw one model: a row a tissue, a mark an alignment, the headline's null behind."""
    ax.axvline(0, color=MUTED, lw=0.5, zorder=1)
    for row in rows[rows["alignment"] == headline].itertuples():
        marks.null_band(ax, tissues.index(row.tissue), row.null_low, row.null_high, zorder=0)
    for name, offset in offsets.items():
        part = rows[rows["alignment"] == name]
        y = part["tissue"].map(tissues.index).to_numpy(float) + offset
        marks.interval_lines(ax, part, y, ALIGNMENT_STYLES[name]["color"], lw=0.5, alpha=1)
        ax.plot(part["rho_log2fc"], y, lw=0, ms=2.6, zorder=3, **ALIGNMENT_STYLES[name])
    ax.set_xlim(-1, 1)
    ax.xaxis.set_major_locator(MultipleLocator(0.5))


def _labels(order: pd.DataFrame) -> list[str]:
    """Name the rows; a star marks related tissues."""
    return [
        f"{row.tissue}, itself"
        if row.role != TARGET
        else f"\N{BLACK STAR} {row.tissue}"
        if row.related
        else row.tissue
        for row in order.itertuples()
    ]


def _part_groups(axes: Sequence[Axes], order: pd.DataFrame) -> None:
    """Part related tissues, others and the source by lines."""
    group = order["role"] + (order["related"].astype(bool) & (order["role"] == TARGET)).astype(str)
    for place in np.flatnonzero(group != group.shift())[1:]:
        for ax in axes:
            ax.axhline(place - 0.5, color=INK, lw=0.5)


def _groups_text(rows: pd.DataFrame, headline: str) -> str:
    """State how related tissues compare with others."""
    row = rows[rows["alignment"] == headline]
    if row.empty:
        return ""
    row = row.iloc[0]
    lines = [f"median {row['median']:.2f}, permuted P {row['median_p']:.2g}"]
    if np.isfinite(row["p_as_paper"]):
        lines.append(
            f"related {row['median_related']:.2f} ({row['n_related']:.0f}), "
            f"other {row['median_other']:.2f} ({row['n_other']:.0f})"
        )
        lines.append(f"rank-sum P {row['p_as_paper']:.2g}, permuted P {row['permuted_p']:.2g}")
    else:
        lines.append(f"{row['n_related']:.0f} related, {row['n_other']:.0f} other")
    return "\n".join(lines).replace("-0", "\N{MINUS SIGN}0")
