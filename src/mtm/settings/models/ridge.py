"""Hyper-parameters of ridge regression on source expression."""
# fmt: off

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mtm.settings.base import LARGEST, Names, key
from mtm.settings.models.base import (
    COVARIATE_COLUMNS,
    INPUTS,
    MEMORY_MB,
    MIN_PAIRS,
    PENALTY_CHOICE,
    PENALTY_GRID,
    SCALE,
    Inputs,
    ModelParameters,
    Penalties,
    PenaltyChoice,
    parameters,
)
from mtm.vocabulary import Scale

Weights = Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)]


@parameters("ridge")
class RidgeParameters(ModelParameters):
    """Ridge regression on all source genes (methods 4, b3 and b6)."""

    on_card: ClassVar = True

    inputs: Inputs = INPUTS
    covariates: Literal["none", "own_penalty", "together", "separate"] = key("none", "`none` - source expression alone; `own_penalty` - covariates beside it with a penalty of their own; `together` - covariates as further columns, a few among thousands of genes; `separate` - a ridge on covariates first, the ridge on source expression on what it leaves. The last two are for comparison.")
    covariate_weights: Weights = key((0.0, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0, 1000.0), "Candidate weights of the covariates' kernel for `own_penalty`, where that of the genes has 1 and both have one mean eigenvalue; one a tissue, by generalised cross-validation. 0 leaves covariates out, the largest hardly penalises them.")
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
