"""Donors of one population, with held-out predictions of their genes in several tissues.

Genes move together through factors of the donor; blood tells the factors with noise, and some
genes better than others. The population (loadings, effects, skill) is the same in every
simulation; its donors are new.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from mtm.settings.accuracy import AccuracySettings
from mtm.statistics.correlation import centre, fisher_z, row_correlation
from mtm.statistics.testing import benjamini_hochberg

N_TISSUES, N_GENES, N_FACTORS, N_FOLDS = 3, 150, 12, 3
ACCURACY = AccuracySettings()


@dataclass(frozen=True)
class Simulated:
    """One tissue of a cohort, donors sorted by fold.

    `observed` and `predicted` are log2(1+TPM), `of_age` what age alone predicts, each
    ``(n_donors, n_genes)``; `parts` are the folds; `predictable` are the genes chosen on these
    very donors.
    """

    observed: np.ndarray
    predicted: np.ndarray
    of_age: np.ndarray
    parts: list[slice]
    predictable: np.ndarray


def simulate_cohort(
    rng: np.random.Generator, n_donors: int
) -> tuple[pd.DataFrame, list[Simulated]]:
    """Draw donors who have all tissues.

    Returns
    -------
    pd.DataFrame
        One row a donor: ``age`` and ``case`` (40% of donors), which act on genes, and ``noise``
        and ``null_case``, which do not; ``fold``.
    list of Simulated
        One a tissue.
    """
    case = rng.permutation(np.arange(n_donors) < 0.4 * n_donors)
    donors = pd.DataFrame(
        {
            "fold": np.sort(np.arange(n_donors) % N_FOLDS),
            "age": rng.normal(size=n_donors),
            "noise": rng.normal(size=n_donors),
            "case": case,
            "null_case": rng.permutation(case),
        },
        index=[f"D{i:04d}" for i in range(n_donors)],
    )
    ends = np.searchsorted(donors["fold"], np.arange(N_FOLDS + 1))
    parts = [slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]
    factors = rng.normal(size=(n_donors, N_FACTORS))
    told = factors + 0.7 * rng.normal(size=factors.shape)
    tissues = []
    for number in range(N_TISSUES):
        fixed = np.random.default_rng([7, number])
        falling = (1 + np.arange(N_FACTORS))[:, None] ** -0.5
        loading = 0.6 * falling * fixed.normal(size=(N_FACTORS, N_GENES))
        of_age, of_case = fixed.normal(0, 0.35, (2, N_GENES))
        skill, base = fixed.uniform(size=N_GENES), fixed.uniform(3, 8, N_GENES)
        known = np.outer(donors["age"], of_age) + np.outer(case, of_case)
        own, luck = rng.normal(size=(2, n_donors, N_GENES))
        observed = base + 0.6 * (factors @ loading + known + 0.7 * own)
        predicted = skill * (told @ loading + 0.7 * known + 0.35 * own) + (1 - skill) * 0.3 * luck
        predicted = base + 0.6 * predicted
        chosen = _predictable(observed, predicted, parts)
        alone = np.outer(donors["age"], of_age)
        tissues.append(Simulated(np.maximum(observed, 0), np.maximum(predicted, 0), alone, parts,
                                 chosen))  # fmt: skip
    return donors, tissues


def _predictable(observed: np.ndarray, predicted: np.ndarray, parts: list[slice]) -> np.ndarray:
    """Choose genes by the project's thresholds, P of Fisher's z in place of permutations."""
    rho = row_correlation(centre(observed, parts).T, centre(predicted, parts).T)
    z = fisher_z(rho) * np.sqrt(len(observed) - 3 * len(parts))
    q = benjamini_hochberg(stats.norm.sf(z))
    return (rho > ACCURACY.predictable_rho) & (q < ACCURACY.predictable_q)
