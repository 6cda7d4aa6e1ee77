"""Digests of input files, so that reruns follow their content and not their time stamps."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from stat import S_ISREG

from mtm.io import atomic_path

CACHE = Path(".snakemake", "input_digests.json")
_cached: dict[Path, dict[str, str]] = {}


def input_digests(files: Mapping[str, str], cache: Path = CACHE) -> dict[str, str]:
    """Digest the content of input files, each by its role.

    A file is read whole once, and again when anything that the file system keeps of it has
    changed: device, inode, size, or the time of the last change of its content or its entry,
    which no program can set back.

    Parameters
    ----------
    files
        Paths by role.
    cache
        Where digests are kept; losing it costs time alone.

    Returns
    -------
    dict
        16 hexadecimal digits by role; "" for a file that is not there yet.
    """
    known = _known(cache)
    before = dict(known)
    digests = {role: _digest(Path(path), known) for role, path in files.items()}
    if known != before:
        _keep(known, cache)
    return digests


def _known(cache: Path) -> dict[str, str]:
    """Digests that earlier runs left, empty where the cache is none."""
    place = cache.absolute()
    if place not in _cached:
        try:
            content = json.loads(cache.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            content = {}
        _cached[place] = content if isinstance(content, dict) else {}
    return _cached[place]


def _digest(path: Path, known: dict[str, str]) -> str:
    """Digest of one file, which is noted in `known`."""
    try:
        stat = path.stat()
        state = f"{stat.st_dev} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"
        if not S_ISREG(stat.st_mode):
            return ""
        if state not in known:
            with open(path, "rb") as file:
                known[state] = hashlib.file_digest(file, "sha256").hexdigest()[:16]
        return known[state]
    except OSError:
        return ""


def _keep(known: dict[str, str], cache: Path) -> None:
    """Write the cache, where it can be written."""
    try:
        if cache.parent.exists() and os.access(cache.parent, os.W_OK):
            with atomic_path(cache) as temporary:
                temporary.write_text(json.dumps(known), encoding="utf-8")
    except OSError:
        pass
