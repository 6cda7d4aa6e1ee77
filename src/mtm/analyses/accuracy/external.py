"""Accuracy for people from elsewhere, beside that of the cohort's own cross-validation.

Both are scored as held-out predictions are (`mtm.analyses.accuracy.score`). The external people
are one fold; the cross-validation is scored in the same tissues.
"""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pandas as pd

from mtm.analyses.accuracy.score import score_predictions
from mtm.analyses.accuracy.tables import Scores
from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.errors import CannotDo
from mtm.models.base import Predictor
from mtm.models.requests import held_out_requests
from mtm.predictions.external import EXTERNAL_FOLD, predict_external
from mtm.predictions.files import write_predictions
from mtm.predictions.held_out import HeldOut, read_held_out
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.transfer import Alignment
from mtm.vocabulary import CROSS_VALIDATION


def score_external(
    model: Predictor,
    name: str,
    expression: str | Path,
    donors: str | Path,
    folds: str | Path,
    predictions: Mapping[Alignment, str | Path],
    internal: HeldOut,
    evaluation: str,
    settings: AccuracySettings,
    learned: bool,
) -> Scores:
    """Predict and score external people under every alignment.

    Parameters
    ----------
    model, name
        Fitted without these people, and its name in the tables.
    expression, donors, folds
        Files of the joined cohort, from `mtm.predictions.external.join_people`.
    predictions
        The file to write for each alignment.
    internal
        The model's predictions of held-out donors of its own cohort.
    evaluation
        Name of the external people, which becomes the column ``cohort``.
    settings, learned
        As `score_predictions` takes them.

    Returns
    -------
    Scores
        Tables of `score_predictions` with ``cohort`` and ``alignment`` in front; the alignment of
        the cohort's own donors, if any is told these tissues, is `CROSS_VALIDATION`.

    Raises
    ------
    CannotDo
        No tissue of these people can be scored; files of no prediction are written before.
    """
    joined = Cohort.read(expression, donors)
    assigned = read_folds(folds)
    external = joined.donors.index.intersection(assigned.index[assigned == EXTERNAL_FOLD])
    source = model.provenance.source
    described = {"model": name, "scale": model.scale, "fold": EXTERNAL_FOLD}
    requests, rows = held_out_requests(joined, external, source)
    if not len(requests):
        for path in predictions.values():
            write_predictions(path, (), joined, requests, rows, **described)
        raise _nothing_to_score(evaluation, source)
    parts = {}
    for alignment, path in predictions.items():
        requests, rows, blocks = predict_external(model, joined, external, source, alignment)
        write_predictions(path, blocks, joined, requests, rows, **described)
        held_out = read_held_out(expression, folds, [path], source, internal.scaling)
        parts[alignment] = score_predictions(held_out, name, settings, learned)
    same_tissues = internal.of_tissues(held_out.rows["tissue"].unique())
    if len(same_tissues.rows):
        parts[CROSS_VALIDATION] = score_predictions(same_tissues, name, settings, learned)
    return Scores(**{of.name: _joined(evaluation, of.name, parts) for of in fields(Scores)})


def _nothing_to_score(evaluation: str, source: str) -> CannotDo:
    """Say that no tissue of these people can be scored."""
    return CannotDo(
        f"accuracy for {evaluation}",
        "none of its tissues can be scored; external/tissues.tsv says why",
        "give tissues, named as in the training cohort, of more donors who also gave "
        f"{source}, or lower accuracy.min_donors_per_fold",
    )


def _joined(evaluation: str, table: str, parts: Mapping[str, Scores]) -> pd.DataFrame:
    """Join one table of every alignment."""
    tables = {alignment: getattr(scores, table) for alignment, scores in parts.items()}
    joined = pd.concat(tables, names=["alignment"]).reset_index("alignment")
    joined.insert(0, "cohort", evaluation)
    return joined.reset_index(drop=True)
