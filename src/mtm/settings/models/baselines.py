"""Hyper-parameters of the baselines that learn nothing."""
# fmt: off

from typing import ClassVar

from mtm.settings.models.base import SCALE, ModelParameters, parameters
from mtm.vocabulary import Scale


@parameters("same_gene")
class SameGeneParameters(ModelParameters):
    """Each gene's z-score in the source as its z-score in the target (methods 4, b1)."""

    learns: ClassVar = False
    scale: Scale = SCALE

    @property
    def numbers_a_gene(self) -> int:
        """Nothing but means and sds."""
        return 0


@parameters("tissue_average")
class TissueAverageParameters(ModelParameters):
    """Mean z-score of each gene over the given sources, nothing trained (methods 4, b10)."""

    several_sources: ClassVar = True
    learns: ClassVar = False
    scale: Scale = SCALE

    @property
    def numbers_a_gene(self) -> int:
        """Nothing but means and sds."""
        return 0


@parameters("train_mean")
class TrainMeanParameters(ModelParameters):
    """The training mean of the target tissue, the same for every donor (methods 4, b0)."""

    several_sources: ClassVar = True
    learns: ClassVar = False
    scale: ClassVar[Scale] = "log2_z"

    @property
    def from_expression_alone(self) -> bool:
        """Not even from that."""
        return False

    @property
    def numbers_a_gene(self) -> int:
        """Nothing but means and sds."""
        return 0
