"""What the observed samples of a donor say of any tissue: the exact Gaussian conditional."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mtm.models.joint.loadings import Loadings


@dataclass(frozen=True)
class Known:
    """Posterior of some donors who gave samples of the same tissues.

    Parameters
    ----------
    factors
        Shape ``(n_donors, K)``.
    own
        Shape ``(n_donors, G)``.
    covariance
        Of the factors, ``(K, K)``, shared by all of them.
    own_factors
        Covariance of own effects and factors, ``(G, K)``.
    own_variance
        Shape ``(G,)``.
    """

    factors: Tensor
    own: Tensor
    covariance: Tensor
    own_factors: Tensor
    own_variance: Tensor

    def of_donors(self, positions: np.ndarray) -> "Known":
        """Keep some donors alone."""
        kept = torch.from_numpy(positions).to(self.factors.device)
        return replace(self, factors=self.factors[kept], own=self.own[kept])


def condition(
    loadings: Loadings,
    tissues: list[int],
    expr_z: Tensor,
    observed: Tensor | None = None,
    covariates: Tensor | None = None,
) -> Known:
    """Posterior of donors' factors and own effects given samples of `tissues`.

    Own effects are eliminated gene by gene, which leaves matrices of K + r factors a sample; where
    genes are fewer than noise factors, these are eliminated instead, which leaves K + G.

    Parameters
    ----------
    tissues
        Tissue of each sample of a donor; one may come twice, and there may be none.
    expr_z
        Shape ``(n_donors, n_samples, G)``.
    observed
        Which genes each sample has in all donors, ``(n_samples, G)``; None for all.
    covariates
        Standardised, ``(n_donors, p)``; NaN throughout a column that is not known, None where none
        is.
    """
    n_donors, n_samples, n_genes = expr_z.shape
    n_factors, rank = loadings.factors.shape[2], loadings.noise.shape[2]
    if observed is None and n_genes < rank * n_samples:
        return _of_few_genes(loadings, tissues, expr_z, covariates)
    of = loadings.of_tissues(tissues)
    precision = 1 / of.variance
    if observed is not None:
        precision = precision * observed
        expr_z = torch.where(observed, expr_z, 0)
    weight = of.own * precision
    own_precision = 1 + (weight * of.own).sum(0)
    size = n_factors + rank * n_samples
    shared = expr_z.new_zeros((n_genes, size))
    matrix = torch.eye(size, dtype=torch.float64, device=expr_z.device)
    right = expr_z.new_zeros((n_donors, size))
    for index in range(n_samples):
        plain = torch.cat([of.factors[index], of.noise[index]], 1)
        scaled = plain * precision[index][:, None]
        columns = _columns(index, n_factors, rank).to(matrix.device)
        matrix[columns[:, None], columns] += (plain.T @ scaled).double()
        right[:, columns] += expr_z[:, index] @ scaled
        shared[:, columns] += of.own[index][:, None] * scaled
    of_own = torch.einsum("nsg,sg->ng", expr_z, weight)
    reduced = shared / own_precision[:, None]
    matrix -= (shared.T @ reduced).double()
    right = right.double() - (of_own @ reduced).double()
    _add_covariates(loadings, covariates, matrix, right)
    covariance = torch.linalg.inv(matrix)
    x, covariance = (right @ covariance).to(expr_z), covariance.to(expr_z)
    own = (of_own - x @ shared.T) / own_precision
    carried = reduced @ covariance
    own_variance = 1 / own_precision + (carried * reduced).sum(1)
    among, beside = covariance[:n_factors, :n_factors], -carried[:, :n_factors]
    return Known(x[:, :n_factors], own, among, beside, own_variance)


def _of_few_genes(
    loadings: Loadings, tissues: list[int], expr_z: Tensor, covariates: Tensor | None
) -> Known:
    """As `condition`, with the precision of all factors and own effects at once."""
    n_factors, given = loadings.factors.shape[2], torch.tensor(tissues, dtype=torch.int64)
    scaled, information = loadings.information
    matrix = information[given].sum(0)
    matrix.diagonal().add_(1)
    right = torch.einsum("nsg,sgq->nq", expr_z.double(), scaled[given])
    _add_covariates(loadings, covariates, matrix, right)
    covariance = torch.linalg.inv(matrix)
    x, covariance = (right @ covariance).to(expr_z), covariance.to(expr_z)
    own_covariance = covariance[n_factors:]
    return Known(
        factors=x[:, :n_factors],
        own=x[:, n_factors:],
        covariance=covariance[:n_factors, :n_factors],
        own_factors=own_covariance[:, :n_factors],
        own_variance=own_covariance[:, n_factors:].diagonal(),
    )


def _add_covariates(
    loadings: Loadings, covariates: Tensor | None, matrix: Tensor, right: Tensor
) -> None:
    """Add to precision and right side what covariates say of the factors, which come first."""
    if covariates is None:
        return
    n_factors, known = loadings.covariates.shape[1], ~covariates[0].isnan()
    slope = loadings.covariates[known].double()
    weighted = slope / loadings.covariate_variance[known].double()[:, None]
    matrix[:n_factors, :n_factors] += slope.T @ weighted
    right[:, :n_factors] += covariates[:, known].double() @ weighted


def _columns(index: int, n_factors: int, rank: int) -> Tensor:
    """Positions of the donor's factors and of one sample's noise factors."""
    start = n_factors + rank * index
    return torch.cat([torch.arange(n_factors), torch.arange(start, start + rank)])


def read_out(loadings: Loadings, tissue: int, known: Known) -> tuple[Tensor, Tensor]:
    """Mean and variance of a new sample of `tissue`, ``(n_donors, G)`` and ``(G,)``."""
    factors, own = loadings.factors[tissue], loadings.own[tissue]
    mean = known.factors @ factors.T + own * known.own
    variance = ((factors @ known.covariance) * factors).sum(1)
    variance += 2 * own * (factors * known.own_factors).sum(1)
    variance += own.square() * known.own_variance
    variance += loadings.noise[tissue].square().sum(1) + loadings.variance[tissue]
    return mean, variance
