"""Hyper-parameters of TEEBoT."""
# fmt: off

from collections.abc import Iterator
from typing import ClassVar

from mtm.errors import InputError
from mtm.settings.base import Names, key
from mtm.settings.models.base import (
    INPUTS,
    MEMORY_MB,
    MIN_PAIRS,
    MOST_COVARIATES,
    SCALE,
    Inputs,
    ModelParameters,
    parameters,
)
from mtm.vocabulary import Scale


@parameters("teebot")
class TEEBoTParameters(ModelParameters):
    """TEEBoT - LASSO on principal components of the source tissue (methods 2, S2)."""

    on_card: ClassVar = True

    inputs: Inputs = INPUTS
    n_components: int = key(10, "Principal components of the source tissue.", ge=1, unit="components")
    standardise_genes: bool = key(False, "Take the components of z-scores in place of expression.")
    covariate_columns: Names = key((), "Covariates beside the components, used as far as the cohort has them.")
    n_folds: int = key(5, "Folds of the inner cross-validation.", ge=2, unit="folds")
    n_penalties: int = key(100, "Length of the path of penalties.", ge=1, unit="penalties")
    smallest_penalty: float = key(1e-3, "Last penalty of the path as a share of the first.", gt=0, lt=1, unit="share")
    max_iter: int = key(1000, "Largest number of passes of the coordinate descent.", ge=1, unit="passes")
    tol: float = key(1e-4, "Duality gap at which the coordinate descent stops, relative to the target's variance.", gt=0)
    min_pairs: int = MIN_PAIRS
    scale: Scale = SCALE
    memory_mb: float = MEMORY_MB

    def disagreements(self) -> Iterator[InputError]:
        """Demand a donor for every inner fold."""
        if self.min_pairs < self.n_folds:
            yield InputError("min_pairs", str(self.min_pairs), f"n_folds, {self.n_folds}, or more")

    @property
    def from_expression_alone(self) -> bool:
        """Whether no covariates stand beside the components."""
        return not self.covariate_columns

    @property
    def numbers_a_gene(self) -> int:
        """Coefficients, and a part of the axes."""
        return 2 * self.n_components + MOST_COVARIATES
