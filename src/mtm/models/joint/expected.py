"""How far a new sample is expected to be from its prediction, whoever gives which samples."""

from collections.abc import Sequence

import numpy as np
import torch

from mtm.models.joint.conditional import condition, read_out
from mtm.models.joint.loadings import Loadings


def expected_variance(
    fits: Sequence[Loadings],
    sources: Sequence[int],
    targets: Sequence[int],
    unknown: np.ndarray | None = None,
    observed: torch.Tensor | None = None,
) -> np.ndarray:
    """Variance of new samples of `targets` given samples of `sources`, mean over fits.

    It follows from the loadings: of a Gaussian, it is the same whatever the samples hold.

    Parameters
    ----------
    fits
        Loadings of every fit.
    sources, targets
        Tissues.
    unknown
        Which columns of the person's covariates are not known, ``(p,)``; None for none.
    observed
        Which genes each sample has, ``(n_sources, n_genes)``; None for all.

    Returns
    -------
    np.ndarray
        Shape ``(n_targets, n_genes)``, z-scores of each target squared.
    """
    total = 0.0
    for loadings in fits:
        expr_z = loadings.factors.new_zeros((1, len(sources), loadings.variance.shape[1]))
        covariates = loadings.covariates.new_zeros((1, len(loadings.covariates)))
        if unknown is not None:
            covariates[:, torch.from_numpy(unknown)] = torch.nan
        known = condition(loadings, list(sources), expr_z, observed, covariates)
        total += torch.stack([read_out(loadings, target, known)[1] for target in targets])
    return (total / len(fits)).cpu().numpy()
