"""How a correlation grows with the number of donors that a model learned from (methods 6.19).

For many small effects the squared correlation of prediction and truth is n / (n + m) of what could
be reached, with m the donors that take half the way (Daetwyler, Villanueva and Woolliams 2008):

    1 / rho^2 = a + b / n,    a = 1 / limit^2,    b = m * a

which is linear in a and b.
"""

import numpy as np

# A correlation no larger says nothing of its growth.
LEAST_RHO = 0.01


def fit_growth(n_donors: np.ndarray, rho: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit the curve by least squares in rho, to first order.

    Parameters
    ----------
    n_donors
        Training donors, shape ``(n_sizes,)``; two or more.
    rho
        Correlations, shape ``(n_sizes, ...)``.

    Returns
    -------
    np.ndarray, np.ndarray
        ``a`` (1 or more) and ``b`` (0 or more), each of the shape of `rho` less its first axis;
        NaN where a correlation is not above `LEAST_RHO`.
    """
    share = 1 / np.asarray(n_donors, float).reshape(-1, *[1] * (rho.ndim - 1))
    known = (rho > LEAST_RHO).all(0)
    safe = np.where(known, rho, 0.5)
    weight, inverse = safe**6, safe**-2.0
    total = weight.sum(0)
    mean_share, mean_inverse = (weight * share).sum(0) / total, (weight * inverse).sum(0) / total
    centred = share - mean_share
    b = (weight * centred * inverse).sum(0) / (weight * centred**2).sum(0)
    b = np.maximum(b, 0)
    a = mean_inverse - b * mean_share
    # No correlation is above 1, however steep the first points are.
    through_one = (weight * share * (inverse - 1)).sum(0) / (weight * share**2).sum(0)
    b = np.where(a < 1, np.maximum(through_one, 0), b)
    a = np.maximum(a, 1)
    return np.where(known, a, np.nan), np.where(known, b, np.nan)


def read_growth(curve: tuple[np.ndarray, np.ndarray], n_donors: float) -> np.ndarray:
    """Correlation that the curve of `fit_growth` has at a number of training donors."""
    a, b = curve
    return (a + b / n_donors) ** -0.5
