"""Accuracy of held-out predictions: correlations per gene and per sample, with their uncertainty.

Three ways of pooling held-out folds are reported side by side (methods 6.1; docs/contracts.md):
Pearson within each fold, averaged as Fisher z with weights n - 3 (``per_fold``, the headline);
folds concatenated as z-scores of each fold's own training statistics (``pooled_z``); and folds
concatenated in expression units (``pooled_raw``, as the paper most likely did).

Null intervals permute donors within fold, the same way for all genes of a tissue; confidence
intervals resample donors within fold, the same draws for all tissues, and are centred on the
point estimate. On large cohorts both use a random sample of genes (`AccuracySettings.null_genes`,
`AccuracySettings.bootstrap_genes`); point estimates, p-values and counts are of all genes. The
null interval of the mean over tissues permutes donors alike in all tissues as far as the same
donors have them.

The tissue is the unit of work: memory is that of one tissue's samples, and the arrays derived
from them are made for `block_genes` genes at a time.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd
import torch

from mtm.device import choose_device
from mtm.errors import InputError
from mtm.evaluation.held_out import HeldOut
from mtm.evaluation.predictable_genes import PooledNull
from mtm.evaluation.resampling import (
    CONSTANT_TOLERANCE,
    donor_permutations,
    donor_weights,
    fisher_z,
    induced_permutations,
    pearson,
    permuted_correlations,
    standardise,
    weighted_correlations,
)
from mtm.evaluation.tables import Scores, Tables, known_mean
from mtm.scaling import SCALES, Scale, Scaling, TissueScaler, log2_tpm
from mtm.vocabulary import GENE_CONVENTIONS

POOLED_CONVENTIONS = GENE_CONVENTIONS[1:]
MIN_DONORS = 5
# A pattern of informative folds that fewer null genes share gets more null genes.
MIN_NULL_GENES = 50
# Genes resampled at a time on a CPU, so that their permutations stay in its cache.
CPU_RESAMPLING_BLOCK = 256
# Statistics of a single tissue have one row, which broadcasts over samples.
ONLY_TISSUE = np.zeros(1, np.int64)


@dataclass(frozen=True)
class AccuracySettings:
    """The accuracy section of the config.

    Parameters
    ----------
    predictable_rho
        A gene is predictable where per-fold rho exceeds this.
    predictable_q
        And its q-value is below this.
    permutations
        Permutations of donors for null intervals and p-values, 1 or more.
    bootstraps
        Bootstrap samples of donors for confidence intervals, 1 or more.
    min_donors_per_fold
        Held-out donors that a tissue must have in a fold for a correlation there, 4 or more.
    null_genes, bootstrap_genes
        Largest number of genes, drawn at random, that are permuted and resampled.
    seed
        Seed of the permutations, the bootstrap samples and the gene samples.
    """

    predictable_rho: float = 0.3
    predictable_q: float = 0.05
    permutations: int = 1000
    bootstraps: int = 1000
    min_donors_per_fold: int = MIN_DONORS
    null_genes: int = 2000
    bootstrap_genes: int = 2000
    seed: int = 0

    def __post_init__(self):
        for key in ("permutations", "bootstraps", "null_genes", "bootstrap_genes"):
            if getattr(self, key) < 1:
                raise InputError(f"accuracy.{key}", str(getattr(self, key)), "1 or more")
        if self.min_donors_per_fold < 4:
            raise InputError(
                "accuracy.min_donors_per_fold",
                str(self.min_donors_per_fold),
                "4 or more",
                "The weight of a fold is its number of donors less 3.",
            )

    @classmethod
    def of(cls, values: Mapping) -> "AccuracySettings":
        """Build settings from config values; an unknown key raises `InputError`."""
        known = [item.name for item in fields(cls)]
        for key in values:
            if key not in known:
                raise InputError("accuracy", repr(key), f"one of {', '.join(known)}")
        return cls(**values)


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


@dataclass(frozen=True)
class _FoldDraws:
    """Permutations and bootstrap draws of the held-out donors of one fold, for all tissues."""

    donors: pd.Index
    left: np.ndarray
    right: np.ndarray
    weights: np.ndarray


def _draw(rows: pd.DataFrame, settings: AccuracySettings) -> dict[int, _FoldDraws]:
    """Draw permutations and bootstrap samples of every fold's predicted donors."""
    draws = {}
    for fold, part in rows.groupby("fold"):
        donors = pd.Index(sorted(part["donor"].unique()))
        rng = np.random.default_rng([settings.seed, int(fold)])
        left, right = donor_permutations(len(donors), settings.permutations, rng)
        weights = donor_weights(len(donors), settings.bootstraps, rng)
        draws[int(fold)] = _FoldDraws(donors, left, right, weights)
    return draws


