"""Point estimates of accuracy in a tissue: correlations per gene and per sample."""

from dataclasses import dataclass

import torch

from mtm.predictions.tissues import BLOCK_GENES, Tissue
from mtm.settings.accuracy import AccuracySettings
from mtm.statistics.correlation import CONSTANT_TOLERANCE, fisher_z
from mtm.statistics.kernels import pearson, standardise, summed, third_moment
from mtm.vocabulary import GENE_CONVENTIONS, Scale

POOLED_CONVENTIONS = GENE_CONVENTIONS[1:]
# Edges between the skewnesses of nulls whose genes are pooled.
SKEWNESS_STRATA = (-0.1, 0.1, 0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Points:
    """Point estimates of one tissue on one scale.

    `rho` maps each gene-wise convention to ``(n_genes,)``; `statistic` is the weighted sum of
    Fisher z over eligible folds, `total` the weight of the folds it stands for; `informative` is
    ``(n_genes, n_eligible_folds)``; `stratum` numbers the genes' nulls by their skewness
    (`null_strata`); `sample_rho` is ``(n_samples, n_samples)`` for each fold:
    prediction i with observation j.
    """

    rho: dict[str, torch.Tensor]
    eligible: list[int]
    weights: torch.Tensor
    statistic: torch.Tensor
    total: torch.Tensor
    informative: torch.Tensor
    stratum: torch.Tensor
    sample_rho: list[torch.Tensor]


def point_estimates(
    tissue: Tissue, scale: Scale, settings: AccuracySettings, block_genes: int = BLOCK_GENES
) -> Points:
    """Correlate all genes and all samples of one tissue on one scale."""
    n_folds, n_genes, device = len(tissue.folds), tissue.n_genes, tissue.device
    sizes = torch.tensor([part.stop - part.start for part in tissue.parts])
    eligible = torch.nonzero(sizes >= settings.min_donors_per_fold).flatten().tolist()
    fold_rho = torch.empty((n_folds, n_genes), dtype=torch.float64, device=device)
    third = torch.empty_like(fold_rho)
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
            rho = summed(unit_predicted * unit_observed, 0)
            fold_rho[index, genes] = rho.masked_fill_(fixed_observed, torch.nan)
            varying[index, genes] = ~fixed_predicted
            third[index, genes] = third_moment(unit_predicted, unit_observed)
        if tissue.n_samples >= settings.min_donors_per_fold:
            for convention, rho in pooled.items():
                rho[genes] = pearson(*values.pooled(convention), 0)
    # Each fold has its own z-score of 0 TPM, which is the same value nevertheless.
    pooled["pooled_z"].masked_fill_(pooled["pooled_raw"].isnan(), torch.nan)

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
        stratum=null_strata(third[eligible], weights),
        sample_rho=[part.correlations(n_genes) for part in sums],
    )


def null_strata(third: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Group genes by the skewness of their null, that of the weighted sum of permuted rho.

    Correlations of two sparse genes are slightly negative under most permutations and large
    under the few that bring their expressing donors together, so genes must be compared with
    others of their kind.

    Parameters
    ----------
    third
        `mtm.statistics.kernels.third_moment` of every fold and gene, ``(n_folds, n_genes)``.
    weights
        Weight of each fold, its donors less 3, shape ``(n_folds,)``.

    Returns
    -------
    torch.Tensor
        Shape ``(n_genes,)``, int64.
    """
    informative = (third != 0).double()
    variance = (weights**2 / (weights + 2)) @ informative
    skewness = (weights**3 @ third) / variance.clamp_min(1e-9) ** 1.5
    return torch.bucketize(skewness, torch.tensor(SKEWNESS_STRATA, device=third.device).double())


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
        # Of one block float32 is exact enough; what is constant is told by the squares.
        self.products += predicted @ observed.T
        for sums, squares, side in (
            (self.predicted, self.squares_predicted, predicted.double()),
            (self.observed, self.squares_observed, observed.double()),
        ):
            sums += side.sum(1)
            squares += side.square().sum(1)

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
