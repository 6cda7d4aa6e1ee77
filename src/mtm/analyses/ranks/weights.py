"""What a file of an encoder's weights says of itself, before any of them is read."""

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from mtm.errors import InputError, shown
from mtm.io import require_file

GENES = "genes"
MOST_GENES = 200_000


@dataclass(frozen=True)
class Described:
    """Ids of genes, and the shape of every array."""

    genes: list[str]
    shapes: dict[str, tuple[int, ...]]


def described(path: str | Path) -> Described:
    """Read what a file holds; nothing in it is run, no array is read.

    Raises
    ------
    InputError
        It is no safetensors file, has no list of different genes, or other numbers than F32.
    """
    path = require_file(path, "weights of an encoder (.safetensors)")
    try:
        with safe_open(str(path), framework="numpy") as handle:
            genes = _genes((handle.metadata() or {}).get(GENES, ""))
            parts = {name: handle.get_slice(name) for name in handle.keys()}
            wrong = [name for name, part in parts.items() if part.get_dtype() != "F32"]
            shapes = {name: tuple(part.get_shape()) for name, part in parts.items()}
    except (SafetensorError, OSError) as error:
        expected = "a safetensors file that this analysis wrote"
        raise InputError(path, f"a file that is none ({error})", expected) from error
    except InputError as error:
        raise error.within(path) from error
    if wrong:
        raise InputError(path, f"other numbers in {shown(wrong[0])}", "32-bit numbers (F32)")
    return Described(genes, shapes)


def _genes(text: str) -> list[str]:
    try:
        genes = json.loads(text) if len(text) < 64 * MOST_GENES else None
    except (ValueError, RecursionError):
        genes = None
    sound = isinstance(genes, list) and all(isinstance(gene, str) for gene in genes)
    if not sound or not 0 < len(genes) <= MOST_GENES or len(set(genes)) < len(genes):
        raise InputError("its list of genes", "none, or no ids that differ", "gene ids")
    return genes
