"""Contrast of the most and the least predictable genes in a characteristic.

Genes come in modules that move together and share much of the characteristic; genes and donors are
new in every simulation, as both are samples here. The estimand is the mean of Cliff's delta over
such simulations: 0 where predictability and characteristic are not related. The rank-sum P, which
takes genes as independent (`p_as_paper`), is shown beside the P of the interval.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
from bench.calibration.trial import Interval, Test

from mtm.analyses.genes.contrast import contrast, donor_draws, interval
from mtm.statistics.kernels import standardise, weighted_correlations
from mtm.statistics.resampling import donor_weights

N_MODULES, MODULE_SIZE, N_BOOTSTRAPS, N_TRUTH = 24, 20, 100, 300
RELATIONS = {"no relation": 0.0, "relation": 0.5}


def draw(
    rng: np.random.Generator, n_donors: int, relation: float
) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Predicted and observed genes, of norm 1 over donors, and the characteristic."""
    module = np.repeat(np.arange(N_MODULES), MODULE_SIZE)
    skill = rng.normal(size=len(module))
    told = 1 / (1 + np.exp(-skill))
    shared, other = rng.normal(size=(2, n_donors, N_MODULES))
    observed = shared[:, module] + rng.normal(size=(n_donors, len(module)))
    predicted = told * shared[:, module] + (1 - told) * other[:, module]
    predicted += 0.5 * rng.normal(size=observed.shape)
    value = rng.normal(size=N_MODULES)[module] + rng.normal(size=len(module)) + relation * skill
    sides = (standardise(torch.from_numpy(side), 0)[0].float() for side in (predicted, observed))
    return *sides, value


@lru_cache
def truth(n_donors: int, relation: float) -> float:
    """Mean of Cliff's delta."""
    rng, deltas = np.random.default_rng([3, n_donors]), []
    for _ in range(N_TRUTH):
        predicted, observed, value = draw(rng, n_donors, relation)
        deltas.append(contrast((predicted * observed).sum(0).numpy(), value)["cliffs_delta"])
    return float(np.mean(deltas))


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval | Test]:
    """Yield the interval with and without a relation, both P without."""
    for name, relation in RELATIONS.items():
        predicted, observed, value = draw(rng, n_donors, relation)
        rho = (predicted * observed).sum(0).numpy()
        weights = torch.from_numpy(donor_weights(n_donors, N_BOOTSTRAPS, rng))
        drawn = weighted_correlations(predicted, observed, weights).numpy()
        found = contrast(rho, value)
        deltas = donor_draws(rho, drawn, value)
        tested = interval(found["cliffs_delta"], found["se_genes"], deltas, n_donors, 1)
        true = truth(n_donors, relation) if relation else 0.0
        yield Interval(f"delta, {name}", tested["ci_low"], tested["ci_high"], true)
        if not relation:
            yield Test("p", tested["p"])
            yield Test("p_as_paper", found["p_as_paper"])
