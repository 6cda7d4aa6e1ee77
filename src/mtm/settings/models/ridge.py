"""Hyper-parameters of ridge regression on source expression."""
# fmt: off

from typing import Literal

from mtm.settings.base import LARGEST, Names, key
from mtm.settings.models.base import (
    COVARIATE_COLUMNS,
    MEMORY_MB,
    MIN_PAIRS,
    PENALTY_CHOICE,
    PENALTY_GRID,
    SCALE,
    ModelParameters,
    Penalties,
    PenaltyChoice,
    parameters,
)
from mtm.vocabulary import Scale


@parameters("ridge")
class RidgeParameters(ModelParameters):
    """Ridge regression on all source genes (methods 4, b3 and b6)."""

    covariates: Literal["none", "separate", "together"] = key("none", "`none` - source expression alone; `separate` - a ridge on covariates first, the ridge on source expression on what it leaves; `together` - covariates as further columns.")
    covariate_columns: Names = COVARIATE_COLUMNS
    rank: int | None = key(None, "Directions that the fitted values of all genes are cut down to; null keeps all.", ge=1, le=LARGEST, unit="directions")
    penalties: Penalties = PENALTY_GRID
    penalty_choice: PenaltyChoice = PENALTY_CHOICE
    min_pairs: int = MIN_PAIRS
    scale: Scale = SCALE
    memory_mb: float = MEMORY_MB

    @property
    def from_expression_alone(self) -> bool:
        """Whether covariates are left out."""
        return self.covariates == "none"
