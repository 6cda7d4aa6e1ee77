"""Baseline b8: the mean of the training donors whose source tissue looks alike (methods 4)."""

import numpy as np

from mtm.cohort.cohort import Cohort
from mtm.models.base import Training
from mtm.models.layout import TISSUE, Layout, individual_level
from mtm.models.per_tissue import PerTissuePredictor, TissuePairs
from mtm.models.registry import register
from mtm.settings.models.nearest_donors import NearestDonorsParameters


@register("nearest_donors")
class NearestDonors(PerTissuePredictor):
    """Average the target tissue of the training donors nearest in the source tissue.

    Near is a high Pearson correlation of the source samples' z-scores over genes.
    """

    Parameters = NearestDonorsParameters

    def _prepare(self, training: Training, source_rows: np.ndarray) -> None:
        self.shared["source"] = self._features(training.cohort, source_rows)

    def _features(self, inputs: Cohort, rows: np.ndarray) -> np.ndarray:
        """Return z-scores of each sample, centred and of length 1: products are correlations."""
        expr_z = self.seen(inputs, rows)
        expr_z = expr_z - expr_z.mean(1, keepdims=True)
        length = np.linalg.norm(expr_z, axis=1, keepdims=True)
        return expr_z / np.where(length > 0, length, 1)

    def _fit_tissue(
        self, features: np.ndarray, target_z: np.ndarray, pairs: TissuePairs, training: Training
    ) -> tuple[dict[str, np.ndarray], dict]:
        # Half precision: a neighbour's value needs no more, and every pair is kept.
        fit = {"source_position": pairs.source_position, "target": target_z.astype(np.float16)}
        return fit, {}

    def _shared_layout(self) -> Layout:
        shape = "training samples", len(self.genes)
        return {"source": individual_level(shape, low=-1.01, high=1.01)}

    def _tissue_layout(self) -> Layout:
        pairs = f"pairs of {TISSUE}"
        return {
            "source_position": individual_level((pairs,), "int64", 0),
            "target": individual_level((pairs, len(self.genes)), "float16"),
        }

    def _predict_tissue(self, fit: dict[str, np.ndarray], features: np.ndarray) -> np.ndarray:
        similarity = (features @ self.shared["source"].T)[:, fit["source_position"]]
        n_kept = min(self.parameters.n_neighbours, similarity.shape[1])
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :n_kept]
        weights = np.zeros(similarity.shape, np.float32)
        np.put_along_axis(weights, nearest, np.float32(1 / n_kept), axis=1)
        return weights @ fit["target"].astype(np.float32)