@dataclass(frozen=True)
class TissueDraws:
    """Draws of one tissue, one of each a fold: permutation factors and bootstrap weights."""

    left: list[torch.Tensor]
    right: list[torch.Tensor]
    weights: list[torch.Tensor]
    n_permutations: int
    block: int


def _draws_of(
    rows: pd.DataFrame,
    tissue: TissueSamples,
    draws: Mapping[int, _FoldDraws],
    settings: AccuracySettings,
    block_genes: int,
) -> TissueDraws:
    """Restrict the draws of each fold to the donors who have the tissue."""
    left, right, weights = [], [], []
    for fold, part in zip(tissue.folds, tissue.parts, strict=True):
        of_fold = draws[fold]
        members = of_fold.donors.get_indexer(rows["donor"].iloc[part])
        for factors, permutations in ((left, of_fold.left), (right, of_fold.right)):
            induced = induced_permutations(permutations, members)
            factors.append(torch.from_numpy(induced).to(tissue.device))
        weights.append(torch.from_numpy(of_fold.weights[:, members]).to(tissue.device))
    on_gpu = tissue.device.type == "cuda"
    block = block_genes if on_gpu else min(block_genes, CPU_RESAMPLING_BLOCK)
    return TissueDraws(left, right, weights, settings.permutations, block)


@dataclass(frozen=True)
class Points:
    """Point estimates of one tissue on one scale.

    `rho` maps each gene-wise convention to ``(n_genes,)``; `statistic` is the weighted sum of
    Fisher z over eligible folds, `total` the weight of the folds it stands for; `informative` is
    ``(n_genes, n_eligible_folds)``; `fold_means` is the mean over genes of rho in every fold;
    `sample_rho` is ``(n_samples, n_samples)`` for each fold: prediction i with observation j.
    """

    rho: dict[str, torch.Tensor]
    eligible: list[int]
    weights: torch.Tensor
    statistic: torch.Tensor
    total: torch.Tensor
    informative: torch.Tensor
    fold_means: list[float]
    sample_rho: list[torch.Tensor]


def point_estimates(
    tissue: TissueSamples, scale: Scale, settings: AccuracySettings, block_genes: int
) -> Points:
    """Correlate all genes and all samples of one tissue on one scale."""
    n_folds, n_genes, device = len(tissue.folds), tissue.n_genes, tissue.device
    sizes = torch.tensor([part.stop - part.start for part in tissue.parts])
    eligible = torch.nonzero(sizes >= settings.min_donors_per_fold).flatten().tolist()
    fold_rho = torch.empty((n_folds, n_genes), dtype=torch.float64, device=device)
    varying = torch.empty((n_folds, n_genes), dtype=torch.bool, device=device)
    pooled = {key: fold_rho.new_full((n_genes,), torch.nan) for key in POOLED_CONVENTIONS}
    sums = [_SampleSums.zeros(int(size), device) for size in sizes]
    for start in range(0, n_genes, block_genes):
        genes = slice(start, min(start + block_genes, n_genes))
        values = tissue.values(scale, genes)
        for index, part in enumerate(tissue.parts):
            predicted, observed = values.predicted_z[part], values.observed_z[part]
            sums[index].add(predicted, observed)
            unit_predicted, fixed_predicted = standardise(predicted, 0)
            unit_observed, fixed_observed = standardise(observed, 0)
            rho = (unit_predicted * unit_observed).sum(0)
            fold_rho[index, genes] = rho.masked_fill_(fixed_observed, torch.nan)
            varying[index, genes] = ~fixed_predicted
        if tissue.n_samples >= settings.min_donors_per_fold:
            for convention, rho in pooled.items():
                rho[genes] = pearson(*values.pooled(convention), 0)

    weights = (sizes[eligible] - 3).to(device, torch.float64)
    known = ~fold_rho[eligible].isnan()
    total = weights @ known.double()
    statistic = weights @ fisher_z(fold_rho[eligible].nan_to_num())
    per_fold = torch.tanh(statistic / total).masked_fill_(total == 0, torch.nan)
    return Points(
        rho={"per_fold": per_fold, **pooled},
        eligible=eligible,
        weights=weights,
        statistic=statistic,
        total=total,
        informative=(known & varying[eligible]).T.contiguous(),
        fold_means=fold_rho.nanmean(1).tolist(),
        sample_rho=[part.correlations(n_genes) for part in sums],
    )


