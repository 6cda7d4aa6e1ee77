"""Accuracy with donors permuted, and in bootstrap samples of donors."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from mtm.analyses.accuracy.counted import UNCOUPLED, Coupling
from mtm.analyses.accuracy.points import POOLED_CONVENTIONS, Points, point_estimates
from mtm.analyses.accuracy.pooled_null import PooledNull
from mtm.errors import CannotDo
from mtm.predictions.tissues import BLOCK_GENES, Tissue, Values
from mtm.settings.accuracy import AccuracySettings
from mtm.statistics.correlation import fisher_z
from mtm.statistics.coupled_folds import coupling
from mtm.statistics.joint_null import Null, PairProducts, wider
from mtm.statistics.kernels import (
    RunningMean,
    mean_over_folds,
    permuted_correlations,
    standardise,
    weighted_correlations,
)
from mtm.statistics.over_tissues import known_mean
from mtm.statistics.resampling import CPU_RESAMPLING_BLOCK, donor_permutations
from mtm.vocabulary import GENE_CONVENTIONS, HEADLINE, Scale

# A pattern of informative folds that fewer null genes share gets more null genes.
MIN_NULL_GENES = 50


def sampled_genes(n_genes: int, wanted: int, seed: int) -> np.ndarray:
    """Positions of `wanted` genes drawn at random, sorted; all where there are no more."""
    return np.sort(np.random.default_rng([seed]).permutation(n_genes)[:wanted])


def weights_of(rows: pd.DataFrame, weights: Mapping[int, pd.DataFrame]) -> list[np.ndarray]:
    """Bootstrap weights of the donors of `rows` (sorted by fold), one array a fold.

    `weights` are those of `mtm.predictions.held_out.fold_weights`.
    """
    return [
        weights[int(fold)][part["donor"]].to_numpy()
        for fold, part in rows.groupby("fold", sort=True)
    ]


def resampled_mean(values: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
    """Mean over samples in each bootstrap sample of donors, NaN aside.

    Parameters
    ----------
    values
        One a sample, sorted as in `weights_of`.
    weights
        From `weights_of`.
    """
    known = np.isfinite(values)
    draws = np.concatenate(weights, axis=1).astype(np.float64)
    drawn = draws @ known
    return np.divide(
        draws @ np.nan_to_num(values), drawn, out=np.full(len(draws), np.nan), where=drawn > 0
    )


@dataclass(frozen=True)
class TissueDraws:
    """Draws of one tissue, one of each a fold: permutation factors and bootstrap weights."""

    left: list[torch.Tensor]
    right: list[torch.Tensor]
    weights: list[torch.Tensor]
    n_permutations: int


def draws_of(
    tissue: Tissue, weights: Mapping[int, pd.DataFrame], settings: AccuracySettings
) -> TissueDraws:
    """Permute the donors of each fold who have the tissue, and take their bootstrap weights.

    Parameters
    ----------
    tissue, settings
        What is drawn for, and the accuracy section of the config.
    weights
        From `mtm.predictions.held_out.fold_weights`.
    """
    left, right, drawn = [], [], []
    for fold, part in zip(tissue.folds, tissue.parts, strict=True):
        donors = tissue.rows["donor"].iloc[part]
        rng = np.random.default_rng([settings.seed, fold, len(donors)])
        factors = donor_permutations(len(donors), settings.permutations, rng)
        for side, factor in zip((left, right), factors, strict=True):
            side.append(torch.from_numpy(factor).to(tissue.device))
        drawn.append(torch.from_numpy(weights[fold][donors].to_numpy()).to(tissue.device))
    return TissueDraws(left, right, drawn, settings.permutations)


@dataclass(frozen=True)
class _PairSums:
    """Sums over genes of the products of every two donors, by position of their fold."""

    tissue: Tissue
    by_fold: dict[int, torch.Tensor]

    def add(self, fold: int, predicted: torch.Tensor, observed: torch.Tensor) -> None:
        """Add genes, each side ``(n_fold_donors, n_genes)``."""
        self.by_fold[fold] = self.by_fold.get(fold, 0) + (predicted @ observed.T).double()

    def mean(self, n_known: int) -> dict[int, PairProducts]:
        """Divide by the number of genes with a correlation."""
        donors = self.tissue.rows["donor"].to_numpy()
        return {
            self.tissue.folds[fold]: PairProducts(
                donors[self.tissue.parts[fold]], matrix.cpu().numpy() / max(n_known, 1)
            )
            for fold, matrix in self.by_fold.items()
        }

    def null(self, n_known: int, draws: TissueDraws) -> Null:
        """Null of a mean that is nothing but a sum over pairs."""
        total = torch.zeros(draws.n_permutations, dtype=torch.float64, device=self.tissue.device)
        for fold, matrix in self.by_fold.items():
            # Places in the flat matrix: an index by two others is several times slower.
            places = draws.left[fold][:, None] * len(matrix) + draws.right[fold][None]
            paired = matrix.flatten().index_select(0, places.flatten()).reshape(places.shape)
            total += paired.sum(2).flatten()[: draws.n_permutations]
        means = total / n_known if n_known else total * torch.nan
        return Null(means.cpu().numpy(), self.mean(n_known))


@dataclass(frozen=True)
class _Units:
    """Standardised predictions and observations of some genes, each ``(n_samples, n_genes)``.

    Over all samples by pooled convention; `by_fold` over those of each fold.
    """

    by_fold: tuple[torch.Tensor, ...]
    pooled: dict[str, tuple[torch.Tensor, ...]]

    @classmethod
    def of(cls, values: Values, parts: Sequence[slice]) -> "_Units":
        """Standardise in float32."""
        whole = [slice(None)]
        pooled = {key: values.pooled(key) for key in POOLED_CONVENTIONS}
        return cls(
            _standardised((values.predicted_z, values.observed_z), parts),
            {key: _standardised(sides, whole) for key, sides in pooled.items()},
        )

    def of_genes(self, genes: slice) -> "_Units":
        """Return some genes alone."""
        pooled = {key: tuple(x[:, genes] for x in sides) for key, sides in self.pooled.items()}
        return _Units(tuple(side[:, genes] for side in self.by_fold), pooled)


def _standardised(
    sides: Sequence[torch.Tensor], parts: Sequence[slice]
) -> tuple[torch.Tensor, ...]:
    """Standardise each side over the samples of each part."""
    return tuple(
        torch.cat([standardise(side[part], 0)[0].float() for part in parts]) for side in sides
    )


def resampled_blocks(n_genes: int, device: torch.device, block_genes: int) -> Iterator[slice]:
    """Yield as many genes as are resampled at a time where their values are."""
    on_gpu = device.type == "cuda"
    block = block_genes if on_gpu else min(block_genes, CPU_RESAMPLING_BLOCK)
    for start in range(0, n_genes, block):
        yield slice(start, min(start + block, n_genes))


def _unit_blocks(
    tissue: Tissue, scale: Scale, genes: np.ndarray, block_genes: int
) -> Iterator[tuple[np.ndarray, _Units]]:
    """Yield as many of `genes` as are resampled at a time, and what is resampled."""
    for start in range(0, len(genes), block_genes):
        chosen = genes[start : start + block_genes]
        units = _Units.of(tissue.values(scale, chosen), tissue.parts)
        for block in resampled_blocks(len(chosen), tissue.device, block_genes):
            yield chosen[block], units.of_genes(block)


@dataclass(frozen=True)
class Correlations:
    """Correlations of genes or samples, and their mean in each bootstrap sample of donors.

    `ratio` is by how much folds that learn from each other widen the error of the mean.
    """

    rho: np.ndarray
    draws: np.ndarray
    ratio: float

    def beside(self, other: "Correlations") -> np.ndarray:
        """Draws of the mean less the other's in the same bootstrap samples, the wider of both."""
        return wider(self.draws - other.draws, max(self.ratio, other.ratio))


