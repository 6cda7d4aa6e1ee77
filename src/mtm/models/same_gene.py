"""Baseline b1: the same gene in the source tissue (methods 4)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm.cohort import Cohort
from mtm.models.base import Predictor, Requests, Training
from mtm.models.registry import register
from mtm.scaling import Scale


@register("same_gene")
class SameGene(Predictor):
    """Predict each gene's z-score in the source as its z-score in the target."""

    @dataclass(frozen=True)
    class Parameters:
        """Hyper-parameters.

        Parameters
        ----------
        scale
            Scale of source and target.
        """

        scale: Scale = "log2_z"

    @property
    def scale(self) -> Scale:
        """Scale of the predictions."""
        return self.parameters.scale

    def _fit(self, training: Training) -> pd.DataFrame:
        return pd.DataFrame({"epoch": [0]})

    def predict(self, inputs: Cohort, requests: Requests) -> np.ndarray:
        """Return the source sample's own z-scores, 0 where training never saw its tissue."""
        rows = requests.single_source(self.name)
        expr_z = self.scaler.transform(inputs.expr_tpm[rows], inputs.tissue[rows])
        return np.nan_to_num(expr_z, nan=0.0)

    def state(self) -> dict[str, np.ndarray]:
        """No learned arrays."""
        return {}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Nothing to take over."""