@dataclass
class _SampleSums:
    """Sums over genes that give Pearson's rho of every prediction with every observation."""

    predicted: torch.Tensor
    observed: torch.Tensor
    squares_predicted: torch.Tensor
    squares_observed: torch.Tensor
    products: torch.Tensor

    @classmethod
    def zeros(cls, n_samples: int, device: torch.device) -> "_SampleSums":
        """Start without genes."""
        shapes = [(n_samples,)] * 4 + [(n_samples, n_samples)]
        return cls(*(torch.zeros(s, dtype=torch.float64, device=device) for s in shapes))

    def add(self, predicted: torch.Tensor, observed: torch.Tensor) -> None:
        """Add a block of genes, each of shape ``(n_samples, n_block_genes)``."""
        self.predicted += predicted.sum(1)
        self.observed += observed.sum(1)
        self.squares_predicted += predicted.square().sum(1)
        self.squares_observed += observed.square().sum(1)
        self.products += predicted @ observed.T

    def correlations(self, n_genes: int) -> torch.Tensor:
        """Rho of prediction i and observation j; 0 and NaN where they are constant."""
        variance_p = self.squares_predicted - self.predicted.square() / n_genes
        variance_o = self.squares_observed - self.observed.square() / n_genes
        constant_p = variance_p <= CONSTANT_TOLERANCE**2 * self.squares_predicted
        constant_o = variance_o <= CONSTANT_TOLERANCE**2 * self.squares_observed
        norm_p = variance_p.masked_fill(constant_p, 1).sqrt()
        norm_o = variance_o.masked_fill(constant_o, 1).sqrt()
        covariance = self.products - torch.outer(self.predicted, self.observed) / n_genes
        rho = (covariance / torch.outer(norm_p, norm_o)).clamp_(-1, 1)
        return rho.masked_fill_(constant_p[:, None], 0).masked_fill_(constant_o, torch.nan)


class _MeanOverGenes:
    """Mean over genes of resampled correlations, gene block after gene block."""

    def __init__(self, n_resamples: int, device: torch.device):
        self._sum = torch.zeros(n_resamples, dtype=torch.float64, device=device)
        self._count = torch.zeros_like(self._sum)

    def add(self, rho: torch.Tensor, gene_dim: int) -> None:
        """Add correlations of shape ``(n_genes, n_resamples)`` or transposed, NaN aside."""
        self._sum += rho.nansum(gene_dim)
        self._count += (~rho.isnan()).sum(gene_dim)

    def mean(self) -> np.ndarray:
        """Mean of each resample; NaN where no gene was known."""
        return torch.where(self._count > 0, self._sum / self._count, torch.nan).cpu().numpy()


