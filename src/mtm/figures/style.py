"""One look for all figures: sizes, fonts, colours, and how a figure is written."""

from collections.abc import Iterable
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from mtm.cohort.tissue_names import gtex_tissues
from mtm.io import atomic_path, write_tsv

COLUMN_MM = 85.0
PAGE_MM = 180.0
PAGE_HEIGHT_MM = 240.0
MM_PER_INCH = 25.4
PNG_DPI = 300

INK = "#222222"
MUTED = "#767676"
GRID = "#DDDDDD"
NULL_COLOR = "#D9D9D9"
REFERENCE_COLOR = "#CFE3F1"
# Okabe and Ito's palette without black and yellow, and three darker colours; distinguishable with
# every common colour blindness.
PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#332288", "#661100",
    "#4D4D4D",
)  # fmt: skip
UNKNOWN_TISSUE_COLORS = (
    "#4E79A7", "#F28E2B", "#E15759", "#76B7B2", "#59A14F", "#EDC948", "#B07AA1", "#FF9DA7",
    "#9C755F", "#BAB0AC",
)  # fmt: skip

RC = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    # Names come from data: a dollar sign is a dollar sign.
    "text.parse_math": False,
    "axes.titlesize": 7,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 7,
    "axes.linewidth": 0.5,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.4,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 6,
    "ytick.labelsize": 6,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": 6,
    "legend.frameon": False,
    "legend.handletextpad": 0.7,
    "legend.columnspacing": 1.0,
    "lines.linewidth": 1.0,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "savefig.dpi": PNG_DPI,
}


def new_figure(width_mm: float, height_mm: float) -> Figure:
    """Return an empty figure of this size in millimetres; call inside `mpl.rc_context(RC)`."""
    return Figure(figsize=(width_mm / MM_PER_INCH, height_mm / MM_PER_INCH), layout="constrained")


def save_figure(
    figure: Figure, table: pd.DataFrame, pdf: str | Path, png: str | Path, tsv: str | Path
) -> None:
    """Write a figure as PDF (text stays text) and PNG, and the table it draws as TSV.

    Each file is written whole or not at all, and the same figure gives the same bytes.
    """
    with mpl.rc_context(RC):
        with atomic_path(pdf) as temporary:
            figure.savefig(temporary, format="pdf", metadata={"CreationDate": None})
        with atomic_path(png) as temporary:
            figure.savefig(temporary, format="png", dpi=PNG_DPI, metadata={"Software": None})
    write_tsv(table, tsv)


def abbreviation(tissue: str) -> str:
    """GTEx's abbreviation of a tissue; the name of one that GTEx has not."""
    return gtex_tissues()["abbreviation"].get(tissue, tissue)


def tissue_colors(tissues: Iterable[str]) -> dict[str, str]:
    """Colour of each tissue: GTEx's where it has one, else from a palette in sorted order.

    GTEx gives all brain regions one yellow; only a label or a position tells those apart.
    """
    tissues = sorted(set(tissues))
    colors = gtex_tissues()["color"].dropna().reindex(tissues)
    unknown = [name for name in tissues if pd.isna(colors[name])]
    other = {
        name: UNKNOWN_TISSUE_COLORS[rank % len(UNKNOWN_TISSUE_COLORS)]
        for rank, name in enumerate(unknown)
    }
    return {name: other.get(name, colors[name]) for name in tissues}
