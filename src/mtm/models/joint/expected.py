"""How far a new sample is expected to be from its prediction, whoever gives which samples."""

from collections.abc import Sequence

import numpy as np
import torch

from mtm.models.joint.conditional import condition
from mtm.models.joint.loadings import Loadings


def expected_variance(
    fits: Sequence[Loadings],
    sources: Sequence[int],
    targets: Sequence[int],
    known: np.ndarray | None = None,
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
    known
        Which columns of the person's covariates are known, ``(p,)``; None for all.
    observed
        Which genes each sample has, ``(n_sources, n_genes)``; None for all.

    Returns
    -------
    np.ndarray
        Shape ``(n_targets, n_genes)``, z-scores of each target squared.
    """
    total = 0.0
    for loadings in fits:
        columns = np.ones(len(loadings.covariates), bool) if known is None else known
        posterior = condition(loadings, list(sources), observed, columns)
        total += torch.stack([posterior.variance(target) for target in targets])
    return (total / len(fits)).cpu().numpy()