def _permute_genes(
    tissue: TissueSamples, scale: Scale, points: Points, draws: TissueDraws, sample: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Mean rho of sampled genes under each permutation, and p-values of all genes."""
    device = tissue.device
    means = {key: _MeanOverGenes(draws.n_permutations, device) for key in GENE_CONVENTIONS}
    null = PooledNull(points.statistic, points.informative, points.weights.float())
    sampled = torch.from_numpy(sample).to(device)
    further = null.top_up(points.informative, sampled, MIN_NULL_GENES).cpu().numpy()

    def permuted(
        predicted: torch.Tensor, observed: torch.Tensor, index: int, part: slice
    ) -> torch.Tensor:
        return permuted_correlations(
            predicted[part].float(),
            observed[part].float(),
            draws.left[index],
            draws.right[index],
            draws.n_permutations,
        )

    for genes, in_sample in _gene_blocks(sample, further, draws.block):
        values = tissue.values(scale, genes)
        if points.eligible:
            permuted_z = []
            for index in points.eligible:
                part = tissue.parts[index]
                unit_predicted, _ = standardise(values.predicted_z[part], 0)
                unit_observed, _ = standardise(values.observed_z[part], 0)
                rho = permuted(unit_predicted, unit_observed, index, slice(None))
                permuted_z.append(fisher_z(rho))
            stacked = torch.stack(permuted_z)
            null.add(stacked, points.informative[genes])
            if in_sample:
                total = points.total[genes, None].float()
                statistic = torch.einsum("f,fgb->gb", points.weights.float(), stacked)
                rho = torch.tanh(statistic / total).masked_fill_(total == 0, torch.nan)
                means["per_fold"].add(rho, 0)
        if in_sample:
            for convention in POOLED_CONVENTIONS:
                predicted, observed = values.pooled(convention)
                unit_predicted, _ = standardise(predicted, 0)
                unit_observed, _ = standardise(observed, 0)
                unknown = points.rho[convention][genes].isnan()
                rho = sum(
                    permuted(unit_predicted, unit_observed, index, part)
                    for index, part in enumerate(tissue.parts)
                )
                means[convention].add(rho.masked_fill_(unknown[:, None], torch.nan), 0)
    p = null.p_values().masked_fill_(points.total == 0, torch.nan)
    return {key: value.mean() for key, value in means.items()}, p.cpu().numpy()


def _gene_blocks(
    sample: np.ndarray, further: np.ndarray, block: int
) -> Iterator[tuple[np.ndarray, bool]]:
    """Yield blocks of the sampled genes and then of the further ones."""
    for genes, in_sample in ((sample, True), (further, False)):
        for start in range(0, len(genes), block):
            yield genes[start : start + block], in_sample


def bootstrap_means(
    tissue: TissueSamples, scale: Scale, points: Points, draws: TissueDraws, sample: np.ndarray
) -> dict[str, np.ndarray]:
    """Mean rho over genes in each bootstrap sample, moved to average at the point estimate.

    Repeated donors shift correlations by themselves, and the sampled genes differ from all by
    chance; neither belongs into the interval. Folds keep the weights of the data, n - 3.
    """
    weights = torch.cat(draws.weights, 1)
    means = {key: _MeanOverGenes(len(weights), tissue.device) for key in GENE_CONVENTIONS}
    for genes, _ in _gene_blocks(sample, sample[:0], draws.block):
        values = tissue.values(scale, genes)
        statistic = torch.zeros((len(weights), len(genes)), device=tissue.device)
        total = torch.zeros_like(statistic)
        for fold_weight, index in zip(points.weights.tolist(), points.eligible, strict=True):
            part = tissue.parts[index]
            unit_predicted, _ = standardise(values.predicted_z[part], 0)
            unit_observed, _ = standardise(values.observed_z[part], 0)
            rho = weighted_correlations(
                unit_predicted.float(), unit_observed.float(), draws.weights[index]
            )
            total += fold_weight * ~rho.isnan()
            statistic += fold_weight * fisher_z(rho.nan_to_num_())
        rho = torch.tanh(statistic / total).masked_fill_(total == 0, torch.nan)
        means["per_fold"].add(rho, 1)
        for convention in POOLED_CONVENTIONS:
            predicted, observed = values.pooled(convention)
            unit_predicted, _ = standardise(predicted, 0)
            unit_observed, _ = standardise(observed, 0)
            rho = weighted_correlations(unit_predicted.float(), unit_observed.float(), weights)
            unknown = points.rho[convention][genes].isnan()
            means[convention].add(rho.masked_fill_(unknown, torch.nan), 1)
    resampled = {key: value.mean() for key, value in means.items()}
    return {
        key: values - known_mean(values) + float(points.rho[key].nanmean())
        for key, values in resampled.items()
    }


def _resample_samples(
    points: Points, draws: TissueDraws
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sample-wise rho, its mean under each permutation, and in each bootstrap sample."""
    rho = torch.cat([matrix.diagonal() for matrix in points.sample_rho])
    known = ~rho.isnan()
    permuted = torch.zeros(draws.n_permutations, dtype=torch.float64, device=rho.device)
    for matrix, left, right in zip(points.sample_rho, draws.left, draws.right, strict=True):
        pairs = matrix[left[:, None], right[None]].nansum(2)
        permuted += pairs.flatten()[: draws.n_permutations]
    weights = torch.cat(draws.weights, 1).double()
    resampled = (weights @ rho.nan_to_num()) / (weights @ known.double())
    return rho.cpu().numpy(), (permuted / known.sum()).cpu().numpy(), resampled.cpu().numpy()


def score_predictions(
    held_out: HeldOut,
    model: str,
    settings: AccuracySettings | None = None,
    device: str = "auto",
    block_genes: int = 2048,
) -> Scores:
    """Score held-out predictions on both scales (methods 3, 6.1, 6.2).

    Training statistics of a fold are those of all samples of donors held out in other folds.
    Predictions come to the scale that is not the model's own through TPM. On ``"log2_z"``, both
    sides are clipped.

    Parameters
    ----------
    held_out
        From `read_held_out`.
    model
        Name written into the tables.
    settings
        The accuracy section of the config.
    device
        ``"cpu"``, ``"cuda"`` or ``"auto"``.
    block_genes
        Genes worked on at a time; the results do not depend on it.

    Raises
    ------
    InputError
        A prediction is not finite, or a fold has no training sample of a predicted tissue.
    """
    settings = AccuracySettings() if settings is None else settings
    order = np.random.default_rng([settings.seed]).permutation(len(held_out.gene_ids))
    null_genes = np.sort(order[: settings.null_genes])
    bootstrap_genes = np.sort(order[: settings.bootstrap_genes])
    fold_draws = _draw(held_out.rows, settings)
    tables = Tables(held_out.gene_ids, settings.predictable_rho, settings.predictable_q)
    for name, rows, predicted, tissue_tpm in held_out.tissue_matrices():
        tissue = line_up(
            held_out,
            rows,
            predicted,
            tissue_tpm,
            torch.device(choose_device(device)),
            block_genes,
        )
        draws = _draws_of(rows, tissue, fold_draws, settings, block_genes)
        for scale in SCALES:
            points = point_estimates(tissue, scale, settings, block_genes)
            null_means, p = _permute_genes(tissue, scale, points, draws, null_genes)
            resampled = bootstrap_means(tissue, scale, points, draws, bootstrap_genes)
            rho = {key: value.cpu().numpy() for key, value in points.rho.items()}
            tables.add_genes(scale, name, len(rows), rho, p, null_means, resampled)
            fold_means = dict(zip(tissue.folds, points.fold_means, strict=True))
            tables.add_samples(scale, rows, *_resample_samples(points, draws), fold_means)
    return tables.scores(model)


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


def held_out_accuracy(
    predicted_z: np.ndarray,
    observed_z: np.ndarray,
    tissue: np.ndarray,
    min_donors: int = MIN_DONORS,
) -> dict[str, float]:
    """Mean accuracy on the held-out donors of one fold, cheap enough for learning curves.

    Pearson per gene and per sample within each tissue, averaged over genes (samples), then over
    tissues (methods 7).

    Parameters
    ----------
    predicted_z, observed_z
        Shape ``(n_samples, n_genes)``, z-scores of one scale.
    tissue
        Target tissue of each sample, shape ``(n_samples,)``.
    min_donors
        Tissues with fewer samples are left out.

    Returns
    -------
    dict
        ``gene_wise`` and ``sample_wise``; NaN without any tissue of `min_donors` samples.
    """
    gene_wise, sample_wise = [], []
    for index in np.unique(tissue):
        rows = np.flatnonzero(tissue == index)
        if len(rows) < min_donors:
            continue
        predicted = torch.from_numpy(np.asarray(predicted_z[rows], np.float64))
        observed = torch.from_numpy(np.asarray(observed_z[rows], np.float64))
        gene_wise.append(float(pearson(predicted, observed, 0).nanmean()))
        sample_wise.append(float(pearson(predicted, observed, 1).nanmean()))
    return {
        "gene_wise": float(known_mean(np.array(gene_wise))),
        "sample_wise": float(known_mean(np.array(sample_wise))),
    }


def section7_means(by_fold: pd.DataFrame, min_donors: int = MIN_DONORS) -> pd.DataFrame:
    """Average as the published benchmark rows do, to stand beside them (methods 7).

    Pearson per fold, mean over genes (samples), then over the tissues with at least `min_donors`
    held-out donors in the fold, then over folds.

    Parameters
    ----------
    by_fold
        `Scores.by_fold`.
    min_donors
        Tissues with fewer samples in a fold are left out there.

    Returns
    -------
    pd.DataFrame
        ``scale``, ``gene_wise``, ``sample_wise``; one row a scale.
    """
    kept = by_fold[by_fold["n"] >= min_donors]
    columns = ["gene_wise", "sample_wise"]
    folds = kept.groupby(["scale", "fold"])[columns].mean()
    return folds.groupby("scale").mean().reset_index()
