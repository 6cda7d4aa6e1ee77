"""Hyper-parameters of the weighted mean of other models."""
# fmt: off

from typing import ClassVar

from mtm.settings.base import key
from mtm.settings.models.average import AverageParameters
from mtm.settings.models.base import CohortSize, ModelSize, parameters


@parameters("ensemble")
class EnsembleParameters(AverageParameters):
    """A weighted mean of what other models of the run predict; weights by tissue (methods 6.10)."""

    # Its members are fitted again to find weights.
    on_card: ClassVar = True

    inner_folds: int = key(5, "Parts that training donors are split into to find weights: members are fitted again without one and predict it.", ge=2, le=100, unit="folds")
    inner_fits: int = key(2, "Parts left out in turn, at most; every one costs a training of each member.", ge=1, le=100, unit="trainings")
    common_samples: float = key(100.0, "Pull of a tissue's weights towards those of all tissues.", ge=0, le=1e9, unit="samples")

    def size(self, cohort: CohortSize) -> ModelSize:
        """Return what it takes beside its members: a part of the samples, by each of them."""
        return ModelSize(cohort.scaler_mb, 0.0, cohort.matrix_mb)
