"""Early stopping of MTM on donors taken out of the training donors."""

from collections.abc import Callable, Sequence

import numpy as np

from mtm.cohort.cohort import Cohort
from mtm.errors import InputError
from mtm.models.base import Predictor, Requests

LEAST_DONORS = 5


def stopping_split(cohort: Cohort, source: int, share: float, seed: int) -> tuple[Cohort, Cohort]:
    """Split training donors into those to learn from and those to stop by.

    Held-out donors are not used: the step at which they are predicted best is a choice made with
    them, and their accuracy would flatter the model.

    Parameters
    ----------
    cohort
        Training donors' samples.
    source
        Index of the tissue to predict from.
    share
        Share of the donors with it and another tissue to stop by, in (0, 1).
    seed
        Of the choice.

    Returns
    -------
    tuple[Cohort, Cohort]
        To learn from; to stop by.

    Raises
    ------
    InputError
        Fewer than five donors would be on either side.
    """
    with_source = np.unique(cohort.donor[cohort.tissue == source])
    with_other = np.unique(cohort.donor[cohort.tissue != source])
    eligible = np.intersect1d(with_source, with_other)
    n_stop = round(share * len(eligible))
    if min(n_stop, len(eligible) - n_stop) < LEAST_DONORS:
        raise InputError(
            "model parameter stop_donors",
            f"{share}, {n_stop} of {len(eligible)} donors with the source and another tissue",
            f"{LEAST_DONORS} donors or more to stop by, and to learn from",
        )
    chosen = np.random.default_rng(seed).choice(eligible, n_stop, replace=False)
    stop = cohort.donors.index[np.sort(chosen)]
    return cohort.of_donors(cohort.donors.index.difference(stop)), cohort.of_donors(stop)


def stopping_score(cohort: Cohort, source: int) -> Callable[[Predictor], float]:
    """Return the function that scores a model on donors to stop by.

    The score is the mean over genes of Pearson's rho over all predicted samples of all tissues,
    on the model's own z-scores: with few donors a tissue, steadier than a rho within each.

    Parameters
    ----------
    cohort
        Samples of the donors, from `stopping_split`.
    source
        Index of the tissue to predict from.
    """
    source_row = cohort.row_of()[:, source]
    targets = np.flatnonzero((cohort.tissue != source) & (source_row[cohort.donor] >= 0))
    requests = Requests(source_row[cohort.donor[targets]][:, None], cohort.tissue[targets])
    expr_tpm = cohort.expr_tpm[targets]

    def score(model: Predictor) -> float:
        predicted = model.predict(cohort, requests)
        observed = model.scaler.transform(expr_tpm, requests.target)
        predicted -= predicted.mean(0)
        observed -= observed.mean(0)
        scale = np.sqrt(_column_dot(predicted, predicted) * _column_dot(observed, observed))
        products = _column_dot(predicted, observed)
        return float(np.divide(products, scale, out=np.zeros_like(scale), where=scale > 0).mean())

    return score


def _column_dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->j", a, b, dtype=np.float64)


def stalled(scores: Sequence[float], patience: int) -> bool:
    """Whether none of the last `patience` scores is above the best one before them."""
    return len(scores) > patience and max(scores[-patience:]) <= max(scores[:-patience])
