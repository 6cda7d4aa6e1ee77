"""The samples of one tissue, predicted and observed, lined up: what every analysis loops over.

    for tissue in tissues(held_out):
        values = tissue.values("log2_z", slice(None))

The tissue is the unit of work: memory is that of a few tissues' samples, and the arrays derived
from them are made for some genes at a time.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import h5py
import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from mtm.cohort.scaling import TissueScaler, log2_tpm
from mtm.errors import InputError
from mtm.predictions.held_out import HeldOut, read_rows
from mtm.settings.scaling import Scaling
from mtm.statistics.correlation import CONSTANT_TOLERANCE
from mtm.vocabulary import SCALES_OF, Measure, Reading, Scale

# Genes worked on at a time; no result depends on it.
BLOCK_GENES = 2048
SCALER_GENES = 256
# Share of squares about the mean of all samples below which a variance is taken afresh.
LEAST_SHARE = 1e-8
# Tissues worked on at a time: each is memory, and cores beyond find little to do.
AT_ONCE = 4
Result = TypeVar("Result")
# Statistics of a single tissue have one row, which broadcasts over samples.
ONLY_TISSUE = np.zeros(1, np.int64)


@dataclass(frozen=True)
class Values:
    """Predictions and observations of some genes, each ``(n_samples, n_genes)``, float32."""

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
class Tissue:
    """Held-out samples of one tissue, sorted by fold, predicted and observed.

    Parameters
    ----------
    name
        The tissue.
    rows
        One row a sample, a part of `HeldOut.rows`.
    gene_ids
        Genes, the columns of the arrays.
    predicted
        Shape ``(n_samples, n_genes)``, float32, in `model_scale`.
    observed_tpm
        Shape ``(n_samples, n_genes)``, float32, TPM.
    folds, parts
        Folds of the samples, and the slice of `rows` that is each fold's.
    tissue_tpm
        TPM of all samples of the tissue.
    training
        Which of these each fold is trained on, bool, shape ``(n_folds, n_tissue_samples)``.
    model_scale
        Scale of `predicted`.
    scaling
        How z-scores are made.
    device
        Where `values` are.
    beside
        The same samples as another model predicts them; None where `tissues` got no other.
    measure
        What expression is measured in; on a scale of their own, values stand for TPM.
    """

    name: str
    rows: pd.DataFrame
    gene_ids: pd.Index
    predicted: np.ndarray
    observed_tpm: np.ndarray
    folds: tuple[int, ...]
    parts: tuple[slice, ...]
    tissue_tpm: np.ndarray
    training: np.ndarray
    model_scale: Scale
    scaling: Scaling
    device: torch.device
    beside: "Tissue | None" = None
    measure: Measure = "tpm"

    @property
    def n_samples(self) -> int:
        """Number of held-out samples."""
        return len(self.predicted)

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return self.predicted.shape[1]

    @cached_property
    def scalers(self) -> dict[str, list[TissueScaler]]:
        """Training statistics of this tissue alone, by scale, one a fold."""
        return _fit_scalers(self.tissue_tpm, self.training, self.scaling, self.measure)

    def of_genes(self, genes: slice | np.ndarray) -> "Tissue":
        """Return the same samples with some genes alone."""
        return replace(
            self,
            gene_ids=self.gene_ids[genes],
            predicted=self.predicted[:, genes],
            observed_tpm=self.observed_tpm[:, genes],
            tissue_tpm=self.tissue_tpm[:, genes],
            beside=None if self.beside is None else self.beside.of_genes(genes),
        )

    def of_samples(self, kept: np.ndarray, predicted: np.ndarray) -> "Tissue":
        """Return some of the samples with other predictions, in the scale of these.

        Parameters
        ----------
        kept
            Positions in `rows`, in order.
        predicted
            Shape ``(n_kept, n_genes)``.
        """
        sizes = [part.stop - part.start for part in self.parts]
        fold_of = np.repeat(np.arange(len(sizes)), sizes)[kept]
        present, starts = np.unique(fold_of, return_index=True)
        stops = [*starts[1:], len(kept)]
        part = replace(
            self,
            rows=self.rows.iloc[kept],
            predicted=predicted,
            observed_tpm=self.observed_tpm[kept],
            folds=tuple(self.folds[fold] for fold in present),
            parts=tuple(slice(int(a), int(b)) for a, b in zip(starts, stops, strict=True)),
            training=self.training[present],
            beside=None,
        )
        # Training samples are the same, and so is what was fitted to them.
        vars(part)["scalers"] = {
            scale: [scalers[fold] for fold in present] for scale, scalers in self.scalers.items()
        }
        return part

    def predictable(self, gene_wise: pd.DataFrame, reading: Reading) -> np.ndarray:
        """Whether each gene is predictable in this tissue.

        Parameters
        ----------
        gene_wise
            ``accuracy/gene_wise/{model}.parquet``.
        reading
            Scale and definition; a gene without a row there is not predictable.

        Returns
        -------
        np.ndarray
            Shape ``(n_genes,)``, bool.
        """
        mine = (gene_wise["tissue"] == self.name) & (gene_wise["scale"] == reading.scale)
        chosen = gene_wise[mine].set_index("gene_id")[reading.definition]
        return chosen.reindex(self.gene_ids, fill_value=False).to_numpy(bool)

    def values(self, scale: Scale, genes: slice | np.ndarray) -> Values:
        """Bring predictions and observations of `genes` to `scale` and to its expression units."""
        n_genes = self.predicted[:1, genes].shape[1]
        arrays = [np.empty((self.n_samples, n_genes), np.float32) for _ in range(4)]
        for index, part in enumerate(self.parts):
            native = _of_genes(self.scalers[self.model_scale][index], genes)
            scaler = _of_genes(self.scalers[scale][index], genes)
            predicted, observed_tpm = self.predicted[part, genes], self.observed_tpm[part, genes]
            if scale == self.model_scale:
                units = native.to_units(predicted, ONLY_TISSUE)
                limit = scaler.clip
                predicted_z = predicted if limit is None else np.clip(predicted, -limit, limit)
            else:
                units = native.inverse(predicted, ONLY_TISSUE)
                units = log2_tpm(units, self.measure) if scale == "log2_z" else units
                predicted_z = scaler.of_units(units, ONLY_TISSUE)
            observed = observed_tpm
            if scale == "log2_z":
                observed = log2_tpm(observed_tpm, self.measure)
            derived = predicted_z, scaler.of_units(observed, ONLY_TISSUE), units, observed
            constant = (_constant(predicted), _constant(observed_tpm)) * 2
            for array, values, fixed in zip(arrays, derived, constant, strict=True):
                # What was constant stays so, whatever rounding the conversions add.
                array[part] = np.where(fixed, values[:1], values) if fixed.any() else values
        return Values(*(torch.from_numpy(array).to(self.device) for array in arrays))

    def own_scale(self) -> tuple[np.ndarray, np.ndarray]:
        """Predictions and observations on the model's own scale, neither clipped.

        Returns
        -------
        np.ndarray, np.ndarray
            Each ``(n_samples, n_genes)``, float32.
        """
        observed = np.empty_like(self.predicted)
        for scaler, part in zip(self.scalers[self.model_scale], self.parts, strict=True):
            unclipped = replace(scaler, clip=None)
            observed[part] = unclipped.transform(self.observed_tpm[part], ONLY_TISSUE)
        return self.predicted, observed


def tissues(
    held_out: HeldOut, beside: HeldOut | None = None, device: str = "cpu"
) -> Iterator[Tissue]:
    """Read one target tissue after the other.

    Parameters
    ----------
    held_out
        From `mtm.predictions.held_out.read_held_out`.
    beside
        Held-out predictions of another model, of the same samples at least.
    device
        ``"cpu"`` or ``"cuda"``, where `Tissue.values` are.

    Yields
    ------
    Tissue
        In the order of their names.

    Raises
    ------
    InputError
        A prediction is not finite, a fold has no training sample of a predicted tissue, or
        `beside` does not predict a sample.
    """
    where = torch.device(device)
    with h5py.File(held_out.expression) as cohort:
        for name, rows in held_out.rows.groupby("tissue", sort=True):
            members = np.flatnonzero((held_out.samples["tissue"] == name).to_numpy())
            tissue_tpm = read_rows(cohort["X"], members)
            tissue = line_up(held_out, rows, held_out.predicted(rows), tissue_tpm, where)
            if beside is not None:
                rows = _same_samples(beside, str(name), tissue.rows)
                predicted = beside.predicted(rows)
                other = replace(
                    tissue, predicted=predicted, model_scale=beside.scale, scaling=beside.scaling
                )
                tissue = replace(tissue, beside=other)
            yield tissue


def by_tissue(table: pd.DataFrame) -> Mapping[str, pd.DataFrame]:
    """Split a table by its column ``tissue``; a tissue that it lacks has no rows.

    Looked through for every tissue anew, tables of genes by tissues take the square of these.
    """
    parts = dict(iter(table.groupby("tissue", sort=False)))
    return defaultdict(lambda: table.iloc[:0], parts)


def of_each(
    function: Callable[[Tissue], Result], of_tissues: Iterable[Tissue]
) -> Iterator[Result]:
    """Yield what `function` returns of every tissue, in their order.

    On the CPU one thread works on a tissue and torch's threads on tissues side by side, at most
    `AT_ONCE`: the arrays that are worked on are too small for threads of their own, NumPy's too.
    """
    threads = torch.get_num_threads()
    at_once = min(AT_ONCE, threads)
    if at_once == 1:
        yield from map(function, of_tissues)
        return
    running = deque()
    pool = ThreadPoolExecutor(at_once, initializer=torch.set_num_threads, initargs=(1,))
    with pool, threadpool_limits(1, "blas"):
        try:
            for tissue in of_tissues:
                if tissue.device.type != "cpu":
                    yield function(tissue)
                    continue
                running.append(pool.submit(function, tissue))
                if len(running) > at_once:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            torch.set_num_threads(threads)


def _same_samples(beside: HeldOut, name: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of another model's predictions for the same samples, in their order."""
    theirs = beside.rows[beside.rows["tissue"] == name]
    position = pd.Index(theirs["sample_id"]).get_indexer(rows["sample_id"])
    if (position < 0).any():
        raise InputError(
            beside.predictions[0],
            f"no prediction of some samples of {name}",
            "the samples that the model predicts",
            "Predict with both models from the same source tissue.",
        )
    return theirs.iloc[position]


