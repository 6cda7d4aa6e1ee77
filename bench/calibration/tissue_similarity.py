"""Similarity of tissues in expression against that in predictability.

Tissues, not donors, are the sample here: 10, 25 and 48 of them stand for 40, 100 and 300 donors.
The estimand is the mean of Spearman's rho over pairs of new tissues. The P that takes pairs as
independent (`p_as_paper`) is shown beside Mantel's; its null band must hold rho without relation.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from bench.calibration.trial import Interval, Test

from mtm.analyses.representations.tissue_similarity import compare_similarities

N_TRUTH = 400
NOISE = {"no relation": np.inf, "relation": 1.0}


def draw(rng: np.random.Generator, n_donors: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Two similarity matrices of tissues with places in a space of four dimensions."""
    n_tissues = min(48, n_donors // 4)
    place, other = rng.normal(size=(2, n_tissues, 4))
    near = other if np.isinf(noise) else place + noise * other
    return tuple(
        -np.linalg.norm(points[:, None] - points[None], axis=2) for points in (place, near)
    )


@lru_cache
def truth(n_donors: int, noise: float) -> float:
    """Mean of Spearman's rho."""
    rng = np.random.default_rng([4, n_donors])
    rho = [
        compare_similarities(*draw(rng, n_donors, noise), 1, 0)["spearman_rho"]
        for _ in range(N_TRUTH)
    ]
    return float(np.tanh(np.mean(np.arctanh(rho))))


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval | Test]:
    """Yield the interval with and without a relation, both P without."""
    for name, noise in NOISE.items():
        seed = int(rng.integers(2**31))
        found = compare_similarities(*draw(rng, n_donors, noise), 199, seed)
        true = 0.0 if np.isinf(noise) else truth(n_donors, noise)
        yield Interval(f"spearman_rho, {name}", found["ci_low"], found["ci_high"], true)
        if np.isinf(noise):
            limits = found["null_low"], found["null_high"]
            yield Interval("null band", *limits, found["spearman_rho"])
            yield Test("p", found["p"])
            yield Test("p_as_paper", found["p_as_paper"])
