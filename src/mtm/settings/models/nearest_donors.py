"""Hyper-parameters of the mean over the nearest donors."""
# fmt: off

from mtm.settings.base import key
from mtm.settings.models.base import INPUTS, MIN_PAIRS, SCALE, Inputs, ModelParameters, parameters
from mtm.vocabulary import Scale


@parameters("nearest_donors")
class NearestDonorsParameters(ModelParameters):
    """Mean of the training donors nearest in the source tissue (methods 4, b8)."""

    inputs: Inputs = INPUTS
    n_neighbours: int = key(20, "Donors to average; all paired donors where there are fewer.", ge=1, unit="donors")
    min_pairs: int = MIN_PAIRS
    scale: Scale = SCALE
