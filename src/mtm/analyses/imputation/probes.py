"""What codes of held-out samples tell of tissue, donor and other tissues (methods 6.24)."""

import logging
from dataclasses import dataclass, replace

import anndata
import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit, logit
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from mtm.analyses.accuracy.same_sample import score_told
from mtm.analyses.representations.within_donors import (
    compare_donors,
    sample_similarity,
    summarise_folds,
)
from mtm.cohort.cohort import Cohort
from mtm.models.device import choose_device
from mtm.models.solvers.primal_ridge import primal_ridge
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.imputation import Imputation
from mtm.settings.scaling import Scaling
from mtm.vocabulary import (
    CODES,
    HEADLINE,
    LINEAR,
    MEAN_OF_TISSUES,
    NON_LINEAR,
    SAME_TISSUES,
    SIMILARITY,
)

log = logging.getLogger(__name__)

# Donors with source and target that a regression is fitted to, at least.
MIN_PAIRS = 10
PERMUTATIONS = 19
COLUMNS = [
    "code", "width", "target", "probe", "score", "ci_low", "ci_high", "chance", "n_samples",
    "n_donors",
]  # fmt: skip


@dataclass(frozen=True)
class Part:
    """Codes of all samples by one fold's training donors, and who is held out."""

    number: int
    code: np.ndarray
    held_out: np.ndarray


def probe_codes(
    cohort: Cohort,
    folds: pd.Series,
    codes: anndata.AnnData,
    source: str,
    settings: Imputation,
    accuracy: AccuracySettings,
    scaling: Scaling,
    device: str,
) -> pd.DataFrame:
    """Probe every kind of code; probes are fitted to training donors' codes.

    Parameters
    ----------
    cohort, folds
        The cohort, and `mtm.cohort.folds.read_folds`.
    codes
        From `mtm.analyses.imputation.codes.make_codes`.
    source
        Tissue whose codes are to tell expression in the others.
    settings, accuracy, scaling
        Sections of the config.
    device
        ``"cpu"``, ``"cuda"`` or ``"auto"``.

    Returns
    -------
    pd.DataFrame
        One row a ``code``, ``target`` and ``probe``; columns as in docs/contracts.md.
    """
    rng = np.random.default_rng(settings.seed)
    genes = np.sort(rng.permutation(cohort.n_genes)[: settings.probe_genes])
    few = replace(cohort, expr_tpm=cohort.expr_tpm[:, genes], genes=cohort.genes.iloc[genes])
    rows = []
    for name in [name for name in CODES if name in codes.obsm]:
        parts = [
            Part(
                int(number),
                np.asarray(codes.obsm[name][of_fold], np.float32),
                codes.obs["held_out"].to_numpy(bool)[of_fold],
            )
            for number in np.unique(codes.obs["fold"])
            for of_fold in [np.flatnonzero(codes.obs["fold"] == number)]
        ]
        about = {"code": name, "width": parts[0].code.shape[1]}
        rows.append(about | _same_donor(parts, cohort, accuracy))
        for probe in (LINEAR, NON_LINEAR):
            seen = [
                part if probe == LINEAR else replace(part, code=_with_features(part, settings))
                for part in parts
            ]
            rows.append(about | {"probe": probe} | name_tissues(seen, cohort))
            told = _expression(seen, few, source, scaling)
            rows.append(
                about | {"probe": probe} | _told(few, folds, told, accuracy, scaling, device)
            )
        log.info("%s probed", name)
    return pd.DataFrame(rows)[COLUMNS]


def _with_features(part: Part, settings: Imputation) -> np.ndarray:
    """Standardise the code, and put random Fourier features of a Gaussian kernel beside it.

    The kernel's width is the median distance of training samples (Rahimi and Recht 2007).
    """
    rng = np.random.default_rng(settings.seed + part.number)
    train = part.code[~part.held_out]
    code = (part.code - train.mean(0)) / np.maximum(train.std(0), 1e-6)
    some = code[~part.held_out][rng.permutation(len(train))[:500]]
    square = (some**2).sum(1)
    distance = np.sqrt((square[:, None] + square - 2 * some @ some.T).clip(min=0))
    width = np.median(distance[np.triu_indices(len(some), 1)]) or 1.0
    axes = rng.standard_normal((code.shape[1], settings.random_features)) / width
    phases = rng.uniform(0, 2 * np.pi, settings.random_features)
    return np.hstack([code, np.sqrt(2) * np.cos(code @ axes + phases)]).astype(np.float32)


