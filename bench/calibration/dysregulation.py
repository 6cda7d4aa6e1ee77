"""Agreement of fold changes of cases and controls among held-out donors of a tissue.

The estimand of an interval is the mean of Fisher's z of the correlation of predicted with observed
fold changes over cohorts of as many donors, genes chosen anew in each; the truth is that mean over
`N_TRUTH` cohorts. P values are of true nulls: labels without meaning (permuted on both sides), and
predictions of other people (predicted labels permuted; all genes, as a choice would be luck); the
null band must hold rho of these. P of a gene, drawn at random, is of labels without meaning;
`p_as_paper` takes genes for independent. F1 without a gene on either side has no P.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pandas as pd
from bench.calibration.population import N_GENES, Simulated, simulate_cohort
from bench.calibration.trial import Interval, Test

from mtm.analyses.disease.dysregulation import compare_expression
from mtm.settings.disease import DiseaseSettings
from mtm.statistics.correlation import fisher_z

N_TRUTH = 150
CONTRASTS = ("case", "null_case")


def agreement(
    tissue: Simulated, case: np.ndarray, fold: np.ndarray, permutations: int, seed: int = 0
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Genes and measures of one contrast."""
    settings = DiseaseSettings(permutations=permutations, seed=seed)
    sides = (
        np.exp2(side[:, tissue.predictable]) - 1 for side in (tissue.observed, tissue.predicted)
    )
    return compare_expression(*(s.astype(np.float32) for s in sides), case, fold, settings)


@lru_cache
def truth(n_donors: int) -> dict[str, float]:
    """Mean over cohorts of the correlation, by contrast."""
    z = []
    for number in range(N_TRUTH):
        donors, tissues = simulate_cohort(np.random.default_rng([2, n_donors, number]), n_donors)
        fold = donors["fold"].to_numpy()
        found = [agreement(tissues[0], donors[name].to_numpy(), fold, 1)[1] for name in CONTRASTS]
        z.append([fisher_z(row["rho_log2fc"]) for row in found])
    return dict(zip(CONTRASTS, np.tanh(np.mean(z, 0)), strict=True))


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval | Test]:
    """Yield intervals of both contrasts, P values of true nulls."""
    donors, tissues = simulate_cohort(rng, n_donors)
    fold, true = donors["fold"].to_numpy(), truth(n_donors)
    seed = int(rng.integers(2**31))
    for name in CONTRASTS:
        genes, row = agreement(tissues[0], donors[name].to_numpy(), fold, 199, seed)
        yield Interval(f"rho: {name}", row["rho_ci_low"], row["rho_ci_high"], true[name])
        if name == "null_case":
            yield Test("rho_chance_p", row["rho_chance_p"])
            gene = genes.iloc[int(rng.integers(len(genes)))]
            yield Test("p_observed, a gene", gene["p_observed"])
            yield Test("p_predicted, a gene", gene["p_predicted"])
    dealt = np.arange(n_donors)
    for part in tissues[0].parts:
        dealt[part] = rng.permutation(dealt[part])
    others = replace(
        tissues[0], predicted=tissues[0].predicted[dealt], predictable=np.ones(N_GENES, bool)
    )
    _, row = agreement(others, donors["case"].to_numpy(), fold, 199, seed)
    limits = row["rho_null_low"], row["rho_null_high"]
    yield Interval("null band of rho, predictions of others", *limits, row["rho_log2fc"])
    for p in ("rho_p", "f1_up_p", "f1_down_p", "p_as_paper_up", "p_as_paper_down"):
        yield Test(f"{p}, predictions of others", row[p])
