"""One fold: its sentences by training donors' medians, and its encoder, trained or loaded."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mtm.analyses.ranks.encoder import Encoder, train, weights_for
from mtm.analyses.ranks.sentences import sentences_of
from mtm.cohort.cohort import Cohort
from mtm.cohort.ranks import tissue_medians
from mtm.cohort.scaling import TissueScaler
from mtm.errors import CannotDo
from mtm.settings.ranks import Ranks
from mtm.settings.scaling import Scaling
from mtm.vocabulary import HEADLINE


@dataclass(frozen=True)
class Fold:
    """Samples of a fold.

    Parameters
    ----------
    number
        Of the fold.
    medians
        Of its training samples, ``(n_tissues, n_genes)``.
    train, out
        Rows of the cohort: training donors', and held-out donors' of tissues that these have.
    """

    number: int
    medians: np.ndarray
    train: np.ndarray
    out: np.ndarray

    @classmethod
    def of(cls, cohort: Cohort, folds: pd.Series, number: int) -> "Fold":
        """Take the medians of everybody whom the fold does not hold out."""
        fold_of = folds.reindex(cohort.donors.index).to_numpy()[cohort.donor]
        train = np.flatnonzero(fold_of != number)
        medians = tissue_medians(
            cohort.expr_tpm[train], cohort.tissue[train], len(cohort.tissues), cohort.measure
        )
        known = np.isfinite(medians[:, 0])[cohort.tissue]
        out = np.flatnonzero((fold_of == number) & known)
        if not len(train) or not len(out):
            reason = f"fold {number} has no samples"
            raise CannotDo("ranks", reason, "draw fewer folds (folds.n_folds)")
        return cls(number, medians, train, out)

    def scaler(self, cohort: Cohort, scaling: Scaling) -> TissueScaler:
        """Return z-scores of the headline's scale by the fold's training samples."""
        rows = np.zeros(cohort.n_samples, bool)
        rows[self.train] = True
        return cohort.scaler(HEADLINE.scale, scaling, rows)

    def sentences(self, cohort: Cohort, rows: np.ndarray, settings: Ranks) -> np.ndarray:
        """Return samples as `sentences_of` does."""
        return sentences_of(cohort, rows, self.medians, settings.length)


def fit_encoder(
    cohort: Cohort,
    folds: pd.Series,
    number: int,
    settings: Ranks,
    device: str,
    weights: str | Path | None = None,
) -> tuple[Encoder, pd.DataFrame]:
    """Train the encoder of a fold.

    Parameters
    ----------
    cohort, folds, number
        The cohort, and the fold whose donors are left out.
    settings, device
        How, and where.
    weights
        File of weights to start from; whoever names it answers for whom it was trained on.

    Returns
    -------
    Encoder, pd.DataFrame
        And its training table: ``epoch``, ``loss``, ``seconds`` (all), ``n_samples``.
    """
    fold = Fold.of(cohort, folds, number)
    sentences = fold.sentences(cohort, fold.train, settings)
    genes = list(cohort.genes.index)
    first = None
    if weights is not None:
        first = weights_for(weights, genes, sentences.shape[1], settings)
    start = time.perf_counter()
    encoder, table = train(
        sentences, cohort.n_genes, settings, settings.seed + number, device, first
    )
    seconds = time.perf_counter() - start
    return encoder, pd.DataFrame(table).assign(seconds=seconds, n_samples=len(sentences))


def load_encoder(path: str | Path, cohort: Cohort, settings: Ranks, device: str) -> Encoder:
    """Return an encoder of a fold that `mtm.analyses.ranks.encoder.save` wrote."""
    length = min(settings.length, cohort.n_genes)
    encoder = Encoder(cohort.n_genes, length, settings)
    encoder.load_state_dict(weights_for(path, list(cohort.genes.index), length, settings))
    return encoder.to(device).eval()


def untrained(cohort: Cohort, settings: Ranks, seed: int, device: str) -> Encoder:
    """Return an encoder that learned nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = Encoder(cohort.n_genes, min(settings.length, cohort.n_genes), settings)
    return encoder.to(device).eval()
