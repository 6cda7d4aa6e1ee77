"""What several figures draw: rows of tissues, intervals, null bands, legends and notes."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import offset_copy

from mtm.figures import names
from mtm.figures.style import (
    INK,
    MM_PER_INCH,
    MUTED,
    NULL_COLOR,
    abbreviation,
    tissue_colors,
)
from mtm.settings.disease import contrast_label
from mtm.vocabulary import HEADLINE, MEAN_OF_TISSUES, MEDIAN_OF_TISSUES, PAPER

# Panels of a definition of predictable genes.
DEFINITION_TITLES = {
    HEADLINE.definition: f"Significant: {HEADLINE.title}",
    PAPER.definition: PAPER.title,
}
# Rows that stand for all tissues.
OVER_TISSUES = {MEAN_OF_TISSUES: "Mean of tissues", MEDIAN_OF_TISSUES: "Median of tissues"}
BAND = "#F6F6F6"
SWATCH_POINTS = 5.0
# One tissue; which one, a name or a row says, not a colour: GTEx gives the brain one yellow.
DOT_COLOR = "#B8C4D0"
DOT_MM, DOT_AREA = 1.15, 11.0
# Rows that are less high together than a line of text is long.
FEW_ROWS = 8
# Letters of a name beside a row of dots.
LONGEST_END = 10
# Dots that are named in a panel; the room of a letter, a line and a dot in shares of the panel.
MOST_NAMES, LETTER_ROOM, LINE_ROOM, DOT_ROOM = 5, 0.04, 0.07, 0.02


def minus(text: str) -> str:
    """Text of numbers with minus signs instead of hyphens."""
    return text.replace("-", "\N{MINUS SIGN}")


def counted(tissues: Sequence[str], counts: pd.Series) -> list[str]:
    """Labels of rows: each tissue with its count."""
    return [OVER_TISSUES.get(name) or f"{name}  {counts[name]:.0f}" for name in tissues]


def contrast_title(contrast: str, rows: pd.DataFrame, between: str = " ") -> str:
    """Name of a contrast with its cases and controls: "Asthma (n = 60 / 210)", or ranges."""
    return f"{contrast_label(contrast)}{between}(n = {' / '.join(case_counts(rows))})"


def case_counts(rows: pd.DataFrame) -> list[str]:
    """Cases and controls of some rows, as ranges where rows differ."""
    counts = []
    for column in ("n_cases", "n_controls"):
        low, high = int(rows[column].min()), int(rows[column].max())
        counts.append(str(low) if low == high else f"{low}\N{EN DASH}{high}")
    return counts


def tissue_axis(
    ax: Axes, tissues: Sequence[str], labels: Sequence[str] | None = None, bands: bool = True
) -> None:
    """Give every tissue a row from top to bottom, a line below the one that stands for all.

    Without `labels`, the rows are named by the axes at the left.
    """
    if bands:
        for place in range(1, len(tissues), 2):
            ax.axhspan(place - 0.5, place + 0.5, color=BAND, lw=0, zorder=0)
    if tissues[0] in OVER_TISSUES:
        ax.axhline(0.5, color=INK, lw=0.5)
    ax.set_ylim(len(tissues) - 0.5, -0.5)
    ax.set_yticks(range(len(tissues)))
    ax.tick_params(axis="y", length=0, labelleft=labels is not None)
    ax.grid(axis="x")
    if labels is not None:
        name_tissues(ax, tissues, labels)


def rows_label(ax: Axes, counted: str, n_rows: int) -> None:
    """Say beside rows of tissues what is counted in them, on three lines where rows are few."""
    gap = " " if n_rows > FEW_ROWS else "\n"
    ax.set_ylabel(f"Tissue and its{gap}number of{gap}{counted}")


def name_tissues(ax: Axes, tissues: Sequence[str], labels: Sequence[str]) -> None:
    """Name rows, with the colour of each tissue beside its name."""
    ax.set_yticks(range(len(tissues)), labels)
    ax.tick_params(axis="y", pad=2 * SWATCH_POINTS)
    colors = tissue_colors(set(tissues) - set(OVER_TISSUES))
    beside = offset_copy(ax.get_yaxis_transform(), ax.figure, x=-SWATCH_POINTS, units="points")
    for place, name in enumerate(tissues):
        if name in colors:
            ax.plot(
                0, place, "s", ms=3.8, color=colors[name], mec=INK, mew=0.25,
                transform=beside, clip_on=False,
            )  # fmt: skip


def dodge(marks: Sequence[str], reach: float) -> dict[str, float]:
    """Vertical offset of each of several marks in a row, up to `reach` to either side."""
    offsets = np.linspace(-reach, reach, len(marks)) if len(marks) > 1 else [0.0] * len(marks)
    return dict(zip(marks, offsets, strict=True))


def interval_lines(
    ax: Axes, rows: pd.DataFrame, y: np.ndarray, color: str, lw: float = 0.6, alpha: float = 0.6
) -> None:
    """Draw the columns ``ci_low`` to ``ci_high`` of `rows` at the heights `y`."""
    ax.hlines(y, rows["ci_low"], rows["ci_high"], color=color, lw=lw, alpha=alpha, zorder=2)


def null_band(
    ax: Axes, place: float, low: float, high: float, zorder: float = 1, half: float = 0.42
) -> None:
    """Draw the null interval of a row, or of a mark in it: `half` of its height to either side."""
    ax.fill_betweenx(
        [place - half, place + half], low, high, color=NULL_COLOR, lw=0, zorder=zorder
    )


def null_legend(label: str) -> Patch:
    """Entry that says what the null interval is of."""
    return Patch(color=NULL_COLOR, lw=0, label=label)


def model_legend(models: Iterable[str], **line: object) -> list[Line2D]:
    """One entry a model."""
    look = {"lw": 0, "ms": 4, "mec": "white", "mew": 0.3} | line
    return [
        Line2D([], [], label=names.title(model), **names.style(model), **look)
        for model in names.ordered(models)
    ]


def name_dots(
    ax: Axes, x: Sequence[float], y: Sequence[float], tissues: Sequence[str], first: np.ndarray
) -> None:
    """Write the abbreviations of tissues beside dots, as far as they have room.

    Parameters
    ----------
    ax
        Where, its limits set.
    x, y
        Of each dot, shape ``(n,)``.
    tissues
        Their names.
    first
        How much each deserves its name, shape ``(n,)``; the `MOST_NAMES` first are written.
    """
    points = np.stack([x, y], 1)
    places = ax.transAxes.inverted().transform(ax.transData.transform(points))
    taken: list[np.ndarray] = []
    for index in np.argsort(-np.asarray(first), kind="stable")[:MOST_NAMES]:
        name = abbreviation(tissues[index])
        for side in (1, -1):
            box = _name_box(places[index], len(name), side)
            inside = ((places > box[0]) & (places < box[1])).all(axis=1)
            covers = any(
                (box[0] < other[1]).all() and (other[0] < box[1]).all() for other in taken
            )
            if inside.any() or covers or box[0, 0] < 0 or box[1, 0] > 1:
                continue
            taken.append(box)
            ax.annotate(
                name, points[index], (3 * side, 0), textcoords="offset points", fontsize=6,
                color=MUTED, ha="left" if side > 0 else "right", va="center", parse_math=False,
            )  # fmt: skip
            break


def _name_box(place: np.ndarray, n_letters: int, side: int) -> np.ndarray:
    """Lower left and upper right corner of a name beside a dot, in shares of the panel."""
    ends = sorted(place[0] + side * np.array([DOT_ROOM, DOT_ROOM + LETTER_ROOM * n_letters]))
    return np.stack([ends, place[1] + np.array([-1, 1]) * LINE_ROOM / 2], 1)


def note_first(drawing: Figure | SubFigure, shown: int, total: int, what: str, file: str) -> None:
    """Say in the figure that `file` has more than is drawn, where it has."""
    if total > shown:
        note = f"The first {shown} of {total} {what}; all are in {file}."
        drawing.suptitle(note, fontsize=6, color=MUTED, x=0.99, ha="right")


def swarm(
    ax: Axes,
    x: np.ndarray,
    tissues: Sequence[str],
    place: float,
    mm_per_x: float,
    row_mm: float,
    **marks: object,
) -> None:
    """Draw a dot a tissue around the row `place`, so that none covers another; name both ends.

    Parameters
    ----------
    ax
        Where; a row is `row_mm` high, and one of `x` is `mm_per_x` wide.
    x
        Of each dot, shape ``(n,)``.
    tissues
        Their names; the first and the last along `x` are written, where they are alone there.
    """
    offsets = swarm_offsets(x * mm_per_x, DOT_MM, 0.33 * row_mm) / row_mm
    ax.scatter(
        x, place + offsets, s=(DOT_MM * 72 / MM_PER_INCH) ** 2, c=DOT_COLOR, edgecolors=INK,
        linewidths=0.25, zorder=3, **marks,
    )  # fmt: skip
    for side in (-1, 1) if len(x) > 1 else ():
        index = int(np.argmax(side * x))
        if (x == x[index]).sum() > 1:
            continue
        ax.annotate(
            abbreviation(tissues[index])[:LONGEST_END], (x[index], place + offsets[index]),
            (2.4 * side, 0), textcoords="offset points", fontsize=6, color=MUTED,
            ha="left" if side > 0 else "right", va="center", parse_math=False, zorder=6,
        )  # fmt: skip


def swarm_offsets(x: np.ndarray, diameter: float, height: float) -> np.ndarray:
    """Vertical offsets that keep dots with the positions `x` from covering one another.

    Parameters
    ----------
    x
        Positions, shape ``(n,)``, in the unit of `diameter`.
    diameter
        Distance that two dots should keep.
    height
        Largest offset to either side, in the same unit; a crowd that needs more overlaps.

    Returns
    -------
    np.ndarray
        Shape ``(n,)``; the same for the same `x`.
    """
    step = diameter / 4
    levels = np.arange(0, height + 1e-9, step)
    candidates = np.stack([levels, -levels], 1).ravel()[1:]
    offsets = np.zeros(len(x))
    placed: list[int] = []
    for index in np.argsort(x, kind="stable"):
        near = [other for other in placed if abs(x[other] - x[index]) < diameter]
        gaps = np.array(
            [
                min((np.hypot(x[o] - x[index], offsets[o] - level) for o in near), default=np.inf)
                for level in candidates
            ]
        )
        free = np.flatnonzero(gaps >= diameter)
        offsets[index] = candidates[free[0] if len(free) else gaps.argmax()]
        placed.append(int(index))
    return offsets
