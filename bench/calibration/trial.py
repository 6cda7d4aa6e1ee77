"""What one simulated cohort tells about an interval or a test."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A nominal 95% interval, and the truth that it should hold.

    Parameters
    ----------
    name
        What the interval is of; the same in every simulation.
    low, high
        Its ends; NaN where none is given.
    truth
        The planted value that the interval speaks of, or the mean of many simulations.
    """

    name: str
    low: float
    high: float
    truth: float


@dataclass(frozen=True)
class Test:
    """The P value of a test where the null holds.

    Parameters
    ----------
    name
        What is tested; the same in every simulation.
    p
        Its P value; NaN where none is given.
    """

    name: str
    p: float
