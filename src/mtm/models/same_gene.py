"""Baseline b1: the same gene in the source tissue (methods 4)."""

import numpy as np

from mtm.cohort.cohort import Cohort
from mtm.models.base import Requests, Untrained
from mtm.models.registry import register
from mtm.settings.models.untrained import SameGeneParameters


@register("same_gene")
class SameGene(Untrained):
    """Predict each gene's z-score in the source as its z-score in the target."""

    Parameters = SameGeneParameters

    def predict(self, inputs: Cohort, requests: Requests) -> np.ndarray:
        """Return the source sample's own z-scores, 0 where training never saw its tissue."""
        rows = requests.single_source(self.name)
        expr_z = self.scaler.transform(inputs.expr_tpm[rows], inputs.tissue[rows])
        return np.nan_to_num(expr_z, nan=0.0)
