"""Where a command writes: never over anything unasked."""

import argparse
import os
from pathlib import Path

from mtm.errors import InputError, shown

# That file systems take.
LONGEST_NAME = 255


def add_out(command: argparse.ArgumentParser, meaning: str, required: bool = False) -> None:
    """Add ``--out``, and ``--force`` that lets it replace a file."""
    command.add_argument("--out", required=required, type=Path, help=meaning)
    command.add_argument(
        "--force", action="store_true", help="replace files that are there already"
    )


def demand_free(out: Path, force: bool, option: str = "--out") -> None:
    """Refuse what cannot be written, and a file that is there already and may not be replaced."""
    from mtm.io import demand_text_name

    demand_text_name(out)
    if os.path.isdir(out):
        raise InputError(f"{option} {out}", "a folder", "a file")
    if os.path.lexists(out) and not force:
        hint = "Name another file, or add --force to replace it."
        raise InputError(f"{option} {out}", "a file that is there already", "a new file", hint)
    if len(os.fsencode(out.name)) > LONGEST_NAME:
        found = f"a name of {len(os.fsencode(out.name))} bytes"
        raise InputError(f"{option} {shown(str(out))}", found, f"at most {LONGEST_NAME}")
    demand_place(out, option)


def demand_place(out: Path, option: str = "--out") -> None:
    """Refuse a place that has no folder, and none can be made, or that may not be written to."""
    folder = next(place for place in out.absolute().parents if os.path.lexists(place))
    if not os.path.isdir(folder):
        raise InputError(f"{option} {out}", f"{folder}, which is no folder", "a place in a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        hint = "Name another, or change its permissions."
        raise InputError(f"{option} {out}", f"{folder}, which may not be written to",
                         "a folder to write to", hint)  # fmt: skip
