"""Intervals of predictions, and how reliable they are."""
# fmt: off

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from mtm.errors import InputError
from mtm.settings.base import Once, Section, key

Levels = Annotated[
    tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(min_length=1, max_length=9), Once
]


class IntervalSettings(Section):
    """Intervals around predictions, and classes of genes by how well held-out donors are told (methods 6.11)."""

    section: ClassVar = "intervals"

    levels: Levels = key((0.5, 0.8, 0.9), "Shares of observations that intervals should hold, rising; `mtm predict` gives the last.")
    common_donors: float = key(100.0, "Weight of the quantiles that all tissues have in common beside a tissue's own.", ge=10, le=1e6, unit="donors")
    high_rho: float = key(0.5, "A gene is of high reliability in a tissue from this expected correlation.", gt=0, lt=1, unit="Pearson correlation")
    moderate_rho: float = key(0.3, "Of moderate reliability from here.", gt=0, lt=1, unit="Pearson correlation")
    low_rho: float = key(0.1, "Of low reliability from here, and of none below.", gt=0, lt=1, unit="Pearson correlation")
    reliable_q: float = key(0.05, "Of none from this false discovery rate on, whatever the correlation.", gt=0, le=1, unit="Benjamini-Hochberg q-value")

    @property
    def thresholds(self) -> dict[str, float]:
        """Least expected correlation of each class, the best class first."""
        return {"high": self.high_rho, "moderate": self.moderate_rho, "low": self.low_rho}

    def disagreements(self) -> Iterator[InputError]:
        """Yield levels and thresholds out of order."""
        if list(self.levels) != sorted(self.levels):
            yield InputError("levels", str(list(self.levels)), "shares from the smallest on")
        rhos = list(self.thresholds.values())
        if rhos != sorted(rhos, reverse=True):
            yield InputError("low_rho", str(rhos[::-1]), "low_rho, moderate_rho, high_rho in rising order")
