"""Growth of accuracy with training donors: intervals of `score_growth`.

Ridge regression is fitted to half, 70% and all of the training donors of each fold, on a
source of 30 genes that tells a moderate amount (correlation `SHARE` at most); the model, the
population and the held-out donors' scheme are fixed, donors are new in every simulation.
Estimands. Measured: what the fits, as they are, reach in the population. Foretold and promised:
what a model fitted on so many donors reaches on average, the mean over `N_TRUTH` cohorts; foretold
is all donors told by the fewer, promised twice as many.

Many small effects are what the curve is for. With a few strong effects, whose correlation is soon
at its limit, promises are far too high, and their intervals hold nothing (docs/methods.md 6.19).
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from bench.calibration.cohort import (
    N_FOLDS,
    Written,
    cross_validated_ridge,
    source_and_targets,
    who_has,
)
from bench.calibration.trial import Interval

from mtm.analyses.accuracy.growth import score_growth
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.growth import Growth
from mtm.vocabulary import FORETOLD, MEAN_OF_TISSUES, MEASURED, PROMISED

SHARE, PARTS, N_TRUTH = 0.6, (0.5, 0.7), 40
PLACES = (("Spleen", "a tissue"), (MEAN_OF_TISSUES, "mean of tissues"))
SETTINGS = AccuracySettings(permutations=1, null_genes=1, bootstraps=200)
LEAST = SETTINGS.min_donors_per_fold


@lru_cache
def expected(n_donors: int) -> dict[str, float]:
    """Mean over cohorts of what fits on two thirds of so many donors reach, by tissue."""
    cohorts = []
    for number in range(N_TRUTH):
        rng = np.random.default_rng([29, n_donors, number])
        source, observed = source_and_targets(rng, n_donors, SHARE)
        ridge = cross_validated_ridge(source, observed, who_has(rng, n_donors), SHARE)
        cohorts.append(ridge.truth(taken=0, least=LEAST))
    return pd.DataFrame(cohorts).mean().to_dict()


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval]:
    """Score a ridge by number of training donors."""
    source, observed = source_and_targets(rng, n_donors, SHARE)
    has = who_has(rng, n_donors)
    n_training = round(n_donors * (1 - 1 / N_FOLDS))
    sizes = [round(part * n_training) for part in PARTS]
    fits = {
        most: cross_validated_ridge(source, observed, has, SHARE, most) for most in (*sizes, None)
    }
    with TemporaryDirectory() as folder:
        written = Written(Path(folder), 8 + observed, has)
        held_out = {
            most: written.held_out(f"ridge{most}-", fit.predicted) for most, fit in fits.items()
        }
        whole = held_out.pop(None)
        settings = Growth(donors=tuple(sizes), promised=(2 * n_training,))
        table = score_growth(whole, held_out, "ridge", n_training, settings, SETTINGS)
    rows = table[table["level"] == "gene_wise"].set_index(["tissue", "kind", "n_donors"])
    truth = fits[None].truth(0, LEAST), fits[sizes[0]].truth(0, LEAST)
    for tissue, about in PLACES:
        for name, kind, n, true in (
            ("all donors", MEASURED, n_training, truth[0]),
            ("half of the donors", MEASURED, sizes[0], truth[1]),
            ("all donors", FORETOLD, n_training, expected(n_donors)),
            ("twice the donors", PROMISED, 2 * n_training, expected(2 * n_donors)),
        ):
            if (tissue, kind, n) in rows.index:
                row = rows.loc[(tissue, kind, n)]
                yield Interval(
                    f"{kind}, {name}, {about}", row["ci_low"], row["ci_high"], true[tissue]
                )
