"""Accuracy with donors permuted, and in bootstrap samples of donors."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from mtm.analyses.accuracy.points import POOLED_CONVENTIONS, Points
from mtm.analyses.accuracy.pooled_null import PooledNull
from mtm.predictions.tissues import BLOCK_GENES, Tissue, Values
from mtm.settings.accuracy import AccuracySettings
from mtm.statistics.correlation import fisher_z
from mtm.statistics.kernels import (
    RunningMean,
    permuted_correlations,
    standardise,
    weighted_correlations,
)
from mtm.statistics.over_tissues import known_mean
from mtm.statistics.resampling import (
    CPU_RESAMPLING_BLOCK,
    donor_permutations,
    donor_weights,
    induced_permutations,
)
from mtm.vocabulary import GENE_CONVENTIONS, Scale

# A pattern of informative folds that fewer null genes share gets more null genes.
MIN_NULL_GENES = 50


def sampled_genes(n_genes: int, wanted: int, seed: int) -> np.ndarray:
    """Positions of `wanted` genes drawn at random, sorted; all where there are no more."""
    return np.sort(np.random.default_rng([seed]).permutation(n_genes)[:wanted])


@dataclass(frozen=True)
class FoldDraws:
    """Permutations and bootstrap draws of the held-out donors of one fold, for all tissues."""

    donors: pd.Index
    left: np.ndarray
    right: np.ndarray
    weights: np.ndarray


def draw_folds(rows: pd.DataFrame, settings: AccuracySettings) -> dict[int, FoldDraws]:
    """Draw permutations and bootstrap samples of every fold's predicted donors."""
    draws = {}
    for fold, part in rows.groupby("fold"):
        donors = pd.Index(sorted(part["donor"].unique()))
        rng = np.random.default_rng([settings.seed, int(fold)])
        left, right = donor_permutations(len(donors), settings.permutations, rng)
        weights = donor_weights(len(donors), settings.bootstraps, rng)
        draws[int(fold)] = FoldDraws(donors, left, right, weights)
    return draws


@dataclass(frozen=True)
class TissueDraws:
    """Draws of one tissue, one of each a fold: permutation factors and bootstrap weights."""

    left: list[torch.Tensor]
    right: list[torch.Tensor]
    weights: list[torch.Tensor]
    n_permutations: int


def draws_of(
    tissue: Tissue, draws: Mapping[int, FoldDraws], settings: AccuracySettings
) -> TissueDraws:
    """Restrict the draws of each fold to the donors who have the tissue."""
    left, right, weights = [], [], []
    for fold, part in zip(tissue.folds, tissue.parts, strict=True):
        of_fold = draws[fold]
        members = of_fold.donors.get_indexer(tissue.rows["donor"].iloc[part])
        for factors, permutations in ((left, of_fold.left), (right, of_fold.right)):
            induced = induced_permutations(permutations, members)
            factors.append(torch.from_numpy(induced).to(tissue.device))
        weights.append(torch.from_numpy(of_fold.weights[:, members]).to(tissue.device))
    return TissueDraws(left, right, weights, settings.permutations)


def gene_blocks(tissue: Tissue, genes: np.ndarray, block_genes: int) -> Iterator[np.ndarray]:
    """Yield as many of `genes` as are resampled at a time where the tissue's values are."""
    on_gpu = tissue.device.type == "cuda"
    block = block_genes if on_gpu else min(block_genes, CPU_RESAMPLING_BLOCK)
    for start in range(0, len(genes), block):
        yield genes[start : start + block]


def _units(predicted: torch.Tensor, observed: torch.Tensor) -> list[torch.Tensor]:
    """Standardise both over samples, float32."""
    return [standardise(values, 0)[0].float() for values in (predicted, observed)]


