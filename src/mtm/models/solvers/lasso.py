"""LASSO of many genes on the same few features, with a cross-validated penalty (methods 2, S2)."""

from dataclasses import dataclass

import numpy as np
import torch

from mtm.errors import InputError
from mtm.models.solvers.arrays import centred, float64, gene_blocks

COLUMNS = {"cpu": 2**13, "cuda": 2**19}
"""Fits (genes times penalties) that descend together: what fills a cache, or a GPU."""
MOST_LEVELS = 8
"""Penalties of a path that descend together at most: fewer sweeps from the one before them."""
STEP_EVERY = 20
"""Sweeps between two runs of Newton steps."""
STEP_MEMORY_MB = 256


@dataclass(frozen=True)
class LassoFit:
    """What `lasso_cv` returns.

    Parameters
    ----------
    coef
        Shape ``(n_features, n_genes)``, float64.
    penalty
        Chosen penalty of each gene, shape ``(n_genes,)``.
    converged
        False where the sweeps ran out before the duality gap closed, shape ``(n_genes,)``.
    """

    coef: np.ndarray
    penalty: np.ndarray
    converged: np.ndarray


def duality_gap(
    gram: torch.Tensor, xty: torch.Tensor, yty: torch.Tensor, l1: torch.Tensor, coef: torch.Tensor
) -> torch.Tensor:
    """Return how far ``|y - Xw|^2 / 2 + l1 |w|_1`` can be above its minimum.

    Shapes are those of `lasso_descent`; the result has the shape of `yty`.
    """
    correlation = xty - torch.bmm(gram, coef)
    explained = (coef * xty).sum(1)
    squared_error = yty - explained - (coef * correlation).sum(1)
    steepest = correlation.abs().amax(1)
    feasible = torch.where(steepest > l1, l1 / steepest, 1)
    penalty = l1 * coef.abs().sum(1)
    return 0.5 * squared_error * (1 + feasible**2) + penalty - feasible * (yty - explained)


