"""Two models of one cohort: intervals and P values of `compare_accuracy`.

Estimands: the difference of the models' gene-wise correlations in the population, and for samples
of the models' mean sample-wise correlations (`accuracy.py` beside this module makes both). Under
the null two models know the same amount (rho 0.3), each with errors of its own, which genes and
tissues share; the interval is of a model of rho 0.4 against one of 0.25.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from bench.calibration.accuracy import PRESENT, Written, related, shared_values
from bench.calibration.trial import Interval, Test

from mtm.analyses.accuracy.comparison import Scored, compare_accuracy
from mtm.analyses.accuracy.score import score_predictions
from mtm.settings.accuracy import AccuracySettings
from mtm.vocabulary import MEAN_OF_TISSUES

RHO = {"same": 0.3, "equal": 0.3, "better": 0.4, "worse": 0.25}
SETTINGS = AccuracySettings(permutations=1, null_genes=1, bootstraps=200)


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval | Test]:
    """Compare two models that know the same amount, and two that do not."""
    observed = shared_values(rng, n_donors, len(PRESENT))
    with TemporaryDirectory() as folder:
        written = Written(rng, Path(folder), 8 + observed, PRESENT)
        scored = {}
        for name, rho in RHO.items():
            held_out = written.held_out(name, related(rng, observed, rho))
            scores = score_predictions(held_out, name, SETTINGS, device="cpu")
            scored[name] = Scored(scores.gene_wise, scores.sample_wise, held_out)
        pairs = [("same", "equal"), ("better", "worse")]
        table = compare_accuracy(scored, pairs, SETTINGS, device="cpu")
    for tissue, about in (("Spleen", "a tissue"), (MEAN_OF_TISSUES, "mean of tissues")):
        for level in ("gene_wise", "sample_wise"):
            yield Test(f"equal models, {level} {about}", _row(table, "same", level, tissue)["p"])
        row = _row(table, "better", "gene_wise", tissue)
        truth = RHO["better"] - RHO["worse"]
        yield Interval(f"difference, gene_wise {about}", row["ci_low"], row["ci_high"], truth)


def _row(table: pd.DataFrame, model: str, level: str, tissue: str) -> pd.Series:
    kept = (table["model_a"] == model) & (table["level"] == level) & (table["tissue"] == tissue)
    kept &= table["convention"].isin(["per_fold", "per_sample"]) & (table["scale"] == "log2_z")
    return table[kept].iloc[0]