def permute_genes(
    tissue: Tissue,
    scale: Scale,
    points: Points,
    draws: TissueDraws,
    sample: np.ndarray,
    block_genes: int = BLOCK_GENES,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Mean rho of sampled genes under each permutation, and p-values of all genes."""
    device = tissue.device
    means = {key: RunningMean((draws.n_permutations,), device) for key in GENE_CONVENTIONS}
    null = PooledNull(points.statistic, points.informative, points.weights.float())

    def permuted(units: Iterable[torch.Tensor], fold: int) -> torch.Tensor:
        factors = draws.left[fold], draws.right[fold]
        return permuted_correlations(*units, *factors, draws.n_permutations)

    def permuted_folds(values: Values, genes: np.ndarray) -> torch.Tensor:
        """Add to the null; return Fisher z, ``(n_folds, n_genes, n_permutations)``."""
        permuted_z = []
        for fold in points.eligible:
            part = tissue.parts[fold]
            units = _units(values.predicted_z[part], values.observed_z[part])
            permuted_z.append(fisher_z(permuted(units, fold)))
        stacked = torch.stack(permuted_z)
        null.add(stacked, points.informative[genes])
        return stacked

    for genes in gene_blocks(tissue, sample, block_genes):
        values = tissue.values(scale, genes)
        if points.eligible:
            total = points.total[genes, None].float()
            stacked = permuted_folds(values, genes)
            statistic = torch.einsum("f,fgb->gb", points.weights.float(), stacked)
            rho = torch.tanh(statistic / total).masked_fill_(total == 0, torch.nan)
            means["per_fold"].add(rho, 0)
        for convention in POOLED_CONVENTIONS:
            units = _units(*values.pooled(convention))
            unknown = points.rho[convention][genes].isnan()
            rho = sum(
                permuted((unit[part] for unit in units), fold)
                for fold, part in enumerate(tissue.parts)
            )
            means[convention].add(rho.masked_fill_(unknown[:, None], torch.nan), 0)
    sampled = torch.from_numpy(sample).to(device)
    further = null.top_up(points.informative, sampled, MIN_NULL_GENES).cpu().numpy()
    for genes in gene_blocks(tissue, further, block_genes) if points.eligible else ():
        permuted_folds(tissue.values(scale, genes), genes)
    p = null.p_values().masked_fill_(points.total == 0, torch.nan)
    return {key: value.mean() for key, value in means.items()}, p.cpu().numpy()


def bootstrap_means(
    tissue: Tissue,
    scale: Scale,
    points: Points,
    weights: Sequence[torch.Tensor],
    sample: np.ndarray,
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
    block_genes
        Genes worked on at a time on a GPU, at most on a CPU.
    """
    of_all = torch.cat([*weights], 1)
    means = {key: RunningMean((len(of_all),), tissue.device) for key in GENE_CONVENTIONS}
    for genes in gene_blocks(tissue, sample, block_genes):
        values = tissue.values(scale, genes)
        statistic = torch.zeros((len(of_all), len(genes)), device=tissue.device)
        total = torch.zeros_like(statistic)
        for fold_weight, fold in zip(points.weights.tolist(), points.eligible, strict=True):
            part = tissue.parts[fold]
            units = _units(values.predicted_z[part], values.observed_z[part])
            rho = weighted_correlations(*units, weights[fold])
            total += fold_weight * ~rho.isnan()
            statistic += fold_weight * fisher_z(rho.nan_to_num_())
        rho = torch.tanh(statistic / total).masked_fill_(total == 0, torch.nan)
        means["per_fold"].add(rho, 1)
        for convention in POOLED_CONVENTIONS:
            rho = weighted_correlations(*_units(*values.pooled(convention)), of_all)
            unknown = points.rho[convention][genes].isnan()
            means[convention].add(rho.masked_fill_(unknown, torch.nan), 1)
    resampled = {key: value.mean() for key, value in means.items()}
    return {
        key: values - known_mean(values) + float(points.rho[key].nanmean())
        for key, values in resampled.items()
    }


def resample_samples(
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
