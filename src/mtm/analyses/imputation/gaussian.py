"""Genes of a sample by the conditional of their Gaussian within its tissue (methods 6.24)."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from mtm.settings.imputation import Imputation


def impute_gaussian(
    train_z: np.ndarray,
    train_tissue: np.ndarray,
    asked_z: np.ndarray,
    asked_tissue: np.ndarray,
    blocks: Sequence[np.ndarray],
    settings: Imputation,
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
    settings, device
        Section of the config; where matrices are solved.

    Returns
    -------
    np.ndarray
        Shape of `asked_z`, float32.
    """
    imputed = np.zeros(asked_z.shape, np.float32)
    for tissue, covariance in _covariances(train_z, train_tissue, asked_tissue, settings, device):
        rows = np.flatnonzero(asked_tissue == tissue)
        values = torch.from_numpy(asked_z[rows]).to(device, torch.float64)
        for failed in blocks:
            told = conditional(values, covariance, torch.from_numpy(failed).to(device))
            imputed[np.ix_(rows, failed)] = told.cpu().numpy()
    return imputed


def _covariances(
    train_z: np.ndarray,
    train_tissue: np.ndarray,
    asked_tissue: np.ndarray,
    settings: Imputation,
    device: str,
) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield tissues that are asked for and their covariance, drawn to that within all tissues."""
    values = torch.from_numpy(train_z).to(device, torch.float64)
    pooled = values.T @ values / len(values)
    for tissue in np.unique(asked_tissue):
        own = values[torch.from_numpy(np.flatnonzero(train_tissue == tissue)).to(device)]
        covariance = own.T @ own + settings.pooled_samples * pooled
        covariance *= (1 - settings.shrinkage) / max(len(own) + settings.pooled_samples, 1)
        covariance.diagonal().add_(settings.shrinkage)
        yield int(tissue), covariance


def conditional(
    values: torch.Tensor, covariance: torch.Tensor, failed: torch.Tensor
) -> torch.Tensor:
    """Return the conditional mean of failed genes given the others; means are 0.

    Parameters
    ----------
    values
        Samples, shape ``(n_samples, n_genes)``; what stands in place of failed genes is not read.
    covariance
        Shape ``(n_genes, n_genes)``, positive definite.
    failed
        Positions of genes, shape ``(n_failed,)``.

    Returns
    -------
    torch.Tensor
        Shape ``(n_samples, n_failed)``.
    """
    is_known = torch.ones(len(covariance), dtype=torch.bool, device=covariance.device)
    is_known[failed] = False
    known = is_known.nonzero()[:, 0]
    factor = torch.linalg.cholesky(covariance[known[:, None], known])
    weights = torch.cholesky_solve(covariance[known[:, None], failed], factor)
    return values[:, known] @ weights
