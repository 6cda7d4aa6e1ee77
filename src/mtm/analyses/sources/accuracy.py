"""Accuracy from any choice of a donor's tissues, beside that from the source alone.

What is predicted is what the headline is of: every target sample of held-out donors who have the
source. A choice of tissues can be given to those alone who have them, so every row says how well
the source alone does for the same samples, and the difference is paired: of the same samples, in
the same bootstrap samples of donors (methods 8.1).
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm.analyses.accuracy.counted import CONVENTION_OF, Counted, degrees_of
from mtm.analyses.accuracy.resampled import Correlations, headline_correlations, nothing_to_score
from mtm.analyses.sources.choices import Choice, Chooser
from mtm.cohort.cohort import Cohort
from mtm.models.base import Predictor, Requests
from mtm.models.requests import predict_in_blocks
from mtm.predictions.held_out import HeldOut, fold_weights
from mtm.predictions.tissues import Tissue, tissues
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.any_sources import AnySources
from mtm.statistics.joint_null import wider
from mtm.statistics.over_tissues import averaged, known_mean, over_tissues
from mtm.statistics.testing import t_interval, t_interval_of_mean, within_correlations
from mtm.vocabulary import CHOICE_KEY, MEAN_OF_TISSUES, ONE_TISSUE

log = logging.getLogger(__name__)

MEANS = ("mean_rho", "source_rho", "difference")


Levels = dict[str, Correlations]


def score_sources(
    models: Mapping[int, Predictor],
    cohort: Cohort,
    held_out: HeldOut,
    name: str,
    source: str,
    settings: AnySources,
    accuracy: AccuracySettings,
    learned: bool = True,
) -> pd.DataFrame:
    """Score a model given every choice of tissues.

    Parameters
    ----------
    models
        By fold, fitted without its donors.
    cohort
        The whole cohort.
    held_out
        The model's held-out predictions, which say what is predicted.
    name
        The model's name in the table.
    source
        Tissue that single-source models predict from.
    settings, accuracy
        Sections of the config.
    learned
        Whether the model learns from the donors of other folds.

    Returns
    -------
    pd.DataFrame
        One row a choice (``kind``, ``given``), ``level`` (gene_wise, sample_wise) and target
        ``tissue``: ``n_given`` (tissues, mean over samples), ``n_samples``, ``mean_rho`` with
        ``ci_low`` and ``ci_high``, ``source_rho`` (from the source alone, the same samples),
        ``difference`` of the two with ``difference_low`` and ``difference_high``. Tissue
        "(mean of tissues)" is the mean over ``n_tissues`` targets.

    Raises
    ------
    CannotDo
        No target has enough held-out donors in any fold.
    """
    without = next(iter(models.values())).parameters.without_samples
    chooser = Chooser(cohort.tissues, cohort.tissue_index(source), settings, without)
    chooser.tell_lacking()
    weights = fold_weights([held_out], accuracy)
    scorer = _Scorer(models, cohort, chooser, weights, accuracy, learned)
    rows, draws = [], {}
    for tissue in tissues(held_out):
        for key, row, of_row in scorer.rows_of(tissue):
            rows.append({"model": name} | row)
            draws.setdefault((name, *key), []).append(of_row)
        log.info("%s told from %d choices of tissues", tissue.name, len(draws) // 2)
    if not rows:
        raise nothing_to_score("accuracy from other tissues", accuracy)
    return _with_means(pd.DataFrame(rows), draws)


@dataclass(frozen=True)
class _Scorer:
    """Everything but the target tissue."""

    models: Mapping[int, Predictor]
    cohort: Cohort
    chooser: Chooser
    weights: Mapping[int, pd.DataFrame]
    accuracy: AccuracySettings
    learned: bool

    def rows_of(self, tissue: Tissue) -> Iterator[tuple[tuple, dict, tuple]]:
        """Yield kind, tissues given and level; a row; draws of mean and difference, and whose."""
        samples = tissue.rows["cohort_row"].to_numpy()
        own_rows = self.cohort.row_of()[self.cohort.donor[samples]]
        target, source = self.cohort.tissue_index(tissue.name), self.chooser.source
        everyone = np.arange(len(samples))
        alone = Choice(ONE_TISSUE, self.cohort.tissues[source], everyone, own_rows[:, [source]])
        from_source = self._predict(tissue, alone, target)
        same_samples: dict[bytes, Levels] = {}
        for choice in self.chooser.choices(own_rows, target):
            if not self._enough(tissue, choice):
                continue
            kept = choice.kept.tobytes()
            if kept not in same_samples:
                part = tissue.of_samples(choice.kept, from_source[choice.kept])
                same_samples[kept] = self._correlate(part)
            theirs = same_samples[kept]
            if (choice.kind, choice.given) == (alone.kind, alone.given):
                mine = theirs
            else:
                predicted = self._predict(tissue, choice, target)
                part = tissue.of_samples(choice.kept, predicted)
                mine = self._correlate(part)
            kept_rows = tissue.rows.iloc[choice.kept]
            for level in mine:
                counted = Counted.of(kept_rows, self.accuracy, CONVENTION_OF[level])
                fields, draws = _compare(mine[level], theirs[level], *counted.sizes)
                about = {"kind": choice.kind, "given": choice.given, "level": level}
                counts = {"n_given": choice.n_given, "n_samples": len(choice.kept)}
                row = about | {"tissue": tissue.name} | counts | fields
                yield tuple(about.values()), row, (*draws, counted)

    def _enough(self, tissue: Tissue, choice: Choice) -> bool:
        """Whether a choice can be scored: all of the headline's samples, or enough of them."""
        n = len(choice.kept)
        in_fold = tissue.rows["fold"].iloc[choice.kept].value_counts()
        scored = bool((in_fold >= self.accuracy.min_donors_per_fold).any())
        return scored and (n == len(tissue.rows) or n >= self.chooser.settings.min_donors)

    def _predict(self, tissue: Tissue, choice: Choice, target: int) -> np.ndarray:
        """Predict the samples that a choice can be given to, each with the model of its fold."""
        rows = tissue.rows.iloc[choice.kept]
        donor = self.cohort.donor[rows["cohort_row"]]
        predicted = np.empty((len(rows), tissue.n_genes), np.float32)
        for fold, part in rows.groupby("fold").indices.items():
            asked = Requests(choice.source_rows[part], np.full(len(part), target), donor[part])
            blocks = predict_in_blocks(self.models[int(fold)], self.cohort, asked)
            predicted[part] = np.concatenate(list(blocks))
        return predicted

    def _correlate(self, part: Tissue) -> Levels:
        """Correlate genes within folds, and samples, as the headline does."""
        return headline_correlations(part, self.weights, self.accuracy, self.learned)


