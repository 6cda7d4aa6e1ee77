"""The samples of one tissue, predicted and observed, lined up."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from mtm.cohort.scaling import TissueScaler, log2_tpm
from mtm.errors import InputError
from mtm.predictions.held_out import HeldOut
from mtm.settings.scaling import Scaling
from mtm.statistics.correlation import (
    CONSTANT_TOLERANCE,
)
from mtm.vocabulary import SCALES, Scale

# Statistics of a single tissue have one row, which broadcasts over samples.
ONLY_TISSUE = np.zeros(1, np.int64)


@dataclass(frozen=True)
class Values:
    """Predictions and observations of some genes, each ``(n_samples, n_genes)``, float64."""

    predicted_z: torch.Tensor
    observed_z: torch.Tensor
    predicted_raw: torch.Tensor
    observed_raw: torch.Tensor

    def pooled(self, convention: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Prediction and observation of a pooled convention."""
        if convention == "pooled_z":
            return self.predicted_z, self.observed_z
        return self.predicted_raw, self.observed_raw


@dataclass(frozen=True)
class TissueSamples:
    """Held-out samples of one tissue, sorted by fold, with the training statistics of each fold.

    `predicted` is in the model's scale, `observed_tpm` in TPM, both ``(n_samples, n_genes)``;
    `scalers` holds one scaler a scale and fold, of this tissue alone.
    """

    predicted: np.ndarray
    observed_tpm: np.ndarray
    folds: tuple[int, ...]
    parts: tuple[slice, ...]
    scalers: Mapping[str, Sequence[TissueScaler]]
    model_scale: Scale
    device: torch.device

    @property
    def n_samples(self) -> int:
        """Number of held-out samples."""
        return len(self.predicted)

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return self.predicted.shape[1]

    def values(self, scale: Scale, genes: slice | np.ndarray) -> Values:
        """Bring predictions and observations of `genes` to `scale` and to its expression units."""
        n_genes = self.predicted[:1, genes].shape[1]
        arrays = [np.empty((self.n_samples, n_genes), np.float32) for _ in range(4)]
        for index, part in enumerate(self.parts):
            native = _of_genes(self.scalers[self.model_scale][index], genes)
            scaler = _of_genes(self.scalers[scale][index], genes)
            predicted, observed_tpm = self.predicted[part, genes], self.observed_tpm[part, genes]
            predicted_tpm = native.inverse(predicted, ONLY_TISSUE)
            if scale != self.model_scale:
                predicted_z = scaler.transform(predicted_tpm, ONLY_TISSUE)
            elif scaler.clip is None:
                predicted_z = predicted
            else:
                predicted_z = np.clip(predicted, -scaler.clip, scaler.clip)
            on_log2 = scale == "log2_z"
            derived = (
                predicted_z,
                scaler.transform(observed_tpm, ONLY_TISSUE),
                log2_tpm(predicted_tpm) if on_log2 else predicted_tpm,
                log2_tpm(observed_tpm) if on_log2 else observed_tpm,
            )
            constant = (_constant(predicted), _constant(observed_tpm)) * 2
            for array, values, fixed in zip(arrays, derived, constant, strict=True):
                # What was constant stays so, whatever rounding the conversions add.
                array[part] = np.where(fixed, values[:1], values) if fixed.any() else values
        return Values(*(torch.from_numpy(array).to(self.device).double() for array in arrays))


def _of_genes(scaler: TissueScaler, genes: slice | np.ndarray) -> TissueScaler:
    """Return the scaler of some genes."""
    return replace(scaler, mean=scaler.mean[:, genes], sd=scaler.sd[:, genes])


def _constant(values: np.ndarray) -> np.ndarray:
    """Whether columns do not vary beyond float32 rounding."""
    highest, lowest = values.max(0), values.min(0)
    largest = np.maximum(np.abs(highest), np.abs(lowest))
    return highest - lowest <= CONSTANT_TOLERANCE * largest


def _fit_scalers(
    train_tpm: Sequence[np.ndarray], scaling: Scaling, block_genes: int
) -> dict[str, list[TissueScaler]]:
    """Fit scalers of one tissue on each fold's training samples, in blocks of genes."""
    blocks = [
        slice(start, start + block_genes) for start in range(0, train_tpm[0].shape[1], block_genes)
    ]

    def fit(job: tuple[str, np.ndarray, slice]) -> TissueScaler:
        scale, expr_tpm, block = job
        tissue = np.zeros(len(expr_tpm), np.int64)
        return TissueScaler.fit(expr_tpm[:, block], tissue, 1, scale, scaling)

    jobs = [(scale, tpm, block) for scale in SCALES for tpm in train_tpm for block in blocks]
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        fitted = list(pool.map(fit, jobs))
    whole = [
        replace(
            fitted[start],
            mean=np.concatenate([piece.mean for piece in fitted[start : start + len(blocks)]], 1),
            sd=np.concatenate([piece.sd for piece in fitted[start : start + len(blocks)]], 1),
        )
        for start in range(0, len(fitted), len(blocks))
    ]
    n_folds = len(train_tpm)
    return {scale: whole[i * n_folds : (i + 1) * n_folds] for i, scale in enumerate(SCALES)}


def line_up(
    held_out: HeldOut,
    rows: pd.DataFrame,
    predicted: np.ndarray,
    tissue_tpm: np.ndarray,
    device: torch.device,
    block_genes: int,
) -> TissueSamples:
    """Put the held-out samples of a tissue beside the training statistics of their folds."""
    name = rows["tissue"].iloc[0]
    samples = held_out.samples[held_out.samples["tissue"] == name]
    folds, starts = np.unique(rows["fold"].to_numpy(), return_index=True)
    stops = [*starts[1:], len(rows)]
    train_tpm = [tissue_tpm[samples["fold"].to_numpy() != fold] for fold in folds]
    for fold, expr_tpm in zip(folds, train_tpm, strict=True):
        if not len(expr_tpm):
            raise InputError(
                held_out.expression,
                f"no training sample of {name} in fold {fold}",
                "training samples of every predicted tissue",
                "Filter out the tissue, or use fewer folds.",
            )
    row_of = pd.Series(np.arange(len(samples)), index=samples.index.astype(str))
    return TissueSamples(
        predicted=predicted,
        observed_tpm=tissue_tpm[row_of[rows["sample_id"]].to_numpy()],
        folds=tuple(int(fold) for fold in folds),
        parts=tuple(slice(int(a), int(b)) for a, b in zip(starts, stops, strict=True)),
        scalers=_fit_scalers(train_tpm, held_out.scaling, block_genes),
        model_scale=held_out.scale,
        device=device,
    )
