"""Training donors split once more: what a model chooses, it chooses on donors a fit left out."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mtm.cohort.cohort import Cohort
from mtm.models.base import Predictor, Requests, Training
from mtm.models.requests import held_out_requests, predict_in_blocks
from mtm.statistics.correlation import row_correlation
from mtm.vocabulary import SourceChoice

MIN_DONORS = 5


def inner_folds(training: Training, n_folds: int) -> Iterator[tuple[Training, list[str]]]:
    """Leave out every `n_folds`-th of the training donors who gave the source, at random.

    Yields
    ------
    Training
        Without the donors left out, without checkpoint and monitor.
    list of str
        The donors left out.
    """
    cohort = training.cohort
    donors = cohort.donors.index[np.unique(cohort.donor[cohort.tissue == training.source])]
    donors = np.random.default_rng([training.seed, n_folds]).permutation(donors.sort_values())
    for number in range(n_folds):
        left_out = donors[number::n_folds].tolist()
        kept = cohort.of_donors(cohort.donors.index.difference(left_out))
        inner = replace(
            training,
            cohort=kept,
            checkpoint=None,
            monitor=None,
            monitor_every=0,
            for_others=False,
        )
        yield inner, left_out


def told(
    model: Predictor,
    cohort: Cohort,
    donors: list[str],
    source: str,
    sources: SourceChoice,
    most: int | None = None,
) -> float:
    """Gene-wise rho of donors whom the fit left out, mean over genes and tissues; NaN of too few.

    Parameters
    ----------
    most
        Samples predicted at most, spread evenly over all; None for all.
    """
    requests, rows = held_out_requests(cohort, donors, source, sources)
    if not len(rows):
        return float("nan")
    if most is not None and len(rows) > most:
        kept = np.linspace(0, len(rows) - 1, most).astype(int)
        requests = Requests(requests.source_rows[kept], requests.target[kept])
        rows = rows[kept]
    predicted_z = np.concatenate(list(predict_in_blocks(model, cohort, requests)))
    observed_z = model.scaler.transform(cohort.expr_tpm[rows], cohort.tissue[rows])
    rho = []
    for target in np.unique(requests.target):
        of_target = requests.target == target
        if of_target.sum() >= MIN_DONORS:
            rho.append(row_correlation(predicted_z[of_target].T, observed_z[of_target].T))
    known = [np.nanmean(of_tissue) for of_tissue in rho if np.isfinite(of_tissue).any()]
    return float(np.mean(known)) if known else float("nan")
