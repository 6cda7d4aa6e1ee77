"""Contrast of the most and the least predictable genes in a characteristic.

Genes come in modules that move together and share much of the characteristic; genes and donors are
new in every simulation, as both are samples here. The estimand is the mean of Cliff's delta over
such simulations: 0 where predictability and characteristic are not related. The rank-sum P, which
takes genes as independent (`p_as_paper`), is shown beside the P of the interval.

Three tissues of the same donors have the same genes; half of the donors' part and half of what
sets skill apart are the same in all. One tissue and their mean have the same estimand.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pandas as pd
import torch
from bench.calibration.trial import Interval, Test

from mtm.analyses.genes.contrast import RhoDraws, contrast, contrast_genes
from mtm.statistics.kernels import standardise, weighted_correlations
from mtm.statistics.resampling import donor_weights
from mtm.vocabulary import GENE_CONVENTIONS, HEADLINE, MEAN_OF_TISSUES

N_MODULES, MODULE_SIZE, N_BOOTSTRAPS, N_TRUTH = 24, 20, 100, 150
GENES = pd.Index([f"ENSG{g:011d}.1" for g in range(N_MODULES * MODULE_SIZE)])
TISSUES = ("Liver", "Lung", "Spleen")
RELATIONS = {"no relation": 0.0, "relation": 0.5}
PLACES = {TISSUES[0]: "a tissue", MEAN_OF_TISSUES: "mean of tissues"}


def draw(
    rng: np.random.Generator, n_donors: int, relation: float
) -> tuple[list[tuple[torch.Tensor, torch.Tensor]], np.ndarray]:
    """Predicted and observed genes by tissue, of norm 1 over donors, and the characteristic."""
    module = np.repeat(np.arange(N_MODULES), MODULE_SIZE)
    skills = (rng.normal(size=len(module)) + rng.normal(size=(len(TISSUES), len(module)))) / 2**0.5
    everywhere, tissues = rng.normal(size=(2, n_donors, N_MODULES)), []
    for skill in skills:
        shared, other = (everywhere + rng.normal(size=everywhere.shape)) / 2**0.5
        told = 1 / (1 + np.exp(-skill))
        observed = shared[:, module] + rng.normal(size=(n_donors, len(module)))
        predicted = told * shared[:, module] + (1 - told) * other[:, module]
        predicted += 0.5 * rng.normal(size=observed.shape)
        sides = predicted, observed
        tissues.append(tuple(standardise(torch.from_numpy(x), 0)[0].float() for x in sides))
    value = rng.normal(size=N_MODULES)[module] + rng.normal(size=len(module))
    return tissues, value + relation * skills.mean(0)


@lru_cache
def truth(n_donors: int, relation: float) -> float:
    """Mean of Cliff's delta."""
    rng, deltas = np.random.default_rng([3, n_donors]), []
    for _ in range(N_TRUTH):
        tissues, value = draw(rng, n_donors, relation)
        for predicted, observed in tissues:
            deltas.append(contrast((predicted * observed).sum(0).numpy(), value)["cliffs_delta"])
    return float(np.mean(deltas))


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval | Test]:
    """Yield the interval with and without a relation, both P without."""
    for name, relation in RELATIONS.items():
        tissues, value = draw(rng, n_donors, relation)
        weights = torch.from_numpy(donor_weights(n_donors, N_BOOTSTRAPS, rng))
        rho = np.stack([(predicted * observed).sum(0).numpy() for predicted, observed in tissues])
        drawn = [
            RhoDraws(tissue, GENES, weighted_correlations(*sides, weights).numpy(), n_donors, 1)
            for tissue, sides in zip(TISSUES, tissues, strict=True)
        ]
        about = {"scale": HEADLINE.scale, "n": n_donors, HEADLINE.definition: True}
        accuracy = pd.DataFrame(
            {"tissue": np.repeat(TISSUES, len(GENES)), "gene_id": np.tile(GENES, len(TISSUES))}
            | dict.fromkeys([f"rho_{one}" for one in GENE_CONVENTIONS], rho.ravel())
        ).assign(**about)
        values = {"planted": pd.DataFrame({"gene_id": GENES, "value": value})}
        table = contrast_genes("model", accuracy, values, drawn)
        table = table[table["reading"] == "all_genes"].set_index("tissue")
        true = truth(n_donors, relation) if relation else 0.0
        for tissue, place in PLACES.items():
            row = table.loc[tissue]
            yield Interval(f"delta, {name}, {place}", row["ci_low"], row["ci_high"], true)
            if not relation:
                yield Test(f"p, {place}", row["p"])
                if tissue != MEAN_OF_TISSUES:
                    yield Test(f"p_as_paper, {place}", row["p_as_paper"])
