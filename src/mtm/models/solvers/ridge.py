"""Ridge regression of many genes at once in its dual form, penalty by cross-validation."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

import numpy as np
import torch

from mtm.errors import InputError
from mtm.models.solvers.arrays import ROUNDING, float64, gene_blocks
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
    n_samples, n_genes = y.shape
    gram = float64(kernel, device)
    spectrum = _Spectrum(gram, candidates)
    dual, intercept = np.empty((n_samples, n_genes)), np.empty(n_genes)
    criterion = np.empty((len(candidates), n_genes))
    blocks = list(spectrum.blocks(n_genes, memory_mb))
    for block in blocks:
        rotated = spectrum.rotate(y[:, block])
        criterion[:, block] = spectrum.criterion(rotated).cpu().numpy()
        dual[:, block] = rotated.cpu().numpy()
    choice = _least(criterion, shared=penalty_choice == "shared")
    mean_row = gram.mean(0)
    for block in blocks:
        level = spectrum.levels[torch.from_numpy(choice[block]).to(device)]
        scores = float64(dual[:, block], device) / (spectrum.eigenvalues[:, None] + level)
        weights = spectrum.vectors @ scores
        dual[:, block] = weights.cpu().numpy()
        mean = y[:, block].mean(0, dtype=np.float64)
        intercept[block] = mean - (mean_row @ weights).cpu().numpy()
    return RidgeFit(dual, intercept, candidates[choice])


def least_gcv(
    kernels: Iterable[np.ndarray],
    y: np.ndarray,
    penalties: tuple[float, ...] = PENALTIES,
    penalty_choice: PenaltyChoice = "per_gene",
    device: str = "cpu",
    memory_mb: float = 1024,
) -> int:
    """Return which kernel predicts all columns of `y` best.

    That is the one with the least sum of criteria, each column's at the penalty that `gcv_ridge`
    would choose; the first of equals. One eigendecomposition a kernel.

    Parameters
    ----------
    kernels
        Each as in `gcv_ridge`.
    y, penalties, penalty_choice, device, memory_mb
        As in `gcv_ridge`.
    """
    candidates = _candidates(penalties, penalty_choice)
    sums = []
    for kernel in kernels:
        spectrum = _Spectrum(float64(kernel, device), candidates)
        total = 0.0
        for block in spectrum.blocks(y.shape[1], memory_mb):
            criterion = spectrum.criterion(spectrum.rotate(y[:, block]))
            each = criterion if penalty_choice == "shared" else criterion.amin(0, keepdim=True)
            total = total + each.sum(1)
        sums.append(float(total.min()))
    return int(np.argmin(sums))


class _Spectrum:
    """The centred kernel's eigenvectors, and what every penalty leaves of each."""

    def __init__(self, gram: torch.Tensor, candidates: np.ndarray):
        eigenvalues, self.vectors = torch.linalg.eigh(_centred_kernel(gram))
        eigenvalues = eigenvalues.clamp(min=0)
        # Of features without variance, what is left by centring would be their unit.
        varies = eigenvalues.sum() > ROUNDING * gram.trace()
        self.eigenvalues = torch.where(varies, eigenvalues, 0)
        self.levels = float64(candidates, gram.device.type) * _mean_eigenvalue(self.eigenvalues)
        self.kept = self.levels[:, None] / (self.eigenvalues + self.levels[:, None])
        self.freedom = (self.kept.sum(1) - 1).clamp(min=1e-8 * len(gram))[:, None]

    def blocks(self, n_genes: int, memory_mb: float) -> Iterable[slice]:
        """Yield blocks of genes whose working set fits."""
        device = self.vectors.device.type
        floats = 5 * len(self.eigenvalues) + 2 * len(self.levels)
        return gene_blocks(n_genes, floats, memory_mb, device)

    def rotate(self, y: np.ndarray) -> torch.Tensor:
        """Return the centred targets along the eigenvectors."""
        target = float64(y, self.vectors.device.type)
        return self.vectors.T @ (target - target.mean(0))

    def criterion(self, rotated: torch.Tensor) -> torch.Tensor:
        """Return the criterion of every penalty and target, shape (n_penalties, n_genes)."""
        return (self.kept**2 @ rotated**2) / self.freedom**2


def mean_eigenvalue(kernel: np.ndarray) -> float:
    """Return the mean eigenvalue of the centred kernel, its zero for the mean left out.

    0 where the features do not vary, rounding aside.
    """
    total = np.trace(kernel)
    centred = total - kernel.sum() / len(kernel)
    return float(centred) / max(len(kernel) - 1, 1) if centred > ROUNDING * total else 0.0


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