def _compare(
    mine: Correlations, theirs: Correlations, n_samples: int, n_folds: int
) -> tuple[dict[str, float], tuple[np.ndarray, np.ndarray]]:
    """Mean correlation beside that from the source; return fields of a row, and its draws."""
    mean, source = float(known_mean(mine.rho)), float(known_mean(theirs.rho))
    draws = (
        wider(mine.draws, mine.ratio),
        mine.beside(theirs),
    )
    own, paired = (
        t_interval(estimate, drawn, n_samples, n_folds)
        for estimate, drawn in zip((mean, mean - source), draws, strict=True)
    )
    return _fields(mean, source, own, paired), draws


def _fields(
    mean: float, source: float, own: Mapping[str, float], paired: Mapping[str, float]
) -> dict[str, float]:
    """Name the numbers of a row."""
    own = within_correlations(own)
    return {
        "mean_rho": mean,
        "ci_low": own["ci_low"],
        "ci_high": own["ci_high"],
        "source_rho": source,
        "difference": mean - source,
        "difference_low": paired["ci_low"],
        "difference_high": paired["ci_high"],
    }


def _with_means(table: pd.DataFrame, draws: Mapping[tuple, list[tuple]]) -> pd.DataFrame:
    """Add the rows of the mean over targets."""

    def mean_of_targets(key: tuple, part: pd.DataFrame) -> dict[str, float]:
        mean = averaged(part, [*MEANS, "n_given"], totals=["n_samples"])
        own, paired, counted = zip(*draws[key], strict=True)
        sizes, degrees = [of.sizes for of in counted], degrees_of(counted, own)
        tested = (
            t_interval_of_mean(mean["mean_rho"], own, sizes, degrees),
            t_interval_of_mean(mean["difference"], paired, sizes, degrees),
        )
        counts = {"n_tissues": len(part)} | {k: mean[k] for k in ("n_given", "n_samples")}
        return counts | _fields(mean["mean_rho"], mean["source_rho"], *tested)

    return over_tissues(table.assign(n_tissues=1), CHOICE_KEY, MEAN_OF_TISSUES, mean_of_targets)
