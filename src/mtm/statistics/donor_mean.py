"""A mean over samples of which donors have several, and its interval."""

import numpy as np
import pandas as pd

from mtm.statistics.testing import t_limits


def donor_mean(
    values: np.ndarray, donor: np.ndarray, weights: np.ndarray | None = None
) -> dict[str, float]:
    """Weighted mean with a 95% interval over donors: Student's t, what donors add to the error.

    Parameters
    ----------
    values
        Shape ``(n_values,)``.
    donor
        Whose each is, ``(n_values,)``.
    weights
        At least 0, ``(n_values,)``; None for all alike.

    Returns
    -------
    dict
        ``mean``, ``ci_low``, ``ci_high``, ``n_donors``; NaN where there is no value, ends NaN of
        fewer than two donors.
    """
    weights = np.ones(len(values)) if weights is None else weights
    whole = weights.sum()
    n_donors = len(np.unique(donor))
    if not whole > 0:
        return {"mean": np.nan, "ci_low": np.nan, "ci_high": np.nan, "n_donors": n_donors}
    mean = float((weights * values).sum() / whole)
    off = pd.Series(weights * (values - mean)).groupby(donor).sum().to_numpy()
    if n_donors < 2:
        return {"mean": mean, "ci_low": np.nan, "ci_high": np.nan, "n_donors": n_donors}
    se = float(np.sqrt(n_donors / (n_donors - 1) * np.square(off).sum()) / whole)
    limits = t_limits(mean, se, n_donors - 1)
    return {"mean": mean, "ci_low": limits["ci_low"], "ci_high": limits["ci_high"],
            "n_donors": n_donors}  # fmt: skip
