"""Where a command writes: never over anything unasked."""

import argparse
import os
from pathlib import Path

from mtm.errors import InputError


def add_out(command: argparse.ArgumentParser, meaning: str, required: bool = False) -> None:
    """Add ``--out``, and ``--force`` that lets it replace a file."""
    command.add_argument("--out", required=required, type=Path, help=meaning)
    command.add_argument(
        "--force", action="store_true", help="replace files that are there already"
    )


def demand_free(out: Path, force: bool, option: str = "--out") -> None:
    """Refuse a folder, and a file that is there already where it may not be replaced."""
    if out.is_dir():
        raise InputError(f"{option} {out}", "a folder", "a file")
    if os.path.lexists(out) and not force:
        hint = "Name another file, or add --force to replace it."
        raise InputError(f"{option} {out}", "a file that is there already", "a new file", hint)
