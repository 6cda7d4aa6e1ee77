"""Baseline b10: the mean of the same gene over all of a donor's other tissues (methods 4)."""

import numpy as np

from mtm.cohort.cohort import Cohort
from mtm.models.base import Requests, Untrained
from mtm.models.registry import register
from mtm.settings.models.untrained import TissueAverageParameters


@register("tissue_average")
class TissueAverage(Untrained):
    """Predict each gene's mean z-score over the given sources; nothing is trained."""

    Parameters = TissueAverageParameters

    def predict(self, inputs: Cohort, requests: Requests) -> np.ndarray:
        """Return the mean over sources; 0 without a source from a tissue training has seen."""
        total = np.zeros((len(requests), len(self.genes)), np.float32)
        known = np.isfinite(self.scaler.mean).all(1)
        count = np.zeros((len(requests), 1), np.float32)
        for rows in requests.source_rows.T:
            given = np.flatnonzero(rows >= 0)
            given = given[known[inputs.tissue[rows[given]]]]
            samples = rows[given]
            total[given] += self.scaler.transform(inputs.expr_tpm[samples], inputs.tissue[samples])
            count[given] += 1
        return total / np.maximum(count, 1)
