"""What the command line says beside its answers."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mtm.errors import InputError, printable


def say(text: str) -> None:
    """Write one line to stderr, if that is open."""
    if sys.stderr is not None:
        print(printable(f"mtm: {text}"), file=sys.stderr)


@contextmanager
def say_all() -> Iterator[None]:
    """Say all problems of an error but the last, which is raised."""
    try:
        yield
    except InputError as error:
        for line in str(error).split("\n")[:-1]:
            say(line)
        raise error.parts[-1] from None
