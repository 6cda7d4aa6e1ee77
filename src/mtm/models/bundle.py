"""The bundle: arrays, a JSON header and a checksum over both, in one safetensors file."""

import hashlib
import json
import platform
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from mtm import __version__
from mtm.errors import InputError, shown
from mtm.io import atomic_path, require_file
from mtm.models.header import BundleHeader
from mtm.models.layout import Layout, check_shapes, check_values

BUNDLE_VERSION = 2
# Levels of a header's JSON; a model made of others that are made of others has a dozen.
DEEPEST = 40
# Types of numbers as safetensors calls them.
KINDS = {
    "F64": "float64", "F32": "float32", "F16": "float16", "I64": "int64", "I32": "int32",
    "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
_QUOTED, _BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"'), re.compile(r"[\[\]{}]")


def write_bundle(path: str | Path, header: dict, arrays: dict[str, np.ndarray]) -> None:
    """Write `arrays` and `header`, to which the versions of all software concerned are added."""
    arrays = {key: np.ascontiguousarray(value) for key, value in arrays.items()}
    header = header | {
        "bundle_version": BUNDLE_VERSION,
        "versions": {
            "mtm": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
        }
        | ({"torch": version("torch")} if find_spec("torch") else {}),
    }
    # One metadata entry alone: safetensors writes several in an order that changes.
    envelope = {"header": header, "sha256": _digest(header, arrays)}
    metadata = {"mtm": json.dumps(envelope, sort_keys=True)}
    with atomic_path(path) as temporary:
        # safetensors gives a file to its owner alone; others' rights are the umask's to say.
        temporary.touch()
        mode = temporary.stat().st_mode
        save_file(arrays, str(temporary), metadata=metadata)
        temporary.chmod(mode)


def read_header(path: str | Path) -> dict:
    """Return a bundle's header, checked, without reading its arrays.

    Raises
    ------
    InputError
        The file is no bundle, or one of another version, or its header is not sound.
    """
    with _opened(path) as (envelope, _):
        return envelope["header"]


def read_bundle(
    path: str | Path, layout_of: Callable[[dict], Layout]
) -> tuple[dict, dict[str, np.ndarray]]:
    """Return a bundle's header and arrays; no code in the file is ever run.

    A checksum tells damage, not intent: whoever can write a file can write its checksum. So
    the header is checked before arrays are looked at, their shapes before they are read, and
    their values before anything is computed with them.

    Parameters
    ----------
    path
        The file.
    layout_of
        Gives the arrays that a model with this header has.

    Raises
    ------
    InputError
        The file is no bundle, of another version, damaged, or not what a model could be.
    """
    with _opened(path) as (envelope, handle):
        header = envelope["header"]
        n_tissues = len(header["tissues"])
        shapes = {}
        for name in handle.keys():
            part = handle.get_slice(name)
            kind = KINDS.get(part.get_dtype(), part.get_dtype())
            shapes[name] = kind, tuple(part.get_shape())
        layout = layout_of(header)
        check_shapes(layout, shapes, n_tissues)
        arrays = {name: handle.get_tensor(name) for name in shapes}
        if envelope.get("sha256") != _digest(header, arrays):
            raise InputError(
                "checksum",
                "contents that do not match their checksum",
                "an undamaged bundle",
                "Copy or download it again.",
            )
        check_values(layout, arrays, n_tissues)
        return header, arrays


def _digest(header: dict, arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 over the header and every array's name, type, shape and bytes."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for key in sorted(arrays):
        array = arrays[key]
        digest.update(f"{key}|{array.dtype}|{array.shape}|".encode())
        digest.update(memoryview(array).cast("B") if array.size else b"")
    return digest.hexdigest()


@contextmanager
def _opened(path: str | Path) -> Iterator[tuple[dict, Any]]:
    """Open a bundle: its envelope, its header checked, and the handle of its arrays.

    Whatever is wrong with it, there and in the body, is told of the file by its name.
    """
    path = require_file(path, "a model bundle (.safetensors)")
    try:
        with safe_open(str(path), framework="numpy") as handle:
            _demand_names_once(path)
            envelope = _envelope(handle.metadata() or {})
            _check_header(envelope["header"])
            yield envelope, handle
    except InputError as error:
        raise error.within(path) from error
    except (SafetensorError, OSError) as error:
        raise InputError(
            path,
            f"a file that is no bundle, or a damaged one ({error})",
            "a model bundle (.safetensors) written by this software",
            "Files are never unpickled.",
        ) from error


def _envelope(metadata: Mapping[str, str]) -> dict:
    """Return the header and the checksum that a file's metadata hold."""
    text = metadata.get("mtm", "")
    try:
        depth = max(
            accumulate(
                1 if sign in "[{" else -1 for sign in _BRACKET.findall(_QUOTED.sub("", text))
            ),
            default=0,
        )
        if not 0 < depth <= DEEPEST:
            raise ValueError("no header of a bundle" if depth <= 0 else "a header nested too deep")
        envelope = json.loads(text, object_pairs_hook=_without_repeats)
        if not isinstance(envelope["header"], dict):
            raise TypeError("a header without keys")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            "metadata",
            f"a file that is no bundle ({type(error).__name__}: {error})",
            "a model bundle (.safetensors) written by this software",
            "Files are never unpickled.",
        ) from error
    return envelope


def _demand_names_once(path: Path) -> None:
    """Refuse a file in which an array stands twice: readers differ in which they take.

    It is open already, so that its header is JSON of a size and depth that can be read.
    """
    with path.open("rb") as file:
        text = file.read(int.from_bytes(file.read(8), "little"))
    try:
        json.loads(text, object_pairs_hook=_without_repeats)
    except ValueError as error:
        raise InputError("arrays", f"no bundle ({error})", "every name once") from error


def _without_repeats(pairs: list[tuple[str, object]]) -> dict:
    """Return a JSON object, none of whose keys stands twice."""
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key stands twice")
    return values


def _check_header(header: dict) -> None:
    """Refuse a header of another version, and one that is not sound."""
    found = header.get("bundle_version")
    if type(found) is not int or found != BUNDLE_VERSION:
        versions = header.get("versions")
        written_by = versions.get("mtm", "unknown") if isinstance(versions, dict) else "unknown"
        raise InputError(
            "header",
            f"bundle version {shown(found)}",
            f"version {BUNDLE_VERSION}",
            f"Train it again, or use the release of mtm that wrote it ({shown(written_by)}).",
        )
    BundleHeader.of(header)
