"""Baseline b0: the training mean of the target tissue, the same for every donor (methods 4)."""

import numpy as np

from mtm.cohort.cohort import Cohort
from mtm.models.base import Requests, Untrained
from mtm.models.registry import register
from mtm.settings.models.untrained import TrainMeanParameters


@register("train_mean")
class TrainMean(Untrained):
    """Predict the training mean: z = 0 for every gene and donor."""

    Parameters = TrainMeanParameters

    scale = "log2_z"

    def predict(self, inputs: Cohort, requests: Requests) -> np.ndarray:
        """Return zeros of shape ``(n_requests, n_genes)``."""
        return np.zeros((len(requests), len(self.genes)), np.float32)
