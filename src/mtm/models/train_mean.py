"""Baseline b0: the training mean of the target tissue, the same for every donor (methods 4)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm.cohort import Cohort
from mtm.models.base import Predictor, Requests, Training
from mtm.models.registry import register


@register("train_mean")
class TrainMean(Predictor):
    """Predict the training mean: z = 0 for every gene and donor."""

    @dataclass(frozen=True)
    class Parameters:
        """None."""

    scale = "log2_z"

    def _fit(self, training: Training) -> pd.DataFrame:
        return pd.DataFrame({"epoch": [0]})

    def predict(self, inputs: Cohort, requests: Requests) -> np.ndarray:
        """Return zeros of shape ``(n_requests, n_genes)``."""
        return np.zeros((len(requests), len(self.genes)), np.float32)

    def state(self) -> dict[str, np.ndarray]:
        """No learned arrays."""
        return {}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Nothing to take over."""
