"""Baseline b8: the mean of the training donors whose source tissue looks alike (methods 4)."""

from dataclasses import dataclass

import numpy as np

from mtm.cohort.cohort import Cohort
from mtm.errors import InputError
from mtm.models.base import Training
from mtm.models.per_tissue import MIN_PAIRS, PerTissuePredictor, TissuePairs
from mtm.models.registry import register
from mtm.vocabulary import Scale


@register("nearest_donors")
class NearestDonors(PerTissuePredictor):
    """Average the target tissue of the training donors nearest in the source tissue.

    Near is a high Pearson correlation of the source samples' z-scores over genes.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Hyper-parameters.

        Parameters
        ----------
        n_neighbours
            Donors to average; all paired donors where there are fewer.
        min_pairs
            Tissues with fewer training donors are not fitted.
        scale
            Scale of source and target.
        """

        n_neighbours: int = 20
        min_pairs: int = MIN_PAIRS
        scale: Scale = "log2_z"

    def _prepare(self, training: Training, source_rows: np.ndarray) -> None:
        if self.parameters.n_neighbours < 1:
            raise InputError(
                "n_neighbours of model nearest_donors",
                str(self.parameters.n_neighbours),
                "1 or more",
            )
        self.shared["source"] = self._features(training.cohort, source_rows)

    def _features(self, inputs: Cohort, rows: np.ndarray) -> np.ndarray:
        """Return z-scores of each sample, centred and of length 1: products are correlations."""
        expr_z = self._source_z(inputs, rows)
        expr_z = expr_z - expr_z.mean(1, keepdims=True)
        length = np.linalg.norm(expr_z, axis=1, keepdims=True)
        return expr_z / np.where(length > 0, length, 1)

    def _fit_tissue(
        self, features: np.ndarray, target_z: np.ndarray, pairs: TissuePairs, training: Training
    ) -> tuple[dict[str, np.ndarray], dict]:
        # Half precision: a neighbour's value needs no more, and every pair is kept.
        fit = {"source_position": pairs.source_position, "target": target_z.astype(np.float16)}
        return fit, {}

    def _predict_tissue(self, fit: dict[str, np.ndarray], features: np.ndarray) -> np.ndarray:
        similarity = (features @ self.shared["source"].T)[:, fit["source_position"]]
        n_kept = min(self.parameters.n_neighbours, similarity.shape[1])
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :n_kept]
        weights = np.zeros(similarity.shape, np.float32)
        np.put_along_axis(weights, nearest, np.float32(1 / n_kept), axis=1)
        return weights @ fit["target"].astype(np.float32)
