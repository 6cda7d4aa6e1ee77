"""Ways to break a run, and what may be left of it."""

import os
import shutil

import pytest

needs_mount = pytest.mark.skipif(
    shutil.which("mount") is None or os.geteuid() != 0, reason="needs mount"
)


def fill(path, leaving):
    """Write a file as large as the file system allows, then give some bytes back."""
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(file.tell() - leaving)


def half_written(folder):
    """Files left under temporary names."""
    return [path for path in (folder / "results").rglob("*") if ".partial." in path.name]
