"""Predicted differences of an external cohort's groups: a change within people, and none.

The model is fixed; people are new and came twice. Their number is the option ``--donors`` (10, 25
and 60 are the sizes of interest). ``change`` is estimated by the root mean square over genes of
the difference of means between groups, of predicted log2(1+TPM), beside sex and age; the estimand
is the same of so many people that chance is nothing. It cannot be below 0, so that where nothing
differs its interval holds 0 unless its lower end is above. P values are of groups that do not
differ, in the sum over genes and of each gene, where disease goes with age.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pandas as pd
from bench.calibration.transfer import BLOOD, N_STATES, SHOWN, fitted
from bench.calibration.trial import Interval, Test

from mtm.analyses.transfer.external import ExternalCohort
from mtm.analyses.transfer.predicted import CHANGE, predicted_differences
from mtm.analyses.transfer.predicting import to_bundle
from mtm.settings.transfer import TransferSettings

SETTINGS = TransferSettings(permutations=199, min_per_group=3)
EFFECTS = {"groups differ": 0.5, "groups alike": 0.0}
# People, and cohorts of so many, whose mean is the truth.
N_LARGE, N_TRUTH = 1000, 4


def people(rng: np.random.Generator, n_people: int, effect: float) -> ExternalCohort:
    """Draw people twice; cases' first state moves by `effect` until the second visit."""
    sex, age = rng.integers(1, 3, n_people), rng.normal(50, 9, n_people)
    inclined = age + 9 * rng.normal(size=n_people)
    case = inclined > np.sort(inclined)[int(0.55 * n_people)]
    first = 0.4 * rng.normal(size=(n_people, N_STATES)) + 0.02 * (age[:, None] - 50)
    later = first + 0.2 * rng.normal(size=first.shape)
    later[:, 0] += effect * case
    fixed = np.random.default_rng([13, 6])
    loading, base = fixed.normal(size=(N_STATES, 120)), fixed.uniform(4, 7, 120)
    loading[1:] *= 0.7
    noise = 0.2 * rng.normal(size=(2, n_people, 120))
    tpm = [np.exp2(base + s @ loading + e) for s, e in zip((first, later), noise, strict=True)]
    samples = pd.DataFrame(
        {"case": np.tile(case, 2), "donor": np.tile(np.arange(n_people).astype(str), 2),
         "visit": np.repeat(["kept", "follow-up"], n_people), "sex": np.tile(sex, 2),
         "age": np.tile(age, 2)},
        index=[f"S{i}" for i in range(2 * n_people)],
    )  # fmt: skip
    genes = list(fitted()[0].genes.index)
    return ExternalCohort(np.concatenate(tpm).astype(np.float32), genes, samples, "external")


def differences(
    rng: np.random.Generator, n_people: int, effect: float, settings: TransferSettings
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tissues and genes of one cohort, the change within people."""
    model, blood, *_ = fitted()
    external = people(rng, n_people, effect)
    seeded = settings.with_(seed=int(rng.integers(2**31)))
    table, genes = predicted_differences(
        model, "ridge", external, to_bundle("shift"), BLOOD, seeded
    )
    table = table[table["comparison"] == CHANGE].set_index("tissue")
    return table, genes[genes["comparison"] == CHANGE].set_index(["tissue", "gene_id"])


@lru_cache
def truth(effect: float) -> tuple[pd.Series, pd.Series]:
    """Change by tissue and of each gene, of very many people."""
    rng, once = np.random.default_rng(23), SETTINGS.with_(permutations=1)
    found = [differences(rng, N_LARGE, effect, once) for _ in range(N_TRUTH)]
    change = pd.concat([table["change"] for table, _ in found], axis=1).mean(axis=1)
    log2fc = pd.concat([genes["log2fc"] for _, genes in found], axis=1).mean(axis=1)
    return change * bool(effect), log2fc * bool(effect)


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval | Test]:
    """Yield intervals of tissues and of a gene, and P values of groups that do not differ."""
    for name, effect in EFFECTS.items():
        table, genes = differences(rng, n_donors, effect, SETTINGS)
        changes, log2fc = truth(effect)
        for tissue in (*SHOWN, BLOOD):
            if tissue not in table.index:
                continue
            row, gene = table.loc[tissue], genes.loc[tissue].iloc[7]
            yield Interval(f"change: {tissue}, {name}", row["ci_low"], row["ci_high"],
                           changes[tissue])  # fmt: skip
            yield Interval(f"gene: {tissue}, {name}", gene["ci_low"], gene["ci_high"],
                           log2fc[tissue].iloc[7])  # fmt: skip
            if not effect:
                yield Test(f"p: {tissue}", row["p"])
                yield Test(f"p of a gene: {tissue}", gene["p"])
