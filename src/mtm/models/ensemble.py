"""A weighted mean of other models, weights from donors whom inner fits left out (methods 6.10)."""

import logging
from dataclasses import replace
from itertools import islice

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from mtm.cohort.cohort import Cohort
from mtm.models.average import Average
from mtm.models.base import Predictor, Requests, Training
from mtm.models.inner_folds import inner_folds
from mtm.models.layout import Layout, summary
from mtm.models.registry import register
from mtm.models.requests import held_out_requests, predict_in_blocks
from mtm.settings.models.ensemble import EnsembleParameters

LOGGER = logging.getLogger(__name__)


@register("ensemble")
class Ensemble(Average):
    """Predict a mean of the members in which each tissue gives each of them its weight."""

    Parameters = EnsembleParameters

    def _fit(self, training: Training) -> pd.DataFrame:
        super()._fit(training)
        n_members = len(self.members)
        squares = np.zeros((len(self.tissues), n_members, n_members))
        products = np.zeros((len(self.tissues), n_members))
        counts = np.zeros(len(self.tissues), int)
        folds = inner_folds(training, self.parameters.inner_folds)
        for inner, left_out in islice(folds, self.parameters.inner_fits):
            LOGGER.info("finding weights on %d donors left out", len(left_out))
            fitted = [type(member)(member.parameters) for member in self.members.values()]
            for member, whole in zip(fitted, self.members.values(), strict=True):
                # Seeds of one model are members apart, here as where all donors were trained on.
                member.fit(replace(inner, seed=whole.provenance.seed))
            for target, observed_z, told_z in self._left_out(training, inner, left_out, fitted):
                # A few million terms: float32 sums would lose digits that tell members apart.
                squares[target] += np.einsum("ang,bng->ab", told_z, told_z, dtype=np.float64)
                products[target] += np.einsum("ang,ng->a", told_z, observed_z, dtype=np.float64)
                counts[target] += len(observed_z)
        self.weights = _weights(squares, products, counts, self.parameters.common_samples)
        table = pd.DataFrame(self.weights, columns=[f"weight_{name}" for name in self.members])
        return table.assign(tissue=self.tissues, n=counts)

    def _left_out(
        self, training: Training, inner: Training, donors: list[str], fitted: list[Predictor]
    ):
        """Yield each tissue, what donors left out have there and what members tell of it.

        Both are centred gene by gene, as the correlation is that counts.
        """
        cohort, source = training.cohort, self.tissues[training.source]
        scaler = inner.cohort.scaler(self.scale, training.scaling)
        requests, rows = held_out_requests(cohort, donors, source, training.sources)
        for target in np.unique(requests.target):
            kept = np.flatnonzero(requests.target == target)
            # A tissue of which the inner fit has no sample has no z-scores.
            if len(kept) < 2 or not np.isfinite(scaler.mean[target]).all():
                continue
            asked = Requests(requests.source_rows[kept], requests.target[kept])
            told_z = np.stack(
                [
                    self._rescaled(member, scaler, expr_z, asked.target)
                    for member in fitted
                    for expr_z in [np.concatenate(list(predict_in_blocks(member, cohort, asked)))]
                ]
            )
            observed_z = scaler.transform(cohort.expr_tpm[rows[kept]], cohort.tissue[rows[kept]])
            yield (
                int(target),
                observed_z - observed_z.mean(0),
                told_z - told_z.mean(1, keepdims=True),
            )

    def predict(self, inputs: Cohort, requests: Requests) -> np.ndarray:
        """Return the weighted mean over members, those of another scale brought to this one."""
        total = np.zeros((len(requests), len(self.genes)), np.float32)
        for number, expr_z in enumerate(self._told(inputs, requests)):
            total += self.weights[requests.target, number, None].astype(np.float32) * expr_z
        return total

    def forget(self, tissues: np.ndarray) -> None:
        """Let members weigh alike in some tissues."""
        self.weights = self.weights.copy()
        self.weights[tissues] = 1 / len(self.members)

    def state(self) -> dict[str, np.ndarray]:
        """All arrays of the members, and their weights in every tissue."""
        return super().state() | {"weights": self.weights}

    def layout(self) -> Layout:
        """All arrays of the members, and their weights in every tissue."""
        shape = len(self.tissues), len(self.members)
        return dict(super().layout()) | {"weights": summary(shape, "float64", 0.0)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take over the weights."""
        self.weights = state["weights"]


def _weights(
    squares: np.ndarray, products: np.ndarray, counts: np.ndarray, common_samples: float
) -> np.ndarray:
    """Weights of members that minimise the square of what is left, none negative.

    A tissue's own samples stand beside `common_samples` of all tissues' mean, whose best weights
    are those of all tissues.

    Parameters
    ----------
    squares, products
        Sums over samples and genes of products of members, ``(T, m, m)``, and of members with
        what was observed, ``(T, m)``.
    counts
        Samples of each tissue, ``(T,)``.

    Returns
    -------
    np.ndarray
        Shape ``(T, m)``, float64; equal weights where no donor left out told any.
    """
    n_members = products.shape[1]
    if not squares.any():
        return np.full(products.shape, 1 / n_members)
    square, product = squares.sum(0) / counts.sum(), products.sum(0) / counts.sum()
    common = _least_squares(square, product)
    return np.stack(
        [
            _least_squares(of + common_samples * square, by + common_samples * square @ common)
            if common_samples or of.any()
            else common
            for of, by in zip(squares, products, strict=True)
        ]
    )


def _least_squares(square: np.ndarray, product: np.ndarray) -> np.ndarray:
    """Minimise ``w @ square @ w / 2 - w @ product`` over w not negative."""
    values, vectors = np.linalg.eigh(square)
    values = values.clip(min=0)
    kept = values > 1e-9 * values[-1]
    root = (np.sqrt(values) * vectors)[:, kept].T
    return nnls(root, vectors[:, kept].T @ product / np.sqrt(values[kept]))[0]
