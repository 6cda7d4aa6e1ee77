"""How far long work is: a bar on a terminal, a line now and then in the log elsewhere."""

import logging
import time
from collections.abc import Callable

from tqdm import tqdm

LOGGER = logging.getLogger(__name__)

LINE_SECONDS = 60.0


class Pace:
    """Says now and then how much is done, how fast that was and how long the rest will take.

    Lines come further apart the longer it takes: by a tenth of the time so far.

    Parameters
    ----------
    n_all
        How many there are; nothing is said where that is None, of which nobody knows the end.
    what
        Of which there are so many, as in ``"steps"``.
    say
        What is given a line.
    every
        Seconds between lines at least.
    done
        How many were done before.
    written
        Writes a number of them.
    now
        Seconds that pass.
    """

    def __init__(
        self,
        n_all: float | None,
        what: str,
        say: Callable[[str], object],
        every: float = LINE_SECONDS,
        done: float = 0,
        written: Callable[[float], str] = "{:,}".format,
        now: Callable[[], float] = time.monotonic,
    ):
        self.n_all, self.what, self.say, self.every = n_all, what, say, every
        self.before, self.written, self.now = done, written, now
        self.start = self.last = now()

    def __call__(self, done: float) -> None:
        """Be told that so many are done."""
        if not self.n_all or not self.before < done < self.n_all:
            return
        time_now = self.now()
        passed = time_now - self.start
        if time_now - self.last < max(self.every, passed / 10):
            return
        self.last = time_now
        rate = (done - self.before) / passed
        speed = self.written(round(rate)) if rate >= 10 else f"{rate:.2g}"
        self.say(
            f"{self.written(done)} of {self.written(self.n_all)} {self.what} "
            f"({done / self.n_all:.0%}), {speed} a second, "
            f"{duration((self.n_all - done) / rate)} left"
        )


class Bar(tqdm):
    """A bar on stderr where that is a terminal; elsewhere lines in the log.

    Parameters
    ----------
    total
        How many there are, if that is known.
    unit
        One of them.
    desc
        What is done.
    initial
        How many were done before.
    show
        Whether to show the bar; None shows it on a terminal alone. Without one there are lines
        only where that is None.
    **options
        Of `tqdm.tqdm`.
    """

    def __init__(
        self,
        total: float | None,
        unit: str,
        desc: str,
        initial: float = 0,
        show: bool | None = None,
        **options,
    ):
        super().__init__(
            total=total,
            initial=initial,
            unit=unit,
            desc=desc,
            disable=None if show is None else not show,
            mininterval=1,
            **options,
        )
        scaled = options.get("unit_scale", False)
        self._pace = Pace(
            None if show is False else total,
            unit if scaled else f"{unit.removesuffix('s')}s",
            lambda line: LOGGER.info("%s: %s", desc, line),
            LINE_SECONDS,
            initial,
            tqdm.format_sizeof if scaled else "{:,}".format,
        )

    def update(self, n: float = 1) -> bool | None:
        """So many more are done."""
        if not self.disable:
            return super().update(n)
        self.n += n
        return self._pace(self.n)


def duration(seconds: float) -> str:
    """Write a time in the unit that fits."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"about {seconds / length:.{0 if seconds >= 10 * length else 1}f} {unit}"
    return f"about {seconds:.0f} s"