def fold_coupling(tissue: Tissue, points: Points) -> Coupling:
    """Measure it (methods 6.18)."""
    sizes = np.array([part.stop - part.start for part in tissue.parts])
    weights = points.weights.cpu().numpy()
    folds = coupling(sizes[points.eligible], weights, tissue.n_samples)
    if len(points.eligible) == len(sizes):
        return Coupling(folds, folds)
    return Coupling(folds, coupling(sizes, sizes, tissue.n_samples))


def permute_genes(
    tissue: Tissue,
    scale: Scale,
    points: Points,
    draws: TissueDraws,
    sample: np.ndarray,
    ratio: Coupling = UNCOUPLED,
    block_genes: int = BLOCK_GENES,
) -> tuple[dict[str, Null], np.ndarray]:
    """Null of the mean rho of sampled genes in each convention, and p-values of all genes.

    `ratio` widens the null of single permutations (see `mtm.statistics.coupled_folds`).
    """
    pairs = {key: _PairSums(tissue, {}) for key in GENE_CONVENTIONS}
    means = RunningMean((draws.n_permutations,), tissue.device)
    weights = points.weights.float()
    null = PooledNull(points.statistic, points.informative, ratio.folds * weights, points.stratum)
    for genes, units in _unit_blocks(tissue, scale, sample, block_genes):
        if points.eligible:
            total = points.total[genes].float()
            share = weights[:, None] / total.clamp_min(1)
            permuted_z = _permuted_folds(tissue, units, points, draws, share, pairs["per_fold"])
            null.add(permuted_z, points.informative[genes], points.stratum[genes])
            statistic = torch.zeros_like(permuted_z[0])
            for weight, of_fold in zip(weights.tolist(), permuted_z, strict=True):
                statistic.add_(of_fold, alpha=weight)
            # Without weight 0 / 0, NaN.
            means.add(statistic.div_(total[:, None]).tanh_(), 0)
        for convention, (predicted, observed) in units.pooled.items():
            observed = observed * ~points.rho[convention][genes].isnan()
            for fold, part in enumerate(tissue.parts):
                pairs[convention].add(fold, predicted[part], observed[part])
    further = null.top_up(torch.from_numpy(sample).to(tissue.device), MIN_NULL_GENES)
    further = further.cpu().numpy() if points.eligible else sample[:0]
    for genes, units in _unit_blocks(tissue, scale, further, block_genes):
        permuted_z = _permuted_folds(tissue, units, points, draws)
        null.add(permuted_z, points.informative[genes], points.stratum[genes])
    p = null.p_values().masked_fill_(points.total == 0, torch.nan)
    n_known = {key: int((~rho[sample].isnan()).sum()) for key, rho in points.rho.items()}
    nulls = {key: pairs[key].null(n_known[key], draws) for key in POOLED_CONVENTIONS}
    nulls["per_fold"] = Null(means.mean(), pairs["per_fold"].mean(n_known["per_fold"]))
    return {key: of.wider(ratio.of(key)) for key, of in nulls.items()}, p.cpu().numpy()


