"""The bundle: arrays, a JSON header and a checksum over both, in one safetensors file."""

import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from mtm import __version__
from mtm.errors import InputError
from mtm.io import atomic_path

BUNDLE_VERSION = 1


def write_bundle(path: str | Path, header: dict, arrays: dict[str, np.ndarray]) -> None:
    """Write `arrays` and `header`, to which the versions of all software concerned are added."""
    arrays = {key: np.ascontiguousarray(value) for key, value in arrays.items()}
    header = header | {
        "bundle_version": BUNDLE_VERSION,
        "versions": {
            "mtm": __version__,
            "python": platform.python_version(),
            "torch": version("torch"),
            "numpy": np.__version__,
        },
    }
    # One metadata entry alone: safetensors writes several in an order that changes.
    envelope = {"header": header, "sha256": _digest(header, arrays)}
    metadata = {"mtm": json.dumps(envelope, sort_keys=True)}
    with atomic_path(path) as temporary:
        save_file(arrays, str(temporary), metadata=metadata)


def read_header(path: str | Path) -> dict:
    """Return a bundle's header without reading its arrays.

    Raises
    ------
    InputError
        The file is no bundle, or one of another version.
    """
    return _envelope(path)["header"]


def read_bundle(path: str | Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Return a bundle's header and arrays; no code in the file is ever run.

    Raises
    ------
    InputError
        The file is no bundle, of another version, or damaged.
    """
    envelope = _envelope(path)
    try:
        with safe_open(str(path), framework="numpy") as handle:
            arrays = {key: handle.get_tensor(key) for key in handle.keys()}
    except (SafetensorError, OSError) as error:
        raise InputError(path, f"damaged arrays ({error})", "a whole bundle") from error
    if envelope.get("sha256") != _digest(envelope["header"], arrays):
        raise InputError(
            path,
            "contents that do not match their checksum",
            "an undamaged bundle",
            "Copy or download it again.",
        )
    return envelope["header"], arrays


def _digest(header: dict, arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 over the header and every array's name, type, shape and bytes."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for key in sorted(arrays):
        array = arrays[key]
        digest.update(f"{key}|{array.dtype}|{array.shape}|".encode())
        digest.update(memoryview(array).cast("B") if array.size else b"")
    return digest.hexdigest()


def _envelope(path: str | Path) -> dict:
    """Return a bundle's header and checksum, the header's version checked."""
    path = Path(path)
    if not path.exists():
        raise InputError(path, "no such file", "a model bundle (.safetensors)")
    try:
        with safe_open(str(path), framework="numpy") as handle:
            metadata = handle.metadata() or {}
        envelope = json.loads(metadata["mtm"])
        found = envelope["header"]["bundle_version"]
        written_by = envelope["header"].get("versions", {}).get("mtm", "unknown")
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise InputError(
            path,
            f"a file that is no bundle ({type(error).__name__}: {error})",
            "a model bundle (.safetensors) written by this software",
            "Files are never unpickled.",
        ) from error
    if found != BUNDLE_VERSION:
        raise InputError(
            path,
            f"bundle version {found}",
            f"version {BUNDLE_VERSION}",
            f"Train it again, or use the release of mtm that wrote it ({written_by}).",
        )
    return envelope
