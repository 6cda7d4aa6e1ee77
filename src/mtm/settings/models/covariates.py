"""Hyper-parameters of ridge regression on covariates alone."""
# fmt: off

from typing import ClassVar

from mtm.settings.base import Names
from mtm.settings.models.base import (
    COVARIATE_COLUMNS,
    MEMORY_MB,
    MIN_PAIRS,
    MOST_COVARIATES,
    PENALTY_CHOICE,
    PENALTY_GRID,
    SCALE,
    ModelParameters,
    Penalties,
    PenaltyChoice,
    parameters,
)
from mtm.vocabulary import Scale


@parameters("covariates")
class CovariatesParameters(ModelParameters):
    """Ridge regression on covariates alone, without any expression (methods 4, b2)."""

    on_card: ClassVar = True
    of_covariates_alone: ClassVar = True

    covariate_columns: Names = COVARIATE_COLUMNS
    penalties: Penalties = PENALTY_GRID
    penalty_choice: PenaltyChoice = PENALTY_CHOICE
    min_pairs: int = MIN_PAIRS
    scale: Scale = SCALE
    memory_mb: float = MEMORY_MB

    @property
    def from_expression_alone(self) -> bool:
        """Never."""
        return False

    @property
    def numbers_a_gene(self) -> int:
        """Coefficients and an intercept."""
        return MOST_COVARIATES