def _permuted_folds(
    tissue: Tissue,
    units: _Units,
    points: Points,
    draws: TissueDraws,
    share: torch.Tensor | None = None,
    pairs: _PairSums | None = None,
) -> list[torch.Tensor]:
    """Fisher z of every permutation, of each fold, ``(n_genes, n_permutations)``.

    `pairs` are added to with the `share` that a fold has in each gene's mean.
    """
    permuted_z = []
    for index, fold in enumerate(points.eligible):
        predicted, observed = (side[tissue.parts[fold]] for side in units.by_fold)
        factors = draws.left[fold], draws.right[fold]
        rho = permuted_correlations(predicted, observed, *factors, draws.n_permutations)
        permuted_z.append(fisher_z(rho))
        if pairs is not None:
            pairs.add(fold, predicted * share[index], observed)
    return permuted_z


def bootstrap_means(
    tissue: Tissue,
    scale: Scale,
    points: Points,
    weights: Sequence[torch.Tensor],
    sample: np.ndarray,
    ratio: Coupling = UNCOUPLED,
    block_genes: int = BLOCK_GENES,
) -> dict[str, np.ndarray]:
    """Mean rho over genes in each bootstrap sample, moved to average at the point estimate.

    Repeated donors shift correlations by themselves, and the sampled genes differ from all by
    chance; neither belongs into the interval. Folds keep the weights of the data, n - 3.

    Parameters
    ----------
    tissue, scale, points
        What is resampled, and its `point_estimates`.
    weights
        Draws of each fold's donors, each ``(n_bootstraps, n_fold_donors)``.
    sample
        Positions of the genes that are resampled.
    ratio
        By how much the means are spread, as the fits stand in every draw (methods 6.18).
    block_genes
        Genes worked on at a time on a GPU, at most on a CPU.
    """
    of_all = torch.cat([*weights], 1)
    means = {key: RunningMean((len(of_all),), tissue.device) for key in GENE_CONVENTIONS}
    for genes, units in _unit_blocks(tissue, scale, sample, block_genes):
        of_folds = [
            weighted_correlations(*(side[tissue.parts[fold]] for side in units.by_fold), drawn)
            for fold, drawn in ((fold, weights[fold]) for fold in points.eligible)
        ]
        if of_folds:
            means["per_fold"].add(mean_over_folds(of_folds, points.weights.tolist()), 1)
        for convention, sides in units.pooled.items():
            rho = weighted_correlations(*sides, of_all)
            rho[:, points.rho[convention][genes].isnan()] = torch.nan
            means[convention].add(rho, 1)
    resampled = {key: value.mean() for key, value in means.items()}
    return {
        key: wider(values - known_mean(values) + float(points.rho[key].nanmean()), ratio.of(key))
        for key, values in resampled.items()
    }


