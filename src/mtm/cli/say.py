"""What the command line says beside its answers."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mtm.errors import InputError, printable

EVERY_SECONDS = 10.0


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


def progress(n_all: int, what: str, now: Callable[[], float] = time.monotonic):
    """Return what is told how many of `n_all` are done, and says so now and then.

    Parameters
    ----------
    what
        Of which there are so many.
    now
        Seconds that pass.
    """
    start = last = now()

    def done(n: int) -> None:
        nonlocal last
        passed = (time_now := now()) - start
        if time_now - last < EVERY_SECONDS or not 0 < n < n_all:
            return
        last = time_now
        left = duration(passed * (n_all - n) / n)
        say(
            f"{n:,} of {n_all:,} {what} ({n / n_all:.0%}), {n / passed:,.0f} a second, {left} left"
        )

    return done


def duration(seconds: float) -> str:
    """Write a time in the unit that fits."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"about {seconds / length:.{0 if seconds >= 10 * length else 1}f} {unit}"
    return f"about {seconds:.0f} s"
