"""What encoders of held-out donors' samples know, beside what knows it without them."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import RidgeClassifierCV

from mtm.analyses.accuracy.same_sample import score_told
from mtm.analyses.ranks.baselines import PARTS, counted_losses
from mtm.analyses.ranks.encoder import codes, draw_masks, masked_losses
from mtm.analyses.ranks.fold import Fold, load_encoder, untrained
from mtm.cohort.cohort import Cohort
from mtm.cohort.ranks import deviations, normal_scores
from mtm.models.device import choose_device
from mtm.models.teebot import principal_axes
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.ranks import Ranks
from mtm.settings.scaling import Scaling
from mtm.statistics.donor_mean import donor_mean
from mtm.vocabulary import (
    BLOOD_TO_TISSUE,
    CODE,
    COMPONENTS,
    MEAN_OF_TISSUES,
    PERPLEXITY,
    PROBE,
    RANK_VALUES,
    UNIGRAM,
    UNIGRAM_OF_PLACE,
    UNTRAINED_CODE,
    Z_SCORES,
)

log = logging.getLogger(__name__)

COLUMNS = [
    "part", "input", "target", "score", "ci_low", "ci_high", "null_low", "null_high", "chance",
    "n_samples", "n_donors",
]  # fmt: skip
# Values of a column that are classes; of more, a probe tells those above the median.
MOST_CLASSES = 10
# Pairs of a fold that a regression is fitted to at least; samples that axes are fitted to at most.
MIN_PAIRS, MOST_OF_AXES = 10, 3000
PENALTIES = np.logspace(-1, 5, 7)


def score_ranks(
    cohort: Cohort,
    folds: pd.Series,
    encoders: Mapping[int, str | Path],
    source: str,
    settings: Ranks,
    accuracy: AccuracySettings,
    scaling: Scaling,
    device: str,
) -> pd.DataFrame:
    """Score the encoders of all folds on the donors whom each left out.

    Parameters
    ----------
    cohort, folds
        The cohort, and `mtm.cohort.folds.read_folds`.
    encoders
        File of each fold's encoder.
    source
        Tissue that others are told from.
    settings, accuracy, scaling
        Sections of the config.
    device
        Where networks run.

    Returns
    -------
    pd.DataFrame
        Columns as in docs/contracts.md.
    """
    device = choose_device(device)
    known = _Known(cohort, settings)
    told: dict[str, np.ndarray] = {}
    for number, path in sorted(encoders.items()):
        fold = Fold.of(cohort, folds, number)
        encoder = load_encoder(path, cohort, settings, device)
        known.add_masked(fold, encoder)
        everyone = np.union1d(fold.train, fold.out)
        inputs = dict(_inputs(cohort, fold, everyone, encoder, settings, scaling, device))
        for name in (CODE, UNTRAINED_CODE, COMPONENTS):
            known.add_probes(fold, everyone, name, inputs[name])
        for name, values in inputs.items():
            target = told.setdefault(name, np.full(cohort.expr_tpm.shape, np.nan, np.float32))
            _tell(target, cohort, fold, everyone, values, source, scaling)
        log.info("fold %d: %d samples scored", number, len(fold.out))
    tables = [known.table()]
    tables += [
        _blood_to_tissue(cohort, folds, name, values, accuracy, scaling, device)
        for name, values in told.items()
    ]
    return pd.concat(tables, ignore_index=True).reindex(columns=COLUMNS)


def _inputs(
    cohort: Cohort, fold: Fold, rows: np.ndarray, encoder, settings: Ranks, scaling, device: str
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what samples `rows` are described by, ``(n_rows, n_features)``, by its name."""
    sentences = fold.sentences(cohort, rows, settings)
    yield CODE, codes(encoder, sentences)
    yield UNTRAINED_CODE, codes(untrained(cohort, settings, settings.seed, device), sentences)
    expr_tpm, tissue = cohort.expr_tpm[rows], cohort.tissue[rows]
    scores = normal_scores(deviations(expr_tpm, tissue, fold.medians, cohort.measure))
    train = np.flatnonzero(np.isin(rows, fold.train))
    some = np.random.default_rng(settings.seed).permutation(train)[:MOST_OF_AXES]
    axes = principal_axes(scores[np.sort(some)], settings.components).astype(np.float32)
    yield COMPONENTS, (scores - scores[some].mean(0)) @ axes
    yield RANK_VALUES, scores
    yield Z_SCORES, fold.scaler(cohort, scaling).transform(expr_tpm, tissue)


