"""Ridge regression of many genes at once in its dual form, penalty by cross-validation."""

from dataclasses import dataclass
from typing import get_args

import numpy as np
import torch

from mtm.errors import InputError
from mtm.models.solvers.arrays import float64, gene_blocks
from mtm.settings.models.base import PENALTIES, PenaltyChoice


@dataclass(frozen=True)
class RidgeFit:
    """What `gcv_ridge` returns; the prediction is ``kernel(new, train) @ dual + intercept``.

    Parameters
    ----------
    dual
        Shape ``(n_samples, n_genes)``, float64. With features X the coefficients are ``X' dual``.
    intercept
        Shape ``(n_genes,)``.
    penalty
        Chosen penalty of each gene, in multiples as the candidates, shape ``(n_genes,)``.
    """

    dual: np.ndarray
    intercept: np.ndarray
    penalty: np.ndarray


def gcv_ridge(
    kernel: np.ndarray,
    y: np.ndarray,
    penalties: tuple[float, ...] = PENALTIES,
    penalty_choice: PenaltyChoice = "per_gene",
    device: str = "cpu",
    memory_mb: float = 1024,
) -> RidgeFit:
    """Fit a ridge regression with an intercept to every column of `y`.

    One eigendecomposition serves all genes and penalties. A penalty is judged by generalised
    cross-validation: residual sum of squares over the square of the residual degrees of freedom.

    Parameters
    ----------
    kernel
        XX' of the features, shape ``(n_samples, n_samples)``; it need not be centred.
    y
        Targets, shape ``(n_samples, n_genes)``.
    penalties
        Candidates above 0, as multiples of the mean eigenvalue of the centred kernel.
    penalty_choice
        - ``"per_gene"``: every gene has the penalty best for itself
        - ``"shared"``: all genes have the penalty with the least sum of their criteria
    device
        ``"cpu"`` or ``"cuda"``.
    memory_mb
        Working set of one block of genes, MiB.

    Raises
    ------
    InputError
        `penalties` or `penalty_choice` are not as above.
    """
    candidates = _candidates(penalties, penalty_choice)
    n_samples = len(kernel)
    gram = float64(kernel, device)
    eigenvalues, vectors = torch.linalg.eigh(_centred_kernel(gram))
    eigenvalues = eigenvalues.clamp(min=0)
    levels = float64(candidates, device) * _mean_eigenvalue(eigenvalues)
    kept = levels[:, None] / (eigenvalues + levels[:, None])
    freedom = (kept.sum(1) - 1).clamp(min=1e-8 * n_samples)[:, None]

    dual, intercept = np.empty((n_samples, y.shape[1])), np.empty(y.shape[1])
    criterion = np.empty((len(candidates), y.shape[1]))
    blocks = list(gene_blocks(y.shape[1], 5 * n_samples + 2 * len(candidates), memory_mb, device))
    for block in blocks:
        target = float64(y[:, block], device)
        rotated = vectors.T @ (target - target.mean(0))
        criterion[:, block] = ((kept**2 @ rotated**2) / freedom**2).cpu().numpy()
        dual[:, block] = rotated.cpu().numpy()
    choice = _least(criterion, shared=penalty_choice == "shared")
    mean_row = gram.mean(0)
    for block in blocks:
        level = levels[torch.from_numpy(choice[block]).to(device)]
        weights = vectors @ (float64(dual[:, block], device) / (eigenvalues[:, None] + level))
        dual[:, block] = weights.cpu().numpy()
        mean = y[:, block].mean(0, dtype=np.float64)
        intercept[block] = mean - (mean_row @ weights).cpu().numpy()
    return RidgeFit(dual, intercept, candidates[choice])


def _candidates(penalties: tuple[float, ...], penalty_choice: PenaltyChoice) -> np.ndarray:
    """Return the penalties as an array, both arguments checked."""
    if penalty_choice not in get_args(PenaltyChoice):
        raise InputError("penalty_choice", repr(penalty_choice), "per_gene or shared")
    candidates = np.asarray(penalties, dtype=float)
    if not len(candidates) or (candidates <= 0).any():
        raise InputError("penalties", str(list(penalties)), "numbers above 0")
    return candidates


def _mean_eigenvalue(eigenvalues: torch.Tensor) -> torch.Tensor:
    """Return the unit of the penalties; 1 where features without variance leave none."""
    mean = eigenvalues.sum() / max(len(eigenvalues) - 1, 1)
    return torch.where(mean > 0, mean, 1)


def _least(criterion: np.ndarray, shared: bool) -> np.ndarray:
    """Return the row of each column's least value, or all with the row of the least sum."""
    if shared:
        return np.full(criterion.shape[1], criterion.sum(1).argmin())
    return criterion.argmin(0)


def _centred_kernel(gram: torch.Tensor) -> torch.Tensor:
    """Return the kernel of the centred features."""
    centred = gram - gram.mean(0) - gram.mean(1)[:, None] + gram.mean()
    return (centred + centred.T) / 2


def reduced_rank(kernel: np.ndarray, dual: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut a ridge fit down to the leading directions of its centred fitted values.

    Parameters
    ----------
    kernel
        As in `gcv_ridge`.
    dual
        Shape ``(n_samples, n_genes)``.
    rank
        Number of directions; no more than samples and genes are used.

    Returns
    -------
    tuple[np.ndarray, np.ndarray]
        Dual coefficients of the directions, shape ``(n_samples, rank)``, and the directions,
        orthonormal, shape ``(rank, n_genes)``: their product takes the place of `dual`.
    """
    fitted = kernel @ dual
    fitted -= fitted.mean(0)
    _, vectors = np.linalg.eigh(fitted @ fitted.T)
    leading = vectors[:, ::-1][:, : min(rank, *dual.shape)]
    directions, _ = np.linalg.qr(fitted.T @ leading)
    return dual @ directions, directions.T
