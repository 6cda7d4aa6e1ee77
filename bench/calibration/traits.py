"""Agreement of trait associations, of one tissue and of the median over tissues.

The estimand of an interval is the mean of Fisher's z of the agreement over cohorts of as many
donors, genes chosen anew in each; the truth is that mean over `N_TRUTH` cohorts. Age acts on the
genes; "noise" does not: its P values are of a true null, and its null band must hold the
agreement.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pandas as pd
from bench.calibration.population import simulate_cohort
from bench.calibration.trial import Interval, Test

from mtm.analyses.traits.associations import View
from mtm.analyses.traits.draws import TraitDraws
from mtm.analyses.traits.summary import COUNTS, KEY, MEASURES, with_medians
from mtm.analyses.traits.trait import Trait
from mtm.settings.traits import TraitSettings
from mtm.statistics.correlation import fisher_z
from mtm.vocabulary import MEDIAN_OF_TISSUES, RAN

N_TRUTH = 150
FIRST = "tissue 0"
LIMITS = {"rho": ("ci_low", "ci_high"), "rho_beyond": ("beyond_ci_low", "beyond_ci_high")}


def agreement(rng: np.random.Generator, n_donors: int, permutations: int) -> pd.DataFrame:
    """Agreement of one cohort, indexed by trait and tissue, of one tissue and the median."""
    seed = int(rng.integers(2**31))
    settings = TraitSettings(permutations=permutations, splits=1, seed=seed)
    donors, tissues = simulate_cohort(rng, n_donors)
    traits = [Trait(name, donors[name], ()) for name in ("age", "noise")]
    draws = TraitDraws.of(donors["fold"].groupby(donors["fold"]).groups, traits, settings)
    rows, resampled = [], {}
    for trait in traits:
        for number, tissue in enumerate(tissues):
            sides = (tissue.observed, tissue.predicted, tissue.of_age)
            sides = [side[:, tissue.predictable] for side in sides]
            view = View.of_values(
                *sides, trait.values.to_numpy(), donors.index, tissue.parts, settings
            )
            _, measures, drawn = view.compare(draws, trait.name)
            key = ("model", "predictable", trait.name, f"tissue {number}")
            counts = {"n_donors": n_donors, "n_genes": sides[0].shape[1], "status": RAN}
            rows.append(dict(zip(KEY, key, strict=True)) | counts | measures)
            resampled.setdefault(key[:3], []).append(drawn)
    table = with_medians(pd.DataFrame(rows, columns=[*KEY, *COUNTS, *MEASURES]), resampled, draws)
    shown = table[table["tissue"].isin([FIRST, MEDIAN_OF_TISSUES])]
    return shown.set_index(["trait", "tissue"])


@lru_cache
def truth(n_donors: int) -> pd.DataFrame:
    """Means over cohorts of the measures that have an interval."""
    cohorts = [
        agreement(np.random.default_rng([1, n_donors, number]), n_donors, 1)[[*LIMITS]]
        for number in range(N_TRUTH)
    ]
    z = [fisher_z(table.to_numpy(float)) for table in cohorts]
    return pd.DataFrame(np.tanh(np.mean(z, 0)), cohorts[0].index, [*LIMITS])


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval | Test]:
    """Yield intervals of both traits, P values of the one without meaning."""
    found, true = agreement(rng, n_donors, 199), truth(n_donors)
    for key, row in found.iterrows():
        name = ", ".join(key)
        for measure, (low, high) in LIMITS.items():
            yield Interval(f"{measure}: {name}", row[low], row[high], true.loc[key, measure])
        if key[0] == "noise":
            yield Test(f"p: {name}", row["p"])
            limits = row["null_low"], row["null_high"]
            yield Interval(f"null band: {name}", *limits, row["rho"])
