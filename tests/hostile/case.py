"""A row of the hostile table: what is given, to which command, and what must come of it.

Each of the modules that `AREAS` names holds ``CASES`` and may hold ``prepare(folder)``, which
writes what all its rows start from; ``results/`` there is what no row may harm.
"""

import importlib.util
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Literal

AREAS = ("config", "ingest", "predict", "checks", "bundles", "annotation", "faults")


@dataclass(frozen=True)
class Outcome:
    """What became of a command.

    Parameters
    ----------
    status
        Exit status; minus the signal that ended it; None where the time was up.
    text
        What it printed, on both streams, and what it wrote to ``logs/``.
    seconds
        On the clock.
    """

    status: int | None
    text: str
    seconds: float


@dataclass(frozen=True)
class Case:
    """One row.

    Parameters
    ----------
    area
        One of `AREAS`.
    name
        What is wrong (or right) with the input, in words.
    verdict
        ``accept`` ends well in silence about it, ``warn`` ends well and says so, ``refuse`` ends
        with an error.
    make
        Writes the input into the folder that it is given, which is the command's working folder
        and holds a copy of what ``prepare`` wrote; returns the command, which begins with ``mtm``
        or ``snakemake`` (whose ``--snakefile`` and ``--directory`` are added).
    says
        Pattern found in what is printed.
    names
        File or key found in what is printed.
    status
        Exit status; by default 0, and 1 where the verdict is ``refuse``.
    seconds
        Most that the command may take.
    changes
        Whether files of ``results/`` may be replaced, as by a good new input.
    always
        Whether the row runs in every test run, and not with ``make fuzz`` alone.
    then
        Looks at the folder and the outcome after all else; raises AssertionError.
    """

    area: str
    name: str
    verdict: Literal["accept", "refuse", "warn"]
    make: Callable[[Path], Sequence[object]]
    says: str
    names: str = ""
    status: int | None = None
    seconds: float = 20.0
    changes: bool = False
    always: bool = True
    then: Callable[[Path, Outcome], None] | None = None

    @property
    def expected_status(self) -> int:
        """Exit status that the row must give."""
        return self.status if self.status is not None else int(self.verdict == "refuse")

    @property
    def id(self) -> str:
        """Name of the test."""
        words = re.sub(r"[^a-z0-9.+'-]+", "_", self.name.lower()).strip("_")
        return f"{self.area}-{self.verdict}-{words}"


def modules() -> list[ModuleType]:
    """Return the modules of the areas that are there."""
    names = [f"tests.hostile.{area}" for area in AREAS]
    return [import_module(name) for name in names if importlib.util.find_spec(name)]


def all_cases() -> list[Case]:
    """Return the rows of all areas."""
    return [case for module in modules() for case in module.CASES]