def resample_samples(
    tissue: Tissue, points: Points, draws: TissueDraws, ratio: Coupling = UNCOUPLED
) -> tuple[np.ndarray, Null, np.ndarray]:
    """Sample-wise rho, the null of its mean, and its mean in each bootstrap sample.

    `ratio` as in `permute_genes` and `bootstrap_means`.
    """
    rho = torch.cat([matrix.diagonal() for matrix in points.sample_rho])
    known = ~rho.isnan()
    pairs = _PairSums(tissue, dict(enumerate(m.nan_to_num() for m in points.sample_rho)))
    weights = torch.cat(draws.weights, 1).double()
    resampled = (weights @ rho.nan_to_num()) / (weights @ known.double())
    null = pairs.null(int(known.sum()), draws)
    means = wider(resampled.cpu().numpy(), ratio.samples)
    return rho.cpu().numpy(), null.wider(ratio.samples), means


def headline_correlations(
    tissue: Tissue,
    weights: Mapping[int, pd.DataFrame],
    settings: AccuracySettings,
    learned: bool,
) -> dict[str, Correlations]:
    """Correlate genes within folds, and samples, as the headline does.

    Parameters
    ----------
    tissue
        What is scored; all of a tissue's held-out samples or some.
    weights
        From `mtm.predictions.held_out.fold_weights`.
    settings
        The accuracy section of the config.
    learned
        Whether the model learns from the donors of other folds.

    Returns
    -------
    dict
        By level, ``gene_wise`` and ``sample_wise``.
    """
    of_folds = weights_of(tissue.rows, weights)
    points = point_estimates(tissue, HEADLINE.scale, settings)
    genes = sampled_genes(tissue.n_genes, settings.bootstrap_genes, settings.seed)
    drawn = [torch.from_numpy(of_fold) for of_fold in of_folds]
    draws = bootstrap_means(tissue, HEADLINE.scale, points, drawn, genes)
    of_samples = torch.cat([matrix.diagonal() for matrix in points.sample_rho]).numpy()
    of_genes = points.rho[HEADLINE.convention].numpy(), draws[HEADLINE.convention]
    ratio = fold_coupling(tissue, points) if learned else UNCOUPLED
    resampled = resampled_mean(of_samples, of_folds)
    return {
        "gene_wise": Correlations(*of_genes, ratio.folds),
        "sample_wise": Correlations(of_samples, resampled, ratio.samples),
    }


def nothing_to_score(analysis: str, settings: AccuracySettings) -> CannotDo:
    """Say why an analysis can score no target."""
    return CannotDo(
        analysis,
        f"no target that {settings.min_donors_per_fold} held-out donors of a fold have",
        "use fewer folds, or more donors",
    )