def lasso_descent(
    gram: torch.Tensor,
    xty: torch.Tensor,
    yty: torch.Tensor,
    l1: torch.Tensor,
    start: torch.Tensor,
    tol: float,
    max_iter: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Minimise ``|y - Xw|^2 / 2 + l1 |w|_1`` by cyclic coordinate descent over sums alone.

    Where the gap stays open, every few sweeps go on with `newton_steps`, without which
    correlated features take thousands of sweeps.

    Parameters
    ----------
    gram
        X'X of each design, float64, shape ``(n_designs, n_features, n_features)``.
    xty, yty
        X'y and y'y, shapes ``(n_designs, n_features, n_genes)`` and ``(n_designs, n_genes)``.
    l1
        Penalties, shape ``(n_designs, n_genes)``.
    start
        First coefficients, shape of `xty`.
    tol
        A gene stops when its duality gap is at most `tol` times y'y in every design.
    max_iter
        Most sweeps over the features.

    Returns
    -------
    tuple[torch.Tensor, torch.Tensor]
        Coefficients, shape of `xty`, and whether a gene's gap closed, shape ``(n_genes,)``.
    """
    coef = start.clone()
    diagonal = torch.diagonal(gram, dim1=1, dim2=2)[:, :, None]
    # A feature without variance keeps coefficient 0.
    inverse = torch.where(diagonal > 0, 1 / diagonal, 0)
    active = torch.arange(yty.shape[1], device=yty.device)
    w, q, total, bound = coef, xty, yty, l1
    for sweep in range(1, max_iter + 1):
        for j in range(gram.shape[1]):
            rest = q[:, j] - torch.bmm(gram[:, j : j + 1], w)[:, 0] + diagonal[:, j] * w[:, j]
            w[:, j] = (rest - rest.clamp(min=-bound, max=bound)) * inverse[:, j]
        is_open = duality_gap(gram, q, total, bound, w) > tol * total
        if sweep % STEP_EVERY == 0 and is_open.any():
            _step_where(is_open, gram, q, bound, w)
            is_open = duality_gap(gram, q, total, bound, w) > tol * total
        if w is not coef:
            coef[:, :, active] = w
        still = is_open.any(0)
        active = active[still]
        if not len(active):
            break
        w, q, total, bound = (array[..., still] for array in (w, q, total, bound))
    converged = torch.ones(yty.shape[1], dtype=torch.bool, device=yty.device)
    converged[active] = False
    return coef, converged


def _step_where(
    is_open: torch.Tensor,
    gram: torch.Tensor,
    xty: torch.Tensor,
    l1: torch.Tensor,
    coef: torch.Tensor,
) -> None:
    """Take `newton_steps` of the fits `is_open`, in place, few enough at a time for the memory."""
    design, gene = torch.where(is_open)
    for block in gene_blocks(len(gene), 6 * gram.shape[1] ** 2, STEP_MEMORY_MB):
        f, g = design[block], gene[block]
        coef[f, :, g] = newton_steps(gram[f], xty[f, :, g], l1[f, g], coef[f, :, g])


def newton_steps(
    gram: torch.Tensor, xty: torch.Tensor, l1: torch.Tensor, start: torch.Tensor
) -> torch.Tensor:
    """Go to the minimum over the non-zero coefficients, dropping those that would change sign.

    With the signs held, the objective is a quadratic form: a step leads to its minimum, or as far
    as the first coefficient that reaches zero. A step that rounding in a singular system turned
    into a rise is not taken.

    Parameters
    ----------
    gram
        Shape ``(n_fits, n_features, n_features)``.
    xty, start
        Shape ``(n_fits, n_features)``.
    l1
        Shape ``(n_fits,)``.
    """
    coef = start.clone()
    n_features = gram.shape[1]
    diagonal = torch.diagonal(gram, dim1=1, dim2=2)
    # More features than samples: a direction without curvature still has a way down.
    ridge = torch.diag_embed(1e-10 * diagonal + torch.finfo(gram.dtype).tiny)
    identity = torch.eye(n_features, dtype=gram.dtype, device=gram.device)
    active = torch.arange(len(coef), device=gram.device)
    for _ in range(n_features):
        w = coef[active]
        support = w != 0
        both = support[:, :, None] & support[:, None, :]
        curvature = torch.where(both, gram[active], identity)
        factors, pivots, _ = torch.linalg.lu_factor_ex(curvature + ridge[active] * both)
        slope = torch.where(support, xty[active] - l1[active, None] * w.sign(), 0)[:, :, None]
        goal = torch.linalg.lu_solve(factors, pivots, slope)
        # Once more on what the ridge left over: it must not blur a well-posed solution.
        goal = goal + torch.linalg.lu_solve(factors, pivots, slope - curvature @ goal)
        goal = goal[:, :, 0]
        turns = w * goal < 0
        reach = torch.where(turns, w / (w - goal), 1)
        share = reach.amin(1, keepdim=True)
        # What reaches zero must be zero exactly, to leave the support.
        moved = torch.where(turns & (reach == share), 0, w + share * (goal - w))
        part = (gram[active], xty[active], l1[active])
        lower = _objective(*part, moved) <= _objective(*part, w)
        coef[active] = torch.where(lower[:, None], moved, w)
        active = active[lower & (share[:, 0] < 1)]
        if not len(active):
            break
    return coef


def _objective(
    gram: torch.Tensor, xty: torch.Tensor, l1: torch.Tensor, coef: torch.Tensor
) -> torch.Tensor:
    """Return ``w'X'Xw / 2 - w'X'y + l1 |w|_1`` of each fit."""
    quadratic = 0.5 * torch.einsum("fij,fj->fi", gram, coef) - xty
    return (coef * quadratic).sum(1) + l1 * coef.abs().sum(1)


def lasso_cv(
    x: np.ndarray,
    y: np.ndarray,
    n_folds: int = 5,
    n_penalties: int = 100,
    smallest_penalty: float = 1e-3,
    tol: float = 1e-4,
    max_iter: int = 1000,
    device: str = "cpu",
    memory_mb: float = 1024,
) -> LassoFit:
    """Fit a LASSO with an intercept for every column of `y`, penalty by cross-validation.

    Every gene has its own geometric path of penalties, from the smallest one that gives an
    all-zero model on the whole data downwards. The inner folds are contiguous runs of rows, and
    the penalty is that with the smallest mean of the folds' mean squared errors: the choices of
    scikit-learn's ``LassoCV``. All genes and folds descend together.

    Parameters
    ----------
    x
        Features, shape ``(n_samples, n_features)``.
    y
        Targets, shape ``(n_samples, n_genes)``.
    n_folds
        Inner folds, 2 to n_samples.
    n_penalties, smallest_penalty
        Length of the path, and its last penalty as a share of the first.
    tol, max_iter
        See `lasso_descent`.
    device
        ``"cpu"`` or ``"cuda"``.
    memory_mb
        Working set of one block of genes, MiB.

    Raises
    ------
    InputError
        There are fewer samples than inner folds.
    """
    n_samples, n_features = x.shape
    if not 2 <= n_folds <= n_samples:
        raise InputError("inner folds", str(n_folds), f"2 to {n_samples}, the number of samples")
    features = float64(x, device)
    ratios = np.geomspace(1, smallest_penalty, n_penalties)
    folds = np.array_split(np.arange(n_samples), n_folds)
    coef = np.empty((n_features, y.shape[1]))
    penalty = np.empty(y.shape[1])
    converged = np.empty(y.shape[1], dtype=bool)
    levels = min(MOST_LEVELS, n_penalties) if device == "cuda" else 1
    floats_per_gene = 2 * n_samples + levels * (n_folds + 1) * (6 * n_features + 10)
    for block in gene_blocks(y.shape[1], floats_per_gene, memory_mb, device):
        best, fit, closed = _lasso_cv_block(
            features, float64(y[:, block], device), folds, ratios, tol, max_iter
        )
        penalty[block], coef[:, block] = best.cpu().numpy(), fit.cpu().numpy()
        converged[block] = closed.cpu().numpy()
    return LassoFit(coef, penalty, converged)


def _lasso_cv_block(
    x: torch.Tensor,
    y: torch.Tensor,
    folds: list[np.ndarray],
    ratios: np.ndarray,
    tol: float,
    max_iter: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return penalties, coefficients and convergence of one block of genes."""
    everything = np.arange(len(x))
    gram, xty, yty = (array[None] for array in _sums(x, y, everything, everything))
    largest = xty[0].abs().amax(0) / len(x)

    kept = [np.setdiff1d(everything, held_out) for held_out in folds]
    train = [_sums(x, y, rows, rows) for rows in kept]
    test = [_sums(x, y, rows, held_out) for rows, held_out in zip(kept, folds, strict=True)]
    fold_gram, fold_xty, fold_yty = (torch.stack(part) for part in zip(*train, strict=True))
    test_gram, test_xty, test_yty = (torch.stack(part) for part in zip(*test, strict=True))
    n_kept = torch.tensor([len(rows) for rows in kept], dtype=x.dtype, device=x.device)[:, None]
    n_held_out = torch.tensor([len(rows) for rows in folds], dtype=x.dtype, device=x.device)

    n_genes = y.shape[1]
    coef = torch.zeros_like(fold_xty)
    closed = torch.ones(n_genes, dtype=torch.bool, device=x.device)
    best_error = torch.full_like(largest, torch.inf)
    penalty = torch.zeros_like(largest)
    step = min(max(1, COLUMNS[x.device.type] // n_genes), MOST_LEVELS)
    for start in range(0, len(ratios), step):
        levels = largest * torch.from_numpy(ratios[start : start + step]).to(x.device)[:, None]
        n_levels = len(levels)
        path, ok = lasso_descent(
            fold_gram,
            fold_xty.repeat(1, 1, n_levels),
            fold_yty.repeat(1, n_levels),
            n_kept * levels.reshape(1, -1),
            coef.repeat(1, 1, n_levels),
            tol,
            max_iter,
        )
        closed &= ok.view(n_levels, n_genes).all(0)
        fitted = torch.bmm(test_gram, path) - 2 * test_xty.repeat(1, 1, n_levels)
        squared = test_yty.repeat(1, n_levels) + (path * fitted).sum(1)
        errors = (squared / n_held_out[:, None]).mean(0).view(n_levels, n_genes)
        for level, error in zip(levels, errors, strict=True):
            better = error < best_error
            best_error = torch.where(better, error, best_error)
            penalty = torch.where(better, level, penalty)
        coef = path[:, :, -n_genes:]
    coef, ok = lasso_descent(
        gram, xty, yty, (len(x) * penalty)[None], torch.zeros_like(xty), tol, max_iter
    )
    return penalty, coef[0], closed & ok


def _sums(
    x: torch.Tensor, y: torch.Tensor, centre_rows: np.ndarray, rows: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return X'X, X'y and y'y of `rows`, centred at the means of `centre_rows`."""
    x_rows, y_rows = centred(x, centre_rows)[rows], centred(y, centre_rows)[rows]
    return x_rows.T @ x_rows, x_rows.T @ y_rows, y_rows.square().sum(0)