def line_up(
    held_out: HeldOut,
    rows: pd.DataFrame,
    predicted: np.ndarray,
    tissue_tpm: np.ndarray,
    device: torch.device,
) -> Tissue:
    """Put the held-out samples of a tissue beside the training samples of their folds.

    Parameters
    ----------
    held_out
        Whose samples they are.
    rows
        The part of `HeldOut.rows` that is of the tissue.
    predicted
        Predictions of these, shape ``(n_rows, n_genes)``, in `HeldOut.scale`.
    tissue_tpm
        TPM of all samples of the tissue, in the order of `HeldOut.samples`.
    device
        Where `Tissue.values` are.
    """
    name = str(rows["tissue"].iloc[0])
    samples = held_out.samples[held_out.samples["tissue"] == name]
    folds, starts = np.unique(rows["fold"].to_numpy(), return_index=True)
    stops = [*starts[1:], len(rows)]
    training = samples["fold"].to_numpy() != folds[:, None]
    for fold, members in zip(folds, training, strict=True):
        if not members.any():
            raise InputError(
                held_out.expression,
                f"no training sample of {name} in fold {fold}",
                "training samples of every predicted tissue",
                "Filter out the tissue, or use fewer folds.",
            )
    row_of = pd.Series(np.arange(len(samples)), index=samples.index.astype(str))
    return Tissue(
        name=name,
        rows=rows,
        gene_ids=held_out.gene_ids,
        predicted=predicted,
        observed_tpm=tissue_tpm[row_of[rows["sample_id"]].to_numpy()],
        folds=tuple(int(fold) for fold in folds),
        parts=tuple(slice(int(a), int(b)) for a, b in zip(starts, stops, strict=True)),
        tissue_tpm=tissue_tpm,
        training=training,
        model_scale=held_out.scale,
        scaling=held_out.scaling,
        device=device,
        measure=held_out.measure,
    )


