"""Figures by name. A new figure is one module in this package with one ``@figure`` line."""

import importlib
from collections.abc import Callable, Mapping

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from mtm.errors import InputError
from mtm.figures.style import RC
from mtm.registered import registered_modules

Reduce = Callable[..., pd.DataFrame]
Draw = Callable[[pd.DataFrame], Figure]

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

    Returns
    -------
    Figure
        The figure.
    pd.DataFrame
        The table that it draws, and nothing but it.

    Raises
    ------
    InputError
        There is no such figure, or its tables hold nothing to draw.
    """
    modules = registered_modules("mtm.figures", "figure")
    if name not in modules:
        raise InputError("figure", repr(name), f"one of {', '.join(sorted(modules))}")
    # That module alone: others may take longer to import than this figure to draw.
    importlib.import_module(modules[name])
    reduce, draw = _FIGURES[name]
    table = reduce(**tables)
    if table.empty:
        raise InputError(f"figure {name}", "no row to draw", "at least one", "Check its input.")
    with mpl.rc_context(RC):
        return draw(table), table
