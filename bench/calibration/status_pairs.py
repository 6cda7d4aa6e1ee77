"""Disease status of many tissues of the same donors: the paper's test over pairs, `wilcoxon_p`.

A score of every donor stands for a fitted classifier, so that many pairs cost nothing. In every
tissue the predicted score tells as much as the observed one: the effect of the disease, a part of
the donor's that both sides see in every tissue, and errors of equal variance. Those of the
observed score are the tissue's own; half of the predicted score's is the same in all tissues, as
all of them are predicted from one source sample. Wilcoxon's test takes pairs for independent; the
P of halved donors is in the area status.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from bench.calibration.status import PAIR
from bench.calibration.trial import Test
from sklearn.metrics import roc_auc_score

from mtm.analyses.disease.status_tables import KEY, compare_inputs
from mtm.vocabulary import OBSERVED, PREDICTED, RAN, SOURCE

N_TISSUES, EFFECT = 20, 0.6
SHARED_ERROR = {OBSERVED: 0.0, PREDICTED: 0.5}


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Test]:
    """Compare two inputs that tell status equally well."""
    case = rng.permutation(np.arange(n_donors) < 0.45 * n_donors)
    counts = {"status": RAN, "n_cases": case.sum(), "n_controls": (~case).sum()}
    of_donor, of_source = rng.standard_normal((2, n_donors))
    rows = []
    for tissue in range(N_TISSUES):
        for name, shared in SHARED_ERROR.items():
            error = shared**0.5 * of_source + (1 - shared) ** 0.5 * rng.standard_normal(n_donors)
            score = EFFECT * case + (of_donor + error) / 2**0.5
            key = PAIR | {"tissue": f"tissue {tissue}", "input": name}
            rows.append(key | counts | {"auroc": roc_auc_score(case, score)})
        rows.append(key | counts | {"input": SOURCE, "auroc": 0.5})
    no_halves = pd.DataFrame(columns=[*KEY, "input", "kind", "part", "number", "auroc"])
    summary = compare_inputs(pd.DataFrame(rows), no_halves)
    compared = summary.set_index(["pairs", "input_a", "input_b"]).loc[("all", OBSERVED, PREDICTED)]
    yield Test(f"wilcoxon_p, {N_TISSUES} pairs of the same donors", compared["wilcoxon_p"])
