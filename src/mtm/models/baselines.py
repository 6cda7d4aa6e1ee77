"""Baselines that learn nothing: the training mean, the same gene, the average of other tissues.

They are b0, b1 and b10 of methods 4.
"""

import numpy as np

from mtm.cohort.cohort import Cohort
from mtm.models.base import Requests, Untrained
from mtm.models.registry import register
from mtm.settings.models.baselines import (
    SameGeneParameters,
    TissueAverageParameters,
    TrainMeanParameters,
)


@register("train_mean")
class TrainMean(Untrained):
    """Predict the training mean: z = 0 for every gene and donor."""

    Parameters = TrainMeanParameters

    def predict(self, inputs: Cohort, requests: Requests) -> np.ndarray:
        """Return zeros of shape ``(n_requests, n_genes)``."""
        return np.zeros((len(requests), len(self.genes)), np.float32)


@register("same_gene")
class SameGene(Untrained):
    """Predict each gene's z-score in the source as its z-score in the target."""

    Parameters = SameGeneParameters

    def predict(self, inputs: Cohort, requests: Requests) -> np.ndarray:
        """Return the source sample's own z-scores, 0 where training never saw its tissue."""
        rows = requests.single_source(self.name)
        expr_z = self.scaler.transform(inputs.expr_tpm[rows], inputs.tissue[rows])
        return np.nan_to_num(expr_z, nan=0.0)


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
