"""Which genes a model predicts: permutation p-values and two definitions.

The paper calls a gene predictable where its pooled rho exceeds 0.3, whatever the number of
donors (methods 3, R5); here it must also exceed what permuted donors give (methods 6.2).
"""

import numpy as np

PAPER_RHO = 0.3


def is_predictable(
    rho_per_fold: np.ndarray, q: np.ndarray, rho: float, q_below: float
) -> np.ndarray:
    """Whether per-fold rho exceeds `rho` and q is below `q_below`; False where either is NaN."""
    return (rho_per_fold > rho) & (q < q_below)


def is_predictable_paper(rho_pooled_raw: np.ndarray) -> np.ndarray:
    """Whether pooled-raw rho exceeds 0.3, as in the paper; False where it is NaN."""
    return rho_pooled_raw > PAPER_RHO
