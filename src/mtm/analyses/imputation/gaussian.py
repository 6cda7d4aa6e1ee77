"""Genes of a sample by the conditional of their Gaussian within its tissue (methods 6.24)."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch


def impute_gaussian(
    train_z: np.ndarray,
    train_tissue: np.ndarray,
    asked_z: np.ndarray,
    asked_tissue: np.ndarray,
    blocks: Sequence[np.ndarray],
    shrinkage: float,
    pooled_samples: float,
    device: str,
) -> np.ndarray:
    """Impute every gene once, as if its block had failed.

    Parameters
    ----------
    train_z, asked_z
        z-scores within tissue, shape ``(n_samples, n_genes)``.
    train_tissue, asked_tissue
        Shape ``(n_samples,)``.
    blocks
        Positions of genes that fail together; each gene in one.
    shrinkage, pooled_samples
        Weight of the identity in the correlations, and of those within all tissues, in samples.
    device
        Where matrices are solved.

    Returns
    -------
    np.ndarray
        Shape of `asked_z`, float32.
    """
    train, asked = (
        torch.from_numpy(values).to(device, torch.float64) for values in (train_z, asked_z)
    )
    n_samples, n_genes = train.shape
    tissues = []
    for tissue in np.unique(asked_tissue):
        own = torch.from_numpy(train_tissue == tissue).to(device)
        share = (1 - shrinkage) / max(int(own.sum()) + pooled_samples, 1)
        weights = share * (own + pooled_samples / n_samples)
        tissues.append(_Tissue(np.flatnonzero(asked_tissue == tissue), weights))
    tell = _by_genes if n_genes <= n_samples else _by_samples
    imputed = np.zeros(asked_z.shape, np.float32)
    for rows, failed, told in tell(train, asked, tissues, blocks, shrinkage):
        imputed[np.ix_(rows, failed)] = told.cpu().numpy()
    return imputed


class _Tissue(NamedTuple):
    """Rows that are asked of a tissue, and weights of all training samples in its products."""

    rows: np.ndarray
    weights: torch.Tensor


Told = Iterator[tuple[np.ndarray, np.ndarray, torch.Tensor]]


def _known(train: torch.Tensor, failed: np.ndarray) -> torch.Tensor:
    """Which genes have not failed."""
    is_known = torch.ones(train.shape[1], dtype=torch.bool, device=train.device)
    is_known[torch.from_numpy(failed).to(train.device)] = False
    return is_known


def _by_genes(train, asked, tissues: Sequence[_Tissue], blocks, shrinkage: float) -> Told:
    """Solve a system with a row a known gene for each tissue and block."""
    products = train.T @ train
    for rows, weights in tissues:
        # All samples have the least weight; those with more are the tissue's.
        more = weights - weights.min()
        own = train[more > 0]
        covariance = weights.min() * products + own.T @ (more[more > 0][:, None] * own)
        for failed in blocks:
            is_known = _known(train, failed)
            told = asked[rows][:, is_known] @ weights_by_genes(covariance, is_known, shrinkage)
            yield rows, failed, told


def _by_samples(train, asked, tissues: Sequence[_Tissue], blocks, shrinkage: float) -> Told:
    """As `_by_genes`, with a row a sample; products of samples are made once a block."""
    for failed in blocks:
        is_known = _known(train, failed)
        known, lost = train[:, is_known], train[:, ~is_known]
        products = known @ known.T
        for rows, weights in tissues:
            used = weights > 0
            given = asked[rows][:, is_known] @ known[used].T
            of_used = products[used][:, used], given, lost[used], weights[used]
            yield rows, failed, told_by_samples(*of_used, shrinkage)


def weights_by_genes(
    covariance: torch.Tensor, is_known: torch.Tensor, shrinkage: float
) -> torch.Tensor:
    """Return what turns known genes into the conditional mean of the others; all means are 0.

    Parameters
    ----------
    covariance
        Shape ``(n_genes, n_genes)``; `shrinkage` times the identity is added to it.
    is_known
        Shape ``(n_genes,)``, bool.
    shrinkage
        Above 0.

    Returns
    -------
    torch.Tensor
        Shape ``(n_known, n_failed)``.
    """
    matrix = covariance[is_known][:, is_known]
    matrix.diagonal().add_(shrinkage)
    factor = torch.linalg.cholesky(matrix)
    return torch.cholesky_solve(covariance[is_known][:, ~is_known], factor)


def told_by_samples(
    products: torch.Tensor,
    given: torch.Tensor,
    lost: torch.Tensor,
    weights: torch.Tensor,
    shrinkage: float,
) -> torch.Tensor:
    """Tell failed genes as `weights_by_genes` does, from products of samples alone.

    Parameters
    ----------
    products
        Of the training samples' known genes, shape ``(n_samples, n_samples)``.
    given
        Of those that are asked with the training samples', ``(n_asked, n_samples)``.
    lost
        Failed genes of the training samples, ``(n_samples, n_failed)``.
    weights
        Of the training samples in the covariance, above 0, ``(n_samples,)``.
    shrinkage
        Above 0.

    Returns
    -------
    torch.Tensor
        Shape ``(n_asked, n_failed)``.
    """
    root = weights.sqrt()
    matrix = root[:, None] * products * root
    matrix.diagonal().add_(shrinkage)
    solved = torch.cholesky_solve((given * root).T, torch.linalg.cholesky(matrix))
    return (root[:, None] * solved).T @ lost