class _Known:
    """Losses and hits of held-out samples, collected over folds."""

    def __init__(self, cohort: Cohort, settings: Ranks):
        self.cohort, self.settings = cohort, settings
        self.losses: dict[str, list] = {}
        self.hits: dict[tuple[str, str], list] = {}

    def add_masked(self, fold: Fold, encoder) -> None:
        """Add what masked genes cost the encoder, and counts of genes."""
        train, out = (
            fold.sentences(self.cohort, rows, self.settings) for rows in (fold.train, fold.out)
        )
        masks = draw_masks(out, self.settings.masked, self.settings.seed + fold.number)
        donor = np.repeat(self.cohort.donor[fold.out], masks.sum(1))
        n_genes = self.cohort.n_genes
        for name, losses in (
            (CODE, masked_losses(encoder, out, masks)),
            (UNIGRAM, counted_losses(train, out, masks, n_genes, 1)),
            (UNIGRAM_OF_PLACE, counted_losses(train, out, masks, n_genes, PARTS)),
        ):
            self.losses.setdefault(name, []).append((losses, donor))

    def add_probes(self, fold: Fold, rows: np.ndarray, name: str, features: np.ndarray) -> None:
        """Add whether linear probes tell donors' columns of held-out samples.

        Not the tissue: whoever makes a sentence takes the median of that tissue off.
        """
        train = np.isin(rows, fold.train)
        mean, sd = features[train].mean(0), features[train].std(0)
        features = (features - mean) / np.where(sd > 1e-6, sd, 1)
        for target, labels in self._targets(rows, train):
            given = train & (labels >= 0)
            asked = np.flatnonzero(~train & np.isin(labels, labels[given]))
            if len(np.unique(labels[given])) < 2 or not len(asked):
                continue
            probe = RidgeClassifierCV(PENALTIES, class_weight="balanced")
            probe.fit(features[given], labels[given])
            hit = probe.predict(features[asked]) == labels[asked]
            donor = self.cohort.donor[rows[asked]]
            self.hits.setdefault((name, target), []).append((hit, donor, labels[asked]))

    def _targets(self, rows: np.ndarray, train: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Yield classes of samples by columns of donors, numbered alike in all folds.

        -1 where a value is not known.
        """
        donors = self.cohort.donors
        for name in self.settings.probes:
            if name not in donors:
                continue
            values = donors[name].iloc[self.cohort.donor[rows]]
            classes = pd.Index(sorted(donors[name].dropna().unique()))
            if len(classes) <= MOST_CLASSES:
                yield name, classes.get_indexer(values)
            elif pd.api.types.is_numeric_dtype(values):
                labels = np.where(values > values[train].median(), 1, 0)
                yield name, np.where(values.isna(), -1, labels)

    def table(self) -> pd.DataFrame:
        """Return perplexities and balanced accuracies with their intervals."""
        rows = []
        for name, parts in self.losses.items():
            losses, donor = (np.concatenate(side) for side in zip(*parts, strict=True))
            about = donor_mean(losses, donor)
            low, mean, high = np.exp([about["ci_low"], about["mean"], about["ci_high"]])
            rows.append({"part": PERPLEXITY, "input": name, "target": "masked gene", "score": mean,
                         "ci_low": low, "ci_high": high, "n_samples": len(losses),
                         "n_donors": about["n_donors"]})  # fmt: skip
        for (name, target), parts in self.hits.items():
            hit, donor, labels = (np.concatenate(side) for side in zip(*parts, strict=True))
            _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
            about = donor_mean(hit.astype(float), donor, 1 / counts[place])
            ends = np.clip([about["ci_low"], about["ci_high"]], 0, 1)
            rows.append({"part": PROBE, "input": name, "target": target, "score": about["mean"],
                         "ci_low": ends[0], "ci_high": ends[1], "chance": 1 / len(counts),
                         "n_samples": len(hit), "n_donors": about["n_donors"]})  # fmt: skip
        return pd.DataFrame(rows)


def _tell(
    told: np.ndarray,
    cohort: Cohort,
    fold: Fold,
    rows: np.ndarray,
    features: np.ndarray,
    source: str,
    scaling: Scaling,
) -> None:
    """Tell tissues of held-out donors from their sample of the source, by ridge, in place."""
    from mtm.models.solvers.ridge import gcv_ridge

    place = np.full(cohort.n_samples, -1)
    place[rows] = np.arange(len(rows))
    row_of, at = cohort.row_of(), cohort.tissue_index(source)
    from_source = row_of[:, at][cohort.donor]
    scaler = fold.scaler(cohort, scaling)
    held_out = np.zeros(cohort.n_samples, bool)
    held_out[fold.out] = True
    usable = (from_source >= 0) & (place[from_source] >= 0) & (cohort.tissue != at)
    for tissue in range(len(cohort.tissues)):
        pairs = np.flatnonzero(usable & (cohort.tissue == tissue))
        train, out = pairs[~held_out[pairs]], pairs[held_out[pairs] & (place[pairs] >= 0)]
        told[out] = 0
        if len(train) < MIN_PAIRS or not len(out):
            continue
        x, asked = (features[place[from_source[side]]].astype(float) for side in (train, out))
        centre = x.mean(0)
        x, asked = x - centre, asked - centre
        y = scaler.transform(cohort.expr_tpm[train], cohort.tissue[train])
        ridge = gcv_ridge(x @ x.T, y)
        told[out] = asked @ x.T @ ridge.dual + ridge.intercept


def _blood_to_tissue(
    cohort: Cohort,
    folds: pd.Series,
    name: str,
    told: np.ndarray,
    accuracy: AccuracySettings,
    scaling: Scaling,
    device: str,
) -> pd.DataFrame:
    """Score what was told as the headline is, the mean of tissues."""
    genes = np.arange(cohort.n_genes)
    rows = score_told(cohort, folds, told, genes, accuracy, scaling, device)
    rows = rows[rows["level"] == "gene_wise"]
    row = rows[rows["tissue"] == MEAN_OF_TISSUES].rename(columns={"mean_rho": "score"})
    about = {"part": BLOOD_TO_TISSUE, "input": name, "target": MEAN_OF_TISSUES}
    donors = cohort.donor[np.isfinite(told[:, 0])]
    return row.assign(**about, n_donors=len(np.unique(donors)))
