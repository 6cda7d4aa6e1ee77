"""Hyper-parameters of the average of other models."""
# fmt: off

from typing import ClassVar

from mtm.settings.base import Names, key
from mtm.settings.models.base import (
    SCALE_MEANING,
    CohortSize,
    ModelParameters,
    ModelSize,
    parameters,
)
from mtm.vocabulary import Scale


@parameters("average")
class AverageParameters(ModelParameters):
    """The mean of what other models of the run predict; nothing is trained (methods 6.10)."""

    several_sources: ClassVar = True
    # Nothing of its own: its members say what they learn.
    learns: ClassVar = False

    models: Names = key((), "Two or more models that stand before it in `models` and see the same `sources`.")
    scale: Scale = key("log2_z", f"{SCALE_MEANING} Predictions of members on the other one come to it through TPM.")

    @property
    def members(self) -> tuple[str, ...]:
        """Models whose predictions are averaged."""
        return self.models

    def size(self, cohort: CohortSize) -> ModelSize:
        """Return what it takes beside its members."""
        return ModelSize(cohort.scaler_mb)
