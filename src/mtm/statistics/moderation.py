"""Variances of many genes measured on few donors, each drawn towards what is typical.

Smyth (2004, Stat. Appl. Genet. Mol. Biol. 3:3): true variances are taken as scaled inverse
chi-square around s0^2 with d0 degrees of freedom, both of which follow from mean and variance of
the logarithms of the measured ones.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, polygamma

# Variances below this share of the median say nothing of how variances differ.
NEGLIGIBLE = 1e-5
# Degrees of freedom where variances differ no more than by chance.
MOST_DEGREES = 1e6


@dataclass(frozen=True)
class VariancePrior:
    """What variances of a kind are before they are measured.

    Parameters
    ----------
    variance
        The typical one.
    degrees
        Degrees of freedom that it counts for.
    """

    variance: float
    degrees: float

    @classmethod
    def of(cls, variances: np.ndarray, degrees: float) -> "VariancePrior":
        """Fit to measured variances, each of `degrees` degrees of freedom.

        Those that are 0 are left out; of one or none that is not, nothing is learned.
        """
        known = variances[variances > 0]
        if len(known) < 2:
            return cls(float(known[0]) if len(known) else 1.0, MOST_DEGREES)
        logs = np.log(np.maximum(known, NEGLIGIBLE * np.median(known)))
        logs -= digamma(degrees / 2) - np.log(degrees / 2)
        beyond_chance = logs.var(ddof=1) - polygamma(1, degrees / 2)
        least = polygamma(1, MOST_DEGREES / 2)
        if beyond_chance <= least:
            return cls(float(np.exp(logs.mean())), MOST_DEGREES)
        half = inverse_trigamma(float(beyond_chance))
        return cls(float(np.exp(logs.mean() + digamma(half) - np.log(half))), 2 * half)

    def moderated(self, squares: np.ndarray, degrees: float) -> np.ndarray:
        """Variances from sums of squares of `degrees` values each, drawn to the typical one."""
        return (self.degrees * self.variance + squares) / (self.degrees + degrees)


def inverse_trigamma(value: float) -> float:
    """Return x with trigamma(x) = `value`, above 0, by Newton's method on 1 / trigamma."""
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = polygamma(1, x)
        step = trigamma * (1 - trigamma / value) / polygamma(2, x)
        x += step
        if -step / x < 1e-10:
            break
    return float(x)
