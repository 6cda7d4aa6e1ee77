"""Panels made whole for donors whom no fit has seen, and scored (methods 6.22)."""

import logging
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm.analyses.accuracy.resampled import nothing_to_score
from mtm.analyses.accuracy.same_sample import score_told
from mtm.analyses.landmarks.methods import METHODS, Samples
from mtm.cohort.cohort import Cohort
from mtm.errors import CannotDo
from mtm.models.device import choose_device
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.landmarks import Landmarks
from mtm.settings.scaling import Scaling
from mtm.statistics.correlation import row_correlation
from mtm.vocabulary import HEADLINE, IN_NO_PANEL, MEAN_OF_TISSUES, OTHERS

log = logging.getLogger(__name__)

COLUMNS = [
    "panel", "method", "n_landmarks", "genes", "level", "tissue", "n_samples", "n_genes",
    "mean_rho", "ci_low", "ci_high", "null_low", "null_high", "pooled_rho", "seconds",
]  # fmt: skip


@dataclass(frozen=True)
class Whole:
    """What was told of held-out samples, beside what was observed.

    Parameters
    ----------
    told, observed
        z-scores by training statistics of the fold, shape ``(n_samples, n_genes)``; NaN for
        donors who are never held out, and where a gene is a landmark of the fold.
    group
        A number for each fold and tissue, shape ``(n_samples,)``.
    seconds
        What fits and predictions took.
    """

    told: np.ndarray
    observed: np.ndarray
    group: np.ndarray
    seconds: float

    def pooled_rho(self, genes: np.ndarray) -> float:
        """Correlate samples of all tissues, each less the mean of its tissue; mean of genes."""
        known = np.isfinite(self.observed[:, genes[0]])
        sides = [
            pd.DataFrame(side[np.ix_(known, genes)].astype(float))
            for side in (self.told, self.observed)
        ]
        sides = [side - side.groupby(self.group[known]).transform("mean") for side in sides]
        rho = row_correlation(*(side.to_numpy().T for side in sides))
        return float(np.nanmean(rho)) if np.isfinite(rho).any() else np.nan


def score_landmarks(
    cohort: Cohort,
    folds: pd.Series,
    panels: pd.DataFrame,
    panel: str,
    method: str,
    settings: Landmarks,
    accuracy: AccuracySettings,
    scaling: Scaling,
    device: str,
) -> pd.DataFrame:
    """Make a panel whole fold by fold, and score it.

    Parameters
    ----------
    cohort, folds
        The cohort, and `mtm.cohort.folds.read_folds`.
    panels
        From `mtm.analyses.landmarks.panel.panel_table`.
    panel, method
        One of its panels, and one of `METHODS`.
    settings, accuracy, scaling
        Sections of the config.
    device
        Where networks are trained: ``"cpu"``, ``"cuda"`` or ``"auto"``.

    Returns
    -------
    pd.DataFrame
        One row a set of ``genes`` that are told (all others; in no panel, the same for every
        panel), ``level`` (gene_wise, sample_wise) and ``tissue``; columns as in
        docs/contracts.md.

    Raises
    ------
    CannotDo
        No tissue has enough held-out donors in any fold, or every gene is a landmark of some.
    """
    used = panels[panels["fold"] >= 0]
    mine = used[used["panel"] == panel]
    places = cohort.genes.index.get_indexer
    by_fold = {int(fold): places(part["gene_id"]) for fold, part in mine.groupby("fold")}
    genes, common = (
        np.setdiff1d(np.arange(cohort.n_genes), places(part["gene_id"])) for part in (mine, used)
    )
    device = choose_device(device)
    whole = _whole(cohort, folds, by_fold, method, settings, scaling, device)
    of_all = of_common = _score(cohort, folds, whole, genes, accuracy, scaling, device)
    if len(common) < len(genes):
        of_common = _score(cohort, folds, whole, common, accuracy, scaling, device)
    sets = {OTHERS: of_all, IN_NO_PANEL: of_common}
    table = pd.concat([part.assign(genes=name) for name, part in sets.items()], ignore_index=True)
    if table.loc[table["level"] == "gene_wise", "mean_rho"].isna().all():
        raise nothing_to_score("landmarks", accuracy)
    table.loc[table["tissue"] == MEAN_OF_TISSUES, "seconds"] = whole.seconds
    n_landmarks = max(map(len, by_fold.values()))
    return table.assign(panel=panel, method=method, n_landmarks=n_landmarks)[COLUMNS]


def _whole(
    cohort: Cohort,
    folds: pd.Series,
    by_fold: dict[int, np.ndarray],
    method: str,
    settings: Landmarks,
    scaling: Scaling,
    device: str,
) -> Whole:
    """Tell the other genes of every fold's held-out samples."""
    if len(np.unique(np.concatenate([*by_fold.values()]))) == cohort.n_genes:
        raise CannotDo(
            "landmarks",
            f"each of {cohort.n_genes} genes is a landmark of some fold",
            "name fewer landmarks (landmarks.n)",
        )
    fold_of = folds.reindex(cohort.donors.index).to_numpy()[cohort.donor]
    told = np.full(cohort.expr_tpm.shape, np.nan, np.float32)
    observed = np.full(cohort.expr_tpm.shape, np.nan, np.float32)
    seconds = 0.0
    for fold, landmarks in by_fold.items():
        out = fold_of == fold
        scaler = cohort.scaler(HEADLINE.scale, scaling, ~out)
        expr_z = scaler.transform(cohort.expr_tpm, cohort.tissue)
        genes = np.setdiff1d(np.arange(cohort.n_genes), landmarks)
        samples = Samples(expr_z[:, landmarks], cohort.tissue, cohort.donor, expr_z[:, genes])
        start = time.perf_counter()
        predicted = METHODS[method](
            samples.of(~out), samples.of(out), settings, settings.seed + fold, device
        )
        seconds += time.perf_counter() - start
        told[np.ix_(out, genes)], observed[out] = predicted, expr_z[out]
        log.info("fold %d: %d genes told from %d by %s", fold, len(genes), len(landmarks), method)
    return Whole(told, observed, fold_of * len(cohort.tissues) + cohort.tissue, seconds)


def _score(
    cohort: Cohort,
    folds: pd.Series,
    whole: Whole,
    genes: np.ndarray,
    accuracy: AccuracySettings,
    scaling: Scaling,
    device: str,
) -> pd.DataFrame:
    """Score some genes as the headline is; the mean of tissues has the pooled correlation, too.

    Without genes there are no rows.
    """
    rows = score_told(cohort, folds, whole.told, genes, accuracy, scaling, device)
    if len(rows):
        means = (rows["tissue"] == MEAN_OF_TISSUES) & (rows["level"] == "gene_wise")
        rows.loc[means, "pooled_rho"] = whole.pooled_rho(genes)
    return rows
