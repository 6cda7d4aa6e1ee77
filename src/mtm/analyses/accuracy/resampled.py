"""Accuracy with donors permuted, and in bootstrap samples of donors."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from mtm.analyses.accuracy.points import POOLED_CONVENTIONS, Points
from mtm.analyses.accuracy.predictable_genes import PooledNull
from mtm.predictions.tissues import Tissue
from mtm.settings.accuracy import AccuracySettings
from mtm.statistics.correlation import (
    fisher_z,
    permuted_correlations,
    standardise,
    weighted_correlations,
)
from mtm.statistics.means import RunningMean, known_mean
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
    block: int


def draws_of(
    tissue: Tissue,
    draws: Mapping[int, FoldDraws],
    settings: AccuracySettings,
    block_genes: int,
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
    on_gpu = tissue.device.type == "cuda"
    block = block_genes if on_gpu else min(block_genes, CPU_RESAMPLING_BLOCK)
    return TissueDraws(left, right, weights, settings.permutations, block)


def permute_genes(
    tissue: Tissue, scale: Scale, points: Points, draws: TissueDraws, sample: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Mean rho of sampled genes under each permutation, and p-values of all genes."""
    device = tissue.device
    means = {key: RunningMean((draws.n_permutations,), device) for key in GENE_CONVENTIONS}
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
    tissue: Tissue, scale: Scale, points: Points, draws: TissueDraws, sample: np.ndarray
) -> dict[str, np.ndarray]:
    """Mean rho over genes in each bootstrap sample, moved to average at the point estimate.

    Repeated donors shift correlations by themselves, and the sampled genes differ from all by
    chance; neither belongs into the interval. Folds keep the weights of the data, n - 3.
    """
    weights = torch.cat(draws.weights, 1)
    means = {key: RunningMean((len(weights),), tissue.device) for key in GENE_CONVENTIONS}
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
