"""Figures by name. A new figure is one module in this package with one ``@figure`` line."""

import importlib
import logging
from collections import Counter
from collections.abc import Callable, Mapping

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from mtm.errors import CannotDo
from mtm.figures.style import COLUMN_MM, RC, new_figure
from mtm.io import NOTE
from mtm.registered import registered_module

Reduce = Callable[..., pd.DataFrame]
Draw = Callable[[pd.DataFrame], Figure]

# Reasons that a figure without data names, the most frequent ones.
MOST_REASONS = 4
log = logging.getLogger(__name__)
_FIGURES: dict[str, tuple[Reduce, Draw]] = {}


def figure(name: str, reduce: Reduce) -> Callable[[Draw], Draw]:
    """Decorate the function that draws figure `name`.

    Parameters
    ----------
    name
        Name of the figure and of its files.
    reduce
        Makes the tidy table that is drawn, and written beside the figure, from the input
        tables, which it gets as keyword arguments under the names that the rule gives them: a
        table where the rule names one file, a dict of tables by path where it names several.
    """

    def add(draw: Draw) -> Draw:
        _FIGURES[name] = (reduce, draw)
        return draw

    return add


def make_figure(
    name: str, tables: Mapping[str, pd.DataFrame | dict[str, pd.DataFrame]]
) -> tuple[Figure, pd.DataFrame]:
    """Reduce the input tables of figure `name` and draw it.

    Where they hold nothing to draw, the figure says so, with the reasons that they give.

    Returns
    -------
    Figure
        The figure.
    pd.DataFrame
        The table that it draws, and nothing but it.

    Raises
    ------
    InputError
        There is no such figure.
    """
    # That module alone: others may take longer to import than this figure to draw.
    importlib.import_module(registered_module("mtm.figures", "figure", name, "figure"))
    reduce, draw = _FIGURES[name]
    table = reduce(**tables)
    with mpl.rc_context(RC):
        if table.empty:
            log.warning("%s: its tables hold no row to draw", name)
            return _page(["Nothing to draw: this cohort has no result of this analysis.", "",
                          *_reasons(tables)]), table  # fmt: skip
        return draw(table), table


def left_out(why: CannotDo) -> tuple[Figure, pd.DataFrame]:
    """Return the page and the table of a figure whose tables could not be made."""
    page = [f"Nothing to draw: {why.analysis} left out.", "", why.reason, f"Remedy: {why.remedy}"]
    with mpl.rc_context(RC):
        return _page(page), pd.DataFrame([[why.analysis, why.reason, why.remedy]], columns=NOTE)


def _reasons(tables: Mapping[str, pd.DataFrame | dict[str, pd.DataFrame]]) -> list[str]:
    """Return the most frequent reasons that tables give, each with its count."""
    given = [
        item
        for value in tables.values()
        for item in (value.values() if isinstance(value, dict) else [value])
    ]
    reasons = Counter(
        str(reason) for item in given if "reason" in item for reason in item["reason"].dropna()
    )
    reasons.pop("", None)
    return [f"{n} x  {reason}" for reason, n in reasons.most_common(MOST_REASONS)]


def _page(lines: list[str]) -> Figure:
    """Draw a page of text."""
    drawing = new_figure(COLUMN_MM, 15 + 5 * len(lines))
    drawing.text(0.04, 0.5, "\n".join(lines), va="center", wrap=True, parse_math=False)
    return drawing
