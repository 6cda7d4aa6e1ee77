"""Which arrays a bundle holds: their types and shapes, known before they are read, their values.

A layout maps names of arrays to `Array`. A name with ``{tissue}`` stands for one such array in
each of some tissues, by its number.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import numpy as np

from mtm.errors import InputError, shown

TISSUE = "{tissue}"
# Of a z-score, a weight or a loading; what is larger is no answer.
LARGEST = 1e9
DIVERGED = "If it is your own, its training diverged: lower its learning rate."
Shapes = Mapping[str, tuple[str, tuple[int, ...]]]
Holds = Literal["summary", "individual_level"]


@dataclass(frozen=True)
class Array:
    """One array, made by `summary` or `individual_level`: which of them is never left unsaid.

    Parameters
    ----------
    shape
        Sizes, as numbers, or as names that stand for one size wherever they stand; a name with
        ``{tissue}`` for one size in each tissue.
    kind
        Type of numbers.
    low, high
        Least and largest value.
    above
        What all values are above.
    missing
        Whether values may be missing (NaN).
    optional
        Whether the array may be missing.
    holds
        Whether it has rows or columns of single people, or is of all of them together.
    """

    shape: tuple[int | str, ...]
    kind: str = "float32"
    low: float = -LARGEST
    high: float = LARGEST
    above: float = -np.inf
    missing: bool = False
    optional: bool = False
    holds: Holds = field(kw_only=True)

    def of_tissue(self, tissue: int) -> "Array":
        """Return it as it is of one tissue."""
        number = str(tissue)
        sizes = (s.replace(TISSUE, number) if isinstance(s, str) else s for s in self.shape)
        return replace(self, shape=tuple(sizes))


summary = partial(Array, holds="summary")
individual_level = partial(Array, holds="individual_level")
Layout = Mapping[str, Array]


def below(prefix: str, layout: Layout) -> dict[str, Array]:
    """Return a layout whose names, and names of sizes, stand below `prefix`."""
    return {
        prefix + name: replace(
            array,
            shape=tuple(prefix + s if isinstance(s, str) else s for s in array.shape),
        )
        for name, array in layout.items()
    }


def _tissues(prefix: str, found: Mapping[str, object], n_tissues: int) -> list[int]:
    """Return the tissues that there are arrays of, by the numbers that stand after `prefix`."""
    numbers = {
        name.removeprefix(prefix).split("/")[0] for name in found if name.startswith(prefix)
    }
    return [tissue for tissue in range(n_tissues) if str(tissue) in numbers]


def _of_found(layout: Layout, found: Mapping[str, object], n_tissues: int) -> dict[str, Array]:
    """Return the arrays that must be there, given which tissues there are any of."""
    expected = {}
    for name, array in layout.items():
        if TISSUE not in name:
            expected[name] = array
            continue
        for tissue in _tissues(name.split(TISSUE)[0], found, n_tissues):
            expected[name.replace(TISSUE, str(tissue))] = array.of_tissue(tissue)
    return expected


def individual_arrays(layout: Layout, found: Mapping[str, object], n_tissues: int) -> list[str]:
    """Return the names of the arrays, of those `found`, that hold single people."""
    known = _of_found(layout, found, n_tissues)
    return sorted(name for name in found if known[name].holds == "individual_level")


def check_shapes(layout: Layout, found: Shapes, n_tissues: int) -> None:
    """Refuse arrays that are not what a layout says; their values are not read.

    Parameters
    ----------
    layout
        What should be there.
    found
        Type and shape of each array of the file.
    n_tissues
        Tissues of the model.

    Raises
    ------
    InputError
        An array is missing, unknown, or of another type or shape.
    """
    expected = _of_found(layout, found, n_tissues)
    for name in found:
        if name not in expected:
            raise InputError(
                f"array {name}"[:300], "an array that the model has not", shown(sorted(expected))
            )
    sizes: dict[str, int] = {}
    for name, array in expected.items():
        if name not in found:
            if array.optional:
                continue
            raise InputError(f"array {name}", "nothing", f"{array.kind} of {_words(array.shape)}")
        kind, shape = found[name]
        wanted = tuple(
            sizes.get(size, size) if isinstance(size, str) else size for size in array.shape
        )
        fits = len(shape) == len(wanted) and all(
            isinstance(size, str) or size == there
            for size, there in zip(wanted, shape, strict=True)
        )
        if kind != array.kind or not fits:
            raise InputError(
                f"array {name}", f"{kind} of {_words(shape)}", f"{array.kind} of {_words(wanted)}"
            )
        for size, there in zip(array.shape, shape, strict=True):
            if isinstance(size, str) and sizes.setdefault(size, there) != there:
                raise InputError(f"array {name}", f"{size} {there}", f"{size} {sizes[size]}")


def check_values(layout: Layout, arrays: Mapping[str, np.ndarray], n_tissues: int) -> None:
    """Refuse arrays with values that no model has; shapes are right already.

    Raises
    ------
    InputError
        A value is missing, infinite, or beyond what the layout allows.
    """
    shapes = {name: (str(array.dtype), array.shape) for name, array in arrays.items()}
    for name, array in _of_found(layout, shapes, n_tissues).items():
        values = arrays.get(name)
        if values is None or not values.size:
            continue
        least = float(np.fmin.reduce(values, axis=None))
        most = float(np.fmax.reduce(values, axis=None))
        # Without any value both are NaN, which no comparison holds for.
        empty = array.missing and np.isnan(least)
        if not array.missing and values.dtype.kind == "f" and np.isnan(values.min()):
            raise InputError(
                f"array {name}", "values that are not finite (NaN)", "numbers", DIVERGED
            )
        if not empty and not (array.low <= least and least > array.above and most <= array.high):
            bound = (
                f"above {array.above:g}" if np.isfinite(array.above) else f"at least {array.low:g}"
            )
            raise InputError(
                f"array {name}",
                f"values from {least:g} to {most:g}",
                f"numbers {bound} and at most {array.high:g}",
                "" if np.isfinite([least, most]).all() else DIVERGED,
            )


def check_size(name: str, found: int, expected: int, of: str) -> None:
    """Refuse an array that is not as large as the content of another demands.

    Raises
    ------
    InputError
        `found` is not `expected`, the number of `of`.
    """
    if found != expected:
        raise InputError(f"array {name}", f"{found} {of}", f"{expected} {of}")


def check_scaler(mean: np.ndarray, sd: np.ndarray) -> None:
    """Refuse means and sds, ``(n_tissues, n_genes)``, that some genes of a tissue lack.

    Raises
    ------
    InputError
        A tissue has a mean of some of its genes alone, or one without the other.
    """
    known = ~np.isnan(mean)
    if (known != known[:, :1]).any() or (known == np.isnan(sd)).any():
        raise InputError(
            "array scaler/mean or scaler/sd",
            "values of some genes of a tissue alone",
            "mean and sd of all genes of a tissue, or neither",
        )


def _words(shape: tuple[int | str, ...]) -> str:
    return f"shape ({', '.join(map(str, shape))})"
