"""Whose samples a mean correlation is of, and by how much folds widen its error."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from mtm.settings.accuracy import AccuracySettings
from mtm.vocabulary import HEADLINE, SAMPLE_CONVENTION

# Convention of each level of the headline.
CONVENTION_OF = {"gene_wise": HEADLINE.convention, "sample_wise": SAMPLE_CONVENTION}


class Coupling(NamedTuple):
    """By how much fits on each other's donors widen null and interval of a tissue.

    `folds` is of means over the folds that count, `samples` of what all samples are in, those of
    folds with few donors too.
    """

    folds: float = 1.0
    samples: float = 1.0

    def of(self, convention: str) -> float:
        """Return that of a gene-wise convention."""
        return self.folds if convention == HEADLINE.convention else self.samples


UNCOUPLED = Coupling()


@dataclass(frozen=True)
class Counted:
    """Whose samples of a tissue a mean is of, ``(fold, donor)``."""

    donors: frozenset[tuple[int, str]]

    @classmethod
    def of(cls, rows: pd.DataFrame, settings: AccuracySettings, convention: str = "") -> "Counted":
        """Take all `rows`; of correlations within folds those of folds that count."""
        if convention == HEADLINE.convention:
            sizes = rows.groupby("fold")["fold"].transform("size")
            rows = rows[sizes >= settings.min_donors_per_fold]
        return cls(frozenset(zip(rows["fold"], rows["donor"], strict=True)))

    @property
    def sizes(self) -> tuple[int, int]:
        """How many they are, and in how many folds."""
        return len(self.donors), len({fold for fold, _ in self.donors})


def degrees_of(tissues: Sequence[Counted], draws: Sequence[np.ndarray] | None = None) -> int:
    """Degrees of freedom of a mean over tissues: all who are in any, less their folds.

    A tissue whose `draws` are all NaN is not in the mean.
    """
    if draws is not None:
        told = (np.isfinite(drawn).any() for drawn in draws)
        tissues = [one for one, is_told in zip(tissues, told, strict=True) if is_told]
    n_donors, n_folds = Counted(frozenset().union(*(one.donors for one in tissues))).sizes
    return n_donors - n_folds
