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
    imputed = np.zeros(asked_z.shape, np.float32)
    for tissue in np.unique(asked_tissue):
        rows = np.flatnonzero(asked_tissue == tissue)
        weights = (1 - shrinkage) * _weights(train_tissue == tissue, pooled_samples)
        weights = torch.from_numpy(weights).to(device)
        samples = train[weights > 0] * weights[weights > 0, None].sqrt()
        for failed in blocks:
            is_known = np.ones(train_z.shape[1], bool)
            is_known[failed] = False
            parts = (samples[:, is_known], samples[:, failed], asked[rows][:, is_known])
            told = conditional(*parts, shrinkage)
            imputed[np.ix_(rows, failed)] = told.cpu().numpy()
    return imputed


def _weights(of_tissue: np.ndarray, n_pooled: float) -> np.ndarray:
    """Weights of training samples in the correlations of a tissue, drawn to those of all."""
    weights = of_tissue + n_pooled / len(of_tissue)
    return weights / max(of_tissue.sum() + n_pooled, 1)


def conditional(
    known: torch.Tensor, failed: torch.Tensor, asked: torch.Tensor, shrinkage: float
) -> torch.Tensor:
    """Return the conditional mean of failed genes given known ones; all means are 0.

    The covariance is that of the products of samples, ``x.T @ x``, plus `shrinkage` times the
    identity. What is solved has as many rows as there are known genes or samples, the fewer.

    Parameters
    ----------
    known, failed
        Training samples times the roots of their weights, ``(n_samples, n_known)`` and
        ``(n_samples, n_failed)``.
    asked
        Known genes of the samples to impute, ``(n_asked, n_known)``.
    shrinkage
        Above 0.

    Returns
    -------
    torch.Tensor
        Shape ``(n_asked, n_failed)``.
    """
    few_genes = known.shape[1] <= known.shape[0]
    matrix = known.T @ known if few_genes else known @ known.T
    matrix.diagonal().add_(shrinkage)
    factor = torch.linalg.cholesky(matrix)
    if few_genes:
        return asked @ torch.cholesky_solve(known.T @ failed, factor)
    return (asked @ known.T) @ torch.cholesky_solve(failed, factor)
