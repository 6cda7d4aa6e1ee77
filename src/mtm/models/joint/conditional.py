"""What the observed samples of a donor say of any tissue: the exact Gaussian conditional.

It is a matter of which tissues are given; what their samples hold moves its mean alone.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mtm.models.joint.loadings import Loadings


@dataclass(frozen=True)
class Told:
    """Posterior means of some donors.

    Parameters
    ----------
    factors
        Shape ``(n_donors, K)``.
    own
        Own effects, shape ``(n_donors, G)``.
    """

    factors: Tensor
    own: Tensor

    def of_donors(self, positions: np.ndarray) -> "Told":
        """Keep some donors alone."""
        kept = torch.from_numpy(positions).to(self.factors.device)
        return Told(self.factors[kept], self.own[kept])


@dataclass(frozen=True)
class Left:
    """Posterior covariance, shared by all donors who give samples of the same tissues.

    Parameters
    ----------
    factors
        Of the factors, ``(K, K)``.
    own_factors
        Of own effects and factors, ``(G, K)``.
    own
        Variance of own effects, ``(G,)``.
    """

    factors: Tensor
    own_factors: Tensor
    own: Tensor


class Posterior(ABC):
    """Posterior of donors' factors and own effects given samples of certain tissues.

    Parameters
    ----------
    loadings
        Of one fit.
    known
        Which columns of covariates are known, bool, ``(p,)``; None for none.
    """

    def __init__(self, loadings: Loadings, known: np.ndarray | None):
        self.loadings = loadings
        columns = np.flatnonzero(known) if known is not None else np.zeros(0, np.int64)
        self._known = torch.from_numpy(columns).to(loadings.factors.device)
        slope = loadings.covariates[self._known].double()
        self._slope = slope / loadings.covariate_variance[self._known].double()[:, None]
        self._of_covariates = slope.T @ self._slope

    @abstractmethod
    def told(self, expr_z: Tensor, covariates: Tensor | None = None) -> Told:
        """Posterior means of donors.

        Parameters
        ----------
        expr_z
            Shape ``(n_donors, n_samples, G)``; genes that a sample lacks may hold anything.
        covariates
            Standardised, ``(n_donors, p)``; needed where some are known.
        """

    @property
    @abstractmethod
    def left(self) -> Left:
        """Posterior covariance."""

    def mean(self, tissue: int, told: Told) -> Tensor:
        """Mean of a new sample of `tissue`, ``(n_donors, G)``."""
        factors, own = self.loadings.factors[tissue], self.loadings.own[tissue]
        return told.factors @ factors.T + own * told.own

    def variance(self, tissue: int) -> Tensor:
        """Variance of a new sample of `tissue`, ``(G,)``."""
        of, left = self.loadings, self.left
        factors, own = of.factors[tissue], of.own[tissue]
        variance = ((factors @ left.factors) * factors).sum(1)
        variance += 2 * own * (factors * left.own_factors).sum(1)
        variance += own.square() * left.own
        return variance + of.noise[tissue].square().sum(1) + of.variance[tissue]

    def _add_known(self, right: Tensor, covariates: Tensor | None) -> None:
        """Add to a right side what covariates say of the factors, which come first."""
        if len(self._known):
            right[:, : self._slope.shape[1]] += covariates[:, self._known].double() @ self._slope


def condition(
    loadings: Loadings,
    tissues: list[int],
    observed: Tensor | None = None,
    known: np.ndarray | None = None,
) -> Posterior:
    """Condition on samples of `tissues`, whatever they hold.

    Own effects are eliminated gene by gene, which leaves matrices of K factors and r noise factors
    a sample; where genes are fewer than noise factors, these are eliminated instead, which leaves
    K + G.

    Parameters
    ----------
    tissues
        Tissue of each sample of a donor; one may come twice, and there may be none.
    observed
        Which genes each sample has in all donors, ``(n_samples, G)``; None for all.
    known
        Which columns of covariates are known, bool, ``(p,)``; None for none.
    """
    n_genes, rank = loadings.noise.shape[1:]
    if observed is None and n_genes < rank * len(tissues):
        return _OfFewGenes(loadings, tissues, known)
    return _OfManyGenes(loadings, tissues, observed, known)


class _OfManyGenes(Posterior):
    """Own effects eliminated."""

    def __init__(
        self,
        loadings: Loadings,
        tissues: list[int],
        observed: Tensor | None,
        known: np.ndarray | None,
    ):
        super().__init__(loadings, known)
        of = loadings.of_tissues(tissues)
        precision = 1 / of.variance
        if observed is not None:
            precision = precision * observed
        self._observed = observed
        self._own = of.own * precision
        self._own_precision = 1 + (self._own * of.own).sum(0)
        self._factors = (of.factors * precision[:, :, None]).flatten(0, 1)
        self._noise = of.noise * precision[:, :, None]
        own = self._own[:, :, None]
        shared = [(of.factors * own).sum(0), _beside(of.noise * own)]
        self._shared = torch.cat(shared, 1)
        self._reduced = self._shared / self._own_precision[:, None]
        self._matrix = self._of_factors_and_noise(of)
        self._matrix -= (self._shared.T @ self._reduced).double()

    def _of_factors_and_noise(self, of: Loadings) -> Tensor:
        """Precision of factors and noise factors were there no own effects, float64."""
        n_factors = of.factors.shape[2]
        size = self._shared.shape[1]
        matrix = torch.eye(size, dtype=torch.float64, device=self._shared.device)
        cross = _beside((self._noise.mT @ of.factors).mT)
        matrix[:n_factors, :n_factors] += (self._factors.T @ of.factors.flatten(0, 1)).double()
        matrix[:n_factors, :n_factors] += self._of_covariates
        matrix[:n_factors, n_factors:] += cross
        matrix[n_factors:, :n_factors] += cross.T
        matrix[n_factors:, n_factors:] += torch.block_diag(*(self._noise.mT @ of.noise))
        return matrix

    def told(self, expr_z: Tensor, covariates: Tensor | None = None) -> Told:
        if self._observed is not None:
            expr_z = torch.where(self._observed, expr_z, 0)
        of_own = torch.einsum("nsg,sg->ng", expr_z, self._own)
        parts = [expr_z.flatten(1) @ self._factors, _beside(expr_z.transpose(0, 1) @ self._noise)]
        right = torch.cat(parts, 1).double() - (of_own @ self._reduced).double()
        self._add_known(right, covariates)
        x = torch.linalg.solve(self._matrix, right.T).T.to(expr_z)
        own = (of_own - x @ self._shared.T) / self._own_precision
        return Told(x[:, : self._factors.shape[1]], own)

    @cached_property
    def left(self) -> Left:
        n_factors = self._factors.shape[1]
        covariance = torch.linalg.inv(self._matrix).to(self._shared)
        carried = self._reduced @ covariance
        own = 1 / self._own_precision + (carried * self._reduced).sum(1)
        return Left(covariance[:n_factors, :n_factors], -carried[:, :n_factors], own)


def _beside(of_samples: Tensor) -> Tensor:
    """Put what is of each sample, ``(n_samples, m, r)``, side by side, ``(m, n_samples * r)``."""
    return of_samples.permute(1, 0, 2).flatten(1)


class _OfFewGenes(Posterior):
    """Noise factors eliminated: the precision of all factors and own effects at once."""

    def __init__(self, loadings: Loadings, tissues: list[int], known: np.ndarray | None):
        super().__init__(loadings, known)
        given = torch.tensor(tissues, dtype=torch.int64)
        scaled, information = loadings.information
        self._scaled = scaled[given]
        self._matrix = information[given].sum(0)
        self._matrix.diagonal().add_(1)
        n_factors = len(self._of_covariates)
        self._matrix[:n_factors, :n_factors] += self._of_covariates

    def told(self, expr_z: Tensor, covariates: Tensor | None = None) -> Told:
        right = torch.einsum("nsg,sgq->nq", expr_z.double(), self._scaled)
        self._add_known(right, covariates)
        x = torch.linalg.solve(self._matrix, right.T).T.to(expr_z)
        n_factors = len(self._of_covariates)
        return Told(x[:, :n_factors], x[:, n_factors:])

    @cached_property
    def left(self) -> Left:
        n_factors = len(self._of_covariates)
        covariance = torch.linalg.inv(self._matrix).to(self.loadings.factors)
        own = covariance[n_factors:]
        return Left(
            covariance[:n_factors, :n_factors], own[:, :n_factors], own[:, n_factors:].diagonal()
        )