def name_tissues(parts: list[Part], cohort: Cohort) -> dict[str, object]:
    """Share of held-out samples whose tissue a linear discriminant analysis names.

    Returns
    -------
    dict
        The columns of `probe_codes` from ``target`` on.
    """
    right = np.zeros(cohort.n_samples)
    held_out = np.zeros(cohort.n_samples, bool)
    for part in parts:
        fit = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        fit.fit(part.code[~part.held_out], cohort.tissue[~part.held_out])
        named = fit.predict(part.code[part.held_out])
        right[part.held_out] = named == cohort.tissue[part.held_out]
        held_out |= part.held_out
    donor, tissue = cohort.donor[held_out], cohort.tissue[held_out]
    low, high = share_interval(right[held_out], donor)
    return {
        "target": "tissue",
        "score": right[held_out].mean(),
        "ci_low": low,
        "ci_high": high,
        "chance": np.bincount(tissue).max() / len(tissue),
        "n_samples": len(donor),
        "n_donors": len(np.unique(donor)),
    }


def share_interval(right: np.ndarray, donor: np.ndarray) -> tuple[float, float]:
    """95% interval of a share of samples, those of a donor together.

    Student's t by donors' residuals, on the logit scale with half a sample added on either side;
    never narrower than that of as many samples of their own.

    Parameters
    ----------
    right
        0 or 1 a sample.
    donor
        Shape of `right`.
    """
    which = np.unique(donor, return_inverse=True)[1]
    n_donors, n = int(which.max()) + 1, len(right)
    if n_donors < 2:
        return np.nan, np.nan
    share = (right.sum() + 0.5) / (n + 1)
    left = np.bincount(which, right - right.mean())
    alone = share * (1 - share)
    se = np.sqrt(max((left**2).sum(), n * alone) * n_donors / (n_donors - 1)) / n
    reach = stats.t.ppf(0.975, n_donors - 1) * se / alone
    low, high = expit(logit(share) + reach * np.array([-1, 1]))
    # Of nothing or all of the samples, the half sample leaves the share itself outside.
    return float(min(low, right.mean())), float(max(high, right.mean()))


def _same_donor(
    parts: list[Part], cohort: Cohort, accuracy: AccuracySettings
) -> dict[str, object]:
    """How often a sample is more like its donor's of another tissue than like another donor's."""
    compared = []
    for part in parts:
        rows = np.flatnonzero(part.held_out)
        centred = part.code[rows] - part.code[~part.held_out].mean(0)
        seed = accuracy.seed, part.number
        compared.append(
            compare_donors(
                sample_similarity(centred), cohort.donor[rows], cohort.tissue[rows],
                PERMUTATIONS, accuracy.bootstraps, seed,
            )
        )  # fmt: skip
    summary = summarise_folds(compared, PERMUTATIONS)
    row = next(line for line in summary if line["comparison"] == SAME_TISSUES)
    return {
        "target": "donor",
        "probe": SIMILARITY,
        "score": row["auc"],
        "ci_low": row["auc_low"],
        "ci_high": row["auc_high"],
        "chance": 0.5,
        "n_samples": row["n_samples"],
        "n_donors": row["n_donors"],
    }


def _expression(parts: list[Part], cohort: Cohort, source: str, scaling: Scaling) -> np.ndarray:
    """Tell held-out samples of other tissues from the code of the donor's source sample."""
    told = np.full(cohort.expr_tpm.shape, np.nan, np.float32)
    row_of, first = cohort.row_of(), cohort.tissue_index(source)
    for part in parts:
        train = ~part.held_out
        scaler = cohort.scaler(HEADLINE.scale, scaling, train)
        expr_z = scaler.transform(cohort.expr_tpm, cohort.tissue)
        for target in np.delete(np.arange(len(cohort.tissues)), first):
            pairs = row_of[(row_of[:, first] >= 0) & (row_of[:, target] >= 0)][:, [first, target]]
            known, asked = pairs[train[pairs[:, 0]]], pairs[part.held_out[pairs[:, 0]]]
            if len(known) >= MIN_PAIRS and len(asked):
                fit = primal_ridge(part.code[known[:, 0]], expr_z[known[:, 1]])
                told[asked[:, 1]] = fit.predict(part.code[asked[:, 0]])
    return told


def _told(
    cohort: Cohort,
    folds: pd.Series,
    told: np.ndarray,
    accuracy: AccuracySettings,
    scaling: Scaling,
    device: str,
) -> dict[str, object]:
    """Score what the source's codes tell, as the headline is."""
    known = np.isfinite(told[:, 0])
    about = {
        "target": "expression",
        "chance": 0.0,
        "n_donors": len(np.unique(cohort.donor[known])),
    }
    if not known.any():
        return about | dict.fromkeys(("score", "ci_low", "ci_high"), np.nan) | {"n_samples": 0}
    genes = np.arange(cohort.n_genes)
    # No null is told.
    accuracy = accuracy.with_(permutations=PERMUTATIONS + 1)
    table = score_told(cohort, folds, told, genes, accuracy, scaling, choose_device(device))
    row = table[(table["tissue"] == MEAN_OF_TISSUES) & (table["level"] == "gene_wise")].iloc[0]
    return about | {
        "score": row["mean_rho"],
        "ci_low": row["ci_low"],
        "ci_high": row["ci_high"],
        "n_samples": row["n_samples"],
    }
