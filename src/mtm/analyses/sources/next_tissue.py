"""Which tissue, given beside the source, would tell most about another (methods 8.1)."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from mtm.cohort.cohort import Cohort
from mtm.models.base import Predictor
from mtm.statistics.over_tissues import averaged, over_tissues
from mtm.vocabulary import AND, MEAN_OF_TISSUES, ONE_ADDED

EXPECTED = ["source_variance", "both_variance", "reduction"]
FOUND = ["n_samples", "difference", "difference_low", "difference_high"]


def next_tissues(
    models: Iterable[Predictor], cohort: Cohort, accuracy: pd.DataFrame, source: str
) -> pd.DataFrame:
    """Set what a model expects of a further tissue beside what held-out donors say of it.

    Parameters
    ----------
    models
        Those of all folds.
    cohort
        The whole cohort.
    accuracy
        From `mtm.analyses.sources.accuracy.score_sources`.
    source
        The tissue that is known anyway.

    Returns
    -------
    pd.DataFrame
        One row a target ``tissue`` and ``next_tissue``, for each target in the order of
        ``difference_low``, those without one after them by ``reduction``. ``difference`` is the
        gene-wise rho that the tissue adds for ``n_samples`` held-out donors who have all three,
        with its interval; NaN where too few do. ``source_variance`` and ``both_variance`` are
        the variance of the target that the model expects given the source and given both,
        z-scores squared, mean over genes and folds; ``reduction`` is their difference as a share
        of the first; NaN where the model expects nothing. ``n_training`` are the training
        samples of the next tissue, mean over folds. Tissue "(mean of tissues)" is the mean over
        all targets.
    """
    models = list(models)
    expected = _expected(models, source)
    expected["n_training"] = expected["next_tissue"].map(_training_samples(models, cohort))
    found = accuracy[(accuracy["kind"] == ONE_ADDED) & (accuracy["level"] == "gene_wise")]
    found = found.assign(next_tissue=found["given"].str.split(AND).str[1])
    table = expected.merge(
        found[["tissue", "next_tissue", *FOUND]], "left", ["tissue", "next_tissue"]
    )
    of_all = found[found["tissue"] == MEAN_OF_TISSUES].set_index("next_tissue")

    def mean_of_targets(key: tuple, part: pd.DataFrame) -> dict[str, float]:
        mean = averaged(part, [*EXPECTED, "n_training"])
        return mean | of_all[FOUND].reindex([key[0]]).iloc[0].to_dict()

    table = over_tissues(table, ["next_tissue"], MEAN_OF_TISSUES, mean_of_targets)
    table = table.assign(_single=table["tissue"] != MEAN_OF_TISSUES).sort_values(
        ["_single", "tissue", "difference_low", "reduction"],
        ascending=[True, True, False, False],
        ignore_index=True,
    )
    table.insert(0, "model", accuracy["model"].iloc[0])
    return table[["model", "tissue", "next_tissue", *FOUND, *EXPECTED, "n_training"]]


def _training_samples(models: list[Predictor], cohort: Cohort) -> pd.Series:
    """Training samples of every tissue, mean over models, by its name."""
    donors = cohort.donors.index
    seen = [model.provenance.training_donors.among(donors)[cohort.donor] for model in models]
    counts = [np.bincount(cohort.tissue[kept], minlength=len(cohort.tissues)) for kept in seen]
    return pd.Series(np.mean(counts, axis=0), cohort.tissues)


def _expected(models: list[Predictor], source: str) -> pd.DataFrame:
    """Variance that models expect of every target, given the source and one more tissue."""
    names = models[0].tissues
    known = names.index(source)
    targets = [index for index in range(len(names)) if index != known]
    alone = _mean_variance(models, [known], targets)
    rows = []
    for added in targets:
        both = _mean_variance(models, [known, added], targets)
        rows += [
            (names[target], names[added], alone[place], both[place])
            for place, target in enumerate(targets)
            if target != added
        ]
    table = pd.DataFrame(rows, columns=["tissue", "next_tissue", *EXPECTED[:2]])
    return table.assign(reduction=1 - table["both_variance"] / table["source_variance"])


def _mean_variance(models: list[Predictor], sources: list[int], targets: list[int]) -> np.ndarray:
    """Mean over genes and models, shape ``(n_targets,)``; NaN where a model expects nothing."""
    of_models = [model.expected_variance(sources, targets) for model in models]
    if any(variance is None for variance in of_models):
        return np.full(len(targets), np.nan)
    return np.mean([variance.mean(1) for variance in of_models], axis=0)