def _of_genes(scaler: TissueScaler, genes: slice | np.ndarray) -> TissueScaler:
    """Return the scaler of some genes."""
    return replace(scaler, mean=scaler.mean[:, genes], sd=scaler.sd[:, genes])


def _constant(values: np.ndarray) -> np.ndarray:
    """Whether columns do not vary beyond float32 rounding."""
    highest, lowest = values.max(0), values.min(0)
    largest = np.maximum(np.abs(highest), np.abs(lowest))
    return highest - lowest <= CONSTANT_TOLERANCE * largest


def _fit_scalers(
    tissue_tpm: np.ndarray, training: np.ndarray, scaling: Scaling, measure: Measure
) -> dict[str, list[TissueScaler]]:
    """Fit scalers of one tissue on each fold's training samples, in blocks of genes."""
    shape = len(training), tissue_tpm.shape[1]
    moments = {scale: (np.empty(shape), np.empty(shape)) for scale in SCALES_OF[measure]}

    def fit(start: int) -> None:
        block = slice(start, start + SCALER_GENES)
        expr_tpm = tissue_tpm[:, block].astype(np.float64)
        for scale, (mean, sd) in moments.items():
            values = log2_tpm(expr_tpm, measure) if scale == "log2_z" else expr_tpm
            mean[:, block], sd[:, block] = _moments(values, training)

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(fit, range(0, shape[1], SCALER_GENES)))
    return {
        scale: [
            TissueScaler.of_moments(mean[None], sd[None], scale, scaling, measure)
            for mean, sd in zip(*of_scale, strict=True)
        ]
        for scale, of_scale in moments.items()
    }


def _moments(values: np.ndarray, training: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and sds of each fold's training samples, each ``(n_folds, n_genes)``.

    From sums that all folds share; `values` are ``(n_samples, n_genes)``, float64.
    """
    shift = values.mean(0)
    apart, shares = values - shift, training / training.sum(1, keepdims=True)
    mean, square = shares @ apart, shares @ np.square(apart)
    variance = square - mean**2
    mean, sd = mean + shift, np.sqrt(np.maximum(variance, 0))
    # Differences of squares do not tell what hardly varies from what does not.
    for fold, gene in np.argwhere(variance <= LEAST_SHARE * square):
        members = values[training[fold], gene]
        mean[fold, gene], sd[fold, gene] = members.mean(), members.std()
    return mean, sd
