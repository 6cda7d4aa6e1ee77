"""Bayesian ridge regression of many genes at once, from sufficient statistics (methods 2, S1)."""

import torch

GAMMA_PRIOR = 1e-6
"""Shape and rate of the Gamma priors over both precisions (alpha_1, alpha_2, lambda_1, ...)."""


def bayesian_ridge(
    gram: torch.Tensor,
    xty: torch.Tensor,
    yty: torch.Tensor,
    n_samples: int,
    max_iter: int = 300,
    tol: float = 1e-3,
) -> torch.Tensor:
    """Fit one Bayesian ridge regression a gene, each on its own features.

    The evidence is maximised by MacKay's fixed point, in the eigenvectors of each Gram matrix, so
    that an iteration costs no more than the coefficients themselves. The steps and the stop are
    those of scikit-learn's ``BayesianRidge`` with its default priors.

    Parameters
    ----------
    gram
        X'X of centred features, float64, shape ``(n_genes, n_features, n_features)``.
    xty
        X'y of centred features and target, shape ``(n_genes, n_features)``.
    yty
        y'y of the centred target, shape ``(n_genes,)``.
    n_samples
        Samples behind the sums.
    max_iter, tol
        A gene stops when the sum of absolute changes of its coefficients is below `tol`.

    Returns
    -------
    torch.Tensor
        Coefficients, shape ``(n_genes, n_features)``.
    """
    eigenvalues, eigenvectors = torch.linalg.eigh(gram)
    eigenvalues = eigenvalues.clamp(min=0)
    projected = torch.einsum("gij,gi->gj", eigenvectors, xty)
    noise_precision = 1 / (yty / n_samples + torch.finfo(torch.float64).eps)
    weight_precision, prior = torch.ones_like(yty), 2 * GAMMA_PRIOR

    coef = torch.zeros_like(xty)
    active = torch.arange(len(yty), device=yty.device)
    for iteration in range(max_iter):
        values, vectors, target = eigenvalues[active], eigenvectors[active], projected[active]
        alpha, lam = noise_precision[active, None], weight_precision[active, None]
        rotated = target / (values + lam / alpha)
        new = torch.einsum("gij,gj->gi", vectors, rotated)
        squared_error = yty[active] + (rotated * (values * rotated - 2 * target)).sum(1)
        freedom = (alpha * values / (lam + alpha * values)).sum(1)
        weight_precision[active] = (freedom + prior) / (rotated.square().sum(1) + prior)
        squared_error = squared_error.clamp(min=0)
        noise_precision[active] = (n_samples - freedom + prior) / (squared_error + prior)
        moved = (new - coef[active]).abs().sum(1) >= tol
        coef[active] = new
        if iteration > 0:
            active = active[moved]
            if not len(active):
                break
    ratio = (weight_precision / noise_precision)[:, None]
    return torch.einsum("gij,gj->gi", eigenvectors, projected / (eigenvalues + ratio))


def bayesian_ridge_on_best(
    x: torch.Tensor, y: torch.Tensor, k: int, max_iter: int, tol: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Fit `bayesian_ridge` of each gene on the `k` features that follow it most.

    Parameters
    ----------
    x, y
        z-scores, shapes ``(n_samples, n_features)`` and ``(n_samples, n_genes)``.

    Returns
    -------
    tuple[torch.Tensor, torch.Tensor]
        Features of each gene, indices into `x`, and their coefficients, shape ``(n_genes, k)``.
    """
    products = y.T @ x
    best = products.abs().topk(k, dim=1).indices.sort(1).values
    gram = (x.T @ x)[best[:, :, None], best[:, None, :]]
    xty, yty = products.gather(1, best), y.square().sum(0)
    return best, bayesian_ridge(gram, xty, yty, len(x), max_iter, tol)
