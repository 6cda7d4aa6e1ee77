"""Disease status: intervals of auROC and of differences, tests of no signal and no difference.

An interval speaks of the auROC that the whole procedure (penalty, fit, cross-validation) is
expected to have with so many donors, over donors and fits alike. Inputs "observed" and "predicted"
tell status equally well in expectation, from values that are alike in part, so their difference is
truly 0; "source" tells nothing, so its auROC is truly 0.5. That of the other two is the mean over
`TRUTH_COHORTS` other cohorts. Two tissues of the same donors are two pairs that depend on each
other.

The classifier is the project's; its path of penalties is short, and genes and repeats are few.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
import pandas as pd
from bench.calibration.trial import Interval, Test

from mtm.analyses.disease.status import donor_halves, tell_pair
from mtm.analyses.disease.status_classifier import GeneChoice, cross_validate
from mtm.analyses.disease.status_tables import KEY, compare_inputs, summarised
from mtm.settings.disease_status import StatusSettings
from mtm.vocabulary import OBSERVED, PREDICTED, RAN, SOURCE

N_GENES, TELLING, TRUTH_COHORTS = 15, 4, 300
# The effect that the fewer donors can just about find: an auROC of some 0.65 to 0.7.
EFFECT_OF_ONE_DONOR = 4.0
SETTINGS = StatusSettings(
    n_folds=3, repeats=3, inner_folds=2, n_penalties=5, smallest_penalty=0.1, patience=5,
    permutations=6, halvings=12,
)  # fmt: skip
CHOICE = GeneChoice(np.ones(N_GENES, bool))
PAIR = dict(zip(KEY, ("m", "predictable", "all_folds"), strict=False)) | {"contrast": "disease"}


def cohort(
    rng: np.random.Generator, n_donors: int, n_tissues: int = 2
) -> tuple[list[dict[str, np.ndarray]], np.ndarray]:
    """Draw the inputs of every tissue, and who is a case."""
    case = rng.permutation(np.arange(n_donors) < 0.45 * n_donors)
    effect = np.zeros(N_GENES)
    effect[:TELLING] = EFFECT_OF_ONE_DONOR / np.sqrt(n_donors)
    shape = (n_donors, N_GENES)
    of_donor = rng.standard_normal(shape)
    source = rng.standard_normal(shape).astype(np.float32)
    inputs = []
    for _ in range(n_tissues):
        of_tissue = (of_donor + rng.standard_normal(shape)) / 2
        sides = {
            name: (of_tissue + rng.standard_normal(shape) / np.sqrt(2) + np.outer(case, effect))
            for name in (OBSERVED, PREDICTED)
        }
        inputs.append({name: x.astype(np.float32) for name, x in sides.items()} | {SOURCE: source})
    return inputs, case


@cache
def expected(n_donors: int) -> float:
    """Find the expected auROC of an input that tells status."""
    values = []
    for number in range(TRUTH_COHORTS):
        rng = np.random.default_rng([99, n_donors, number])
        inputs, case = cohort(rng, n_donors, 1)
        run = cross_validate({OBSERVED: inputs[0][OBSERVED]}, case, CHOICE, SETTINGS, (number,))
        values.append(run.auroc(case)[OBSERVED])
    return float(np.mean(values))


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval | Test]:
    """Cross-validate two tissues of one cohort, as the project does."""
    inputs, case = cohort(rng, n_donors)
    told = expected(n_donors)
    labels = pd.DataFrame(
        {"donor": np.arange(n_donors), "contrast": "disease", "case": case.astype(int)}
    )
    settings = SETTINGS.with_(seed=int(rng.integers(2**31)))
    halves = donor_halves(labels, settings).to_numpy()
    rows, replicates = [], []
    for tissue, expression in enumerate(inputs):
        part, _ = tell_pair(expression, case, halves, CHOICE, settings)
        key = PAIR | {"tissue": f"tissue {tissue}"}
        replicates.append(part.assign(**key))
        counts = {"status": RAN, "n_cases": case.sum(), "n_controls": (~case).sum()}
        rows += [
            key | counts | {"input": name} | summarised(values, case.sum(), (~case).sum())
            for name, values in part.groupby("input", sort=False)
        ]
    table = pd.DataFrame(rows)
    first = table[table["tissue"] == "tissue 0"].set_index("input")
    for name, truth in ((OBSERVED, told), (SOURCE, 0.5)):
        row = first.loc[name]
        signal = "with signal" if name == OBSERVED else "without signal"
        yield Interval(f"auROC, {signal}", row["ci_low"], row["ci_high"], truth)
    row = first.loc[SOURCE]
    yield Test("auROC, no signal", row["p"])
    yield Interval(
        "null band holds auROC without signal", row["null_low"], row["null_high"], row["auroc"]
    )
    both = pd.concat(replicates, ignore_index=True)
    of_one = both[both["tissue"] == "tissue 0"]
    for pairs, shown, values in (
        ("one pair", table[table["tissue"] == "tissue 0"], of_one),
        ("mean of pairs", table, both),
    ):
        summary = compare_inputs(shown, values).set_index(["pairs", "input_a", "input_b"])
        equal = summary.loc[("all", OBSERVED, PREDICTED)]
        apart = summary.loc[("all", PREDICTED, SOURCE)]
        yield Interval(f"difference, none, {pairs}", equal["ci_low"], equal["ci_high"], 0.0)
        yield Interval(f"difference, true, {pairs}", apart["ci_low"], apart["ci_high"], told - 0.5)
        yield Test(f"no difference, {pairs}", equal["p"])
