"""What the command line says beside its answers."""

import sys

from mtm.errors import printable


def say(text: str) -> None:
    """Write one line to stderr."""
    print(printable(f"mtm: {text}"), file=sys.stderr)
