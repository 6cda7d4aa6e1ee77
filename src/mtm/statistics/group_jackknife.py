"""The jackknife over groups of donors, some left out at a time."""

import numpy as np

from mtm.statistics.testing import t_limits


def donor_groups(n_donors: int, n_groups: int, seed: int) -> np.ndarray:
    """Deal donors out to groups at random, as equal as can be; shape ``(n_donors,)``, int64."""
    order = np.random.default_rng([seed]).permutation(n_donors)
    groups = np.empty(n_donors, np.int64)
    groups[order] = np.arange(n_donors) % n_groups
    return groups


def jackknife_variance(
    estimate: float | np.ndarray, left_out: np.ndarray, sizes: np.ndarray
) -> float | np.ndarray:
    """Variance of an estimate by the jackknife, groups of any size (Busing and others 1999).

    Parameters
    ----------
    estimate
        From all donors, a number or an array.
    left_out
        From all donors but those of a group, one row a group.
    sizes
        Donors of each group, shape ``(n_groups,)``; a group without donors is passed over.
    """
    left_out, sizes = left_out[sizes > 0], sizes[sizes > 0]
    inverse = (sizes.sum() / sizes).reshape(-1, *[1] * (left_out.ndim - 1))
    pseudo = inverse * estimate - (inverse - 1) * left_out
    centre = (pseudo / inverse).sum(0)
    return ((pseudo - centre) ** 2 / (inverse - 1)).mean(0)


def jackknife_interval(
    estimate: float, left_out: np.ndarray, sizes: np.ndarray
) -> tuple[float, float]:
    """Return the ends of a 95% interval by Student's t, from what its variance takes."""
    se = float(np.sqrt(jackknife_variance(estimate, left_out, sizes)))
    limits = t_limits(float(estimate), se, int((sizes > 0).sum()) - 1)
    return limits["ci_low"], limits["ci_high"]
