"""Genes of a sample by the conditional of their Gaussian within its tissue (methods 6.24)."""

from collections.abc import Sequence

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
    pooled = train.T @ train / n_samples if n_genes <= n_samples else None
    imputed = np.zeros(asked_z.shape, np.float32)
    for tissue in np.unique(asked_tissue):
        rows = np.flatnonzero(asked_tissue == tissue)
        own = torch.from_numpy(train_tissue == tissue).to(device)
        share = (1 - shrinkage) / max(int(own.sum()) + pooled_samples, 1)
        if pooled is not None:
            covariance = share * (train[own].T @ train[own] + pooled_samples * pooled)
        else:
            weights = share * (own + pooled_samples / n_samples)
            samples = train[weights > 0] * weights[weights > 0, None].sqrt()
        for failed in blocks:
            is_known = torch.ones(n_genes, dtype=torch.bool, device=train.device)
            is_known[torch.from_numpy(failed).to(device)] = False
            if pooled is not None:
                weights = weights_by_genes(covariance, is_known, shrinkage)
            else:
                weights = weights_by_samples(samples, is_known, shrinkage)
            told = asked[rows][:, is_known] @ weights
            imputed[np.ix_(rows, failed)] = told.cpu().numpy()
    return imputed


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


def weights_by_samples(
    samples: torch.Tensor, is_known: torch.Tensor, shrinkage: float
) -> torch.Tensor:
    """As `weights_by_genes` of ``samples.T @ samples``; what is solved has a row a sample.

    Parameters
    ----------
    samples
        Shape ``(n_samples, n_genes)``.
    is_known, shrinkage
        As in `weights_by_genes`.
    """
    known, failed = samples[:, is_known], samples[:, ~is_known]
    matrix = known @ known.T
    matrix.diagonal().add_(shrinkage)
    return known.T @ torch.cholesky_solve(failed, torch.linalg.cholesky(matrix))
