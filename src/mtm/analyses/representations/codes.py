"""What MTM's latent codes and decoding paths hold (He et al. 2023, Fig S8; methods 3, R10-R11).

Codes: is a code more like the donor's own code of another tissue than like that of another donor?
The codes of a donor are not independent, so donors are what is permuted and resampled. Decoding
paths: do tissues with similar expression pass the generator along similar paths? Pairs of tissues
are not independent either; see `mtm.analyses.representations.tissue_similarity`.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from mtm.analyses.representations.networks import (
    _codes,
    _encoder_input,
    fold_models,
    held_out_rows,
    untrained,
)
from mtm.cohort.cohort import Cohort
from mtm.errors import InputError
from mtm.statistics.resampling import donor_weights
from mtm.vocabulary import ALL_PAIRS, ENCODER_INPUT, NETWORKS, SAME_TISSUES, TRAINED

log = logging.getLogger(__name__)


INTERVAL = (0.025, 0.975)


@dataclass(frozen=True)
class FoldComparison:
    """Similarity of codes within and between the held-out donors of one fold.

    Parameters
    ----------
    donors
        One row a donor with a comparison: ``donor``, ``n_tissues``, ``n_comparisons``,
        ``mean_within``, ``mean_between``, ``auc``.
    by_pair
        One row a pair of tissues: ``tissue_a``, ``tissue_b``, ``n_donors`` with both,
        ``n_comparisons``, and the sums over donors of ``within``, ``between`` and ``auc``.
    n_samples, n_donors
        All that were shown.
    resampled
        Numerator and denominator of every mean in each bootstrap sample of donors, by name.
    permuted
        ``mean_within`` added up over donors under each permutation, by comparison.
    totals
        Numerator and denominator of the means over all pairs of samples, by name.
    rank_sum
        Mann-Whitney's U, its mean and variance, and the product of the group sizes.
    """

    donors: pd.DataFrame
    by_pair: pd.DataFrame
    n_samples: int
    n_donors: int
    resampled: dict[str, tuple[np.ndarray, np.ndarray]]
    permuted: dict[str, np.ndarray]
    totals: dict[str, tuple[float, float]]
    rank_sum: tuple[float, float, float, float]


def sample_similarity(values: np.ndarray) -> np.ndarray:
    """Pearson's rho between every two rows; 0 where a row is constant.

    In float64: the codes of a collapsed encoder differ in the seventh digit of their similarity.

    Parameters
    ----------
    values
        Shape ``(n_samples, n_features)``, finite.
    """
    unit = values.astype(np.float64)
    unit -= unit.mean(1, keepdims=True)
    norm = np.linalg.norm(unit, axis=1, keepdims=True)
    size = np.abs(values).max(1, keepdims=True) * values.shape[1] ** 0.5
    unit /= np.where(norm > 1e-6 * size, norm, np.inf)
    return unit @ unit.T


def compare_donors(
    similarity: np.ndarray,
    donor: np.ndarray,
    tissue: np.ndarray,
    n_permutations: int,
    n_bootstraps: int,
    seed: Sequence[int],
) -> FoldComparison:
    """Compare similarities of samples within donors with those between donors.

    Matched by tissue: a sample of donor i in tissue a is compared with the donor's own sample in
    tissue b and with every other donor's in the same tissue b. Differences between tissues cancel
    in this. The null of the permutation test is that samples carry nothing of their donor but the
    tissue: within every tissue the samples are dealt anew to the donors who have it.

    Parameters
    ----------
    similarity
        Symmetric, shape ``(n_samples, n_samples)``.
    donor, tissue
        Of every sample, int64, shape ``(n_samples,)``; at most one sample a donor and tissue.
    n_permutations, n_bootstraps
        Permutations as above; bootstrap samples of donors.
    seed
        Of both.
    """
    names, donor = np.unique(donor, return_inverse=True)
    tissues, tissue = np.unique(tissue, return_inverse=True)
    row_of = np.full((len(names), len(tissues)), -1, np.int64)
    row_of[donor, tissue] = np.arange(len(donor))
    count, within, between, wins, by_pair = _matched(similarity, row_of)
    n_comparisons = count.sum(1)
    compared = n_comparisons > 0
    share = np.where(compared, n_comparisons, 1)
    donors = pd.DataFrame(
        {
            "donor": names,
            "n_tissues": (row_of >= 0).sum(1),
            "n_comparisons": n_comparisons.astype(int),
            "mean_within": within.sum(1) / share,
            "mean_between": between.sum(1) / share,
            "auc": wins.sum(1) / share,
        }
    )[compared].reset_index(drop=True)

    weights = donor_weights(len(names), n_bootstraps, np.random.default_rng([*seed, 1]))
    weights = weights.astype(np.float64)
    resampled, drawn = {}, weights @ count.T
    known = drawn > 0
    for name, sums in (("mean_within", within), ("mean_between", between), ("auc", wins)):
        of_donor = np.divide(weights @ sums.T, drawn, out=np.zeros_like(drawn), where=known)
        resampled[name] = (weights * of_donor).sum(1), (weights * known).sum(1)
    totals, of_all, rank_sum = _all_pairs(similarity, donor, weights)

    # A donor's pairs weigh as much as they do in its mean above; over all pairs, each as much.
    first, second = _within_pairs(row_of)
    others = np.bincount(tissue)[tissue] - 1
    weight = (others[first] + others[second]) / share[donor[first]] * compared[donor[first]]
    coefficients = np.stack([weight, np.ones(len(first))], 1)
    rng = np.random.default_rng([*seed, 0])
    permuted = np.empty((n_permutations, 2))
    members = [np.flatnonzero(tissue == index) for index in range(len(tissues))]
    dealt = np.empty(len(donor), np.int64)
    for index in range(n_permutations):
        for rows in members:
            dealt[rows] = rng.permutation(rows)
        permuted[index] = similarity[dealt[first], dealt[second]] @ coefficients
    return FoldComparison(
        donors=donors,
        by_pair=by_pair.assign(
            tissue_a=tissues[by_pair["tissue_a"]], tissue_b=tissues[by_pair["tissue_b"]]
        ),
        n_samples=len(donor),
        n_donors=len(names),
        resampled=resampled | of_all,
        permuted={SAME_TISSUES: permuted[:, 0], ALL_PAIRS: permuted[:, 1]},
        totals=totals,
        rank_sum=rank_sum,
    )


def _within_pairs(row_of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of both samples of every pair of samples of one donor."""
    first, second = [], []
    for rows in row_of:
        own = rows[rows >= 0]
        a, b = np.triu_indices(len(own), 1)
        first.append(own[a])
        second.append(own[b])
    return np.concatenate(first), np.concatenate(second)


def _matched(
    similarity: np.ndarray, row_of: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, pd.DataFrame]:
    """Add up the matched comparisons of donor i with donor k, over ordered pairs of tissues.

    Returns
    -------
    np.ndarray (four)
        Entry (i, k): number of comparisons, sums of the own similarity, of the other's, and of
        "own is higher" (ties count half).
    pd.DataFrame
        See `FoldComparison.by_pair`, tissues by index.
    """
    n_donors, n_tissues = row_of.shape
    sums = np.zeros((4, n_donors, n_donors))
    pairs: dict[tuple[int, int], np.ndarray] = {}
    for a in range(n_tissues):
        for b in range(n_tissues):
            others = np.flatnonzero(row_of[:, b] >= 0)
            both = others[row_of[others, a] >= 0]
            if a == b or not len(both) or len(others) < 2:
                continue
            block = similarity[np.ix_(row_of[both, a], row_of[others, b])]
            place = np.arange(len(both)), np.searchsorted(others, both)
            own = block[place][:, None]
            terms = np.empty((4, *block.shape))
            terms[0] = 1
            terms[1] = own
            terms[2] = block
            terms[3] = (own > block) + 0.5 * (own == block)
            terms[(slice(None), *place)] = 0
            sums[:, both[:, None], others[None]] += terms
            of_donor = terms.sum(2)
            row = np.array([len(both), of_donor[0].sum(), *(of_donor[1:] / of_donor[0]).sum(1)])
            key = (min(a, b), max(a, b))
            pairs[key] = pairs.get(key, 0) + row
    table = pd.DataFrame(
        [(*key, *row) for key, row in sorted(pairs.items())],
        columns=["tissue_a", "tissue_b", "n_donors", "n_comparisons", "within", "between", "auc"],
    )
    # Both tissues have been the anchor's.
    table[["n_donors", "within", "between", "auc"]] /= 2
    return *sums, table.astype({"tissue_a": int, "tissue_b": int})


def _all_pairs(
    similarity: np.ndarray, donor: np.ndarray, weights: np.ndarray
) -> tuple[
    dict[str, tuple[float, float]],
    dict[str, tuple[np.ndarray, np.ndarray]],
    tuple[float, float, float, float],
]:
    """Means over all pairs of samples, resampled, and the rank-sum test, as in the paper."""
    order = np.argsort(donor, kind="stable")
    n_samples = np.bincount(donor)
    starts = np.concatenate([[0], np.cumsum(n_samples)[:-1]])
    by_row = np.add.reduceat(similarity[order], starts, axis=0)
    sums = np.add.reduceat(by_row[:, order], starts, axis=1)
    own = np.add.reduceat(np.diag(similarity)[order], starts)
    within, n_within = (np.diag(sums) - own) / 2, n_samples * (n_samples - 1) / 2
    between, n_between = sums.copy(), np.outer(n_samples, n_samples).astype(float)
    np.fill_diagonal(between, 0)
    np.fill_diagonal(n_between, 0)
    totals = {
        "all_within": (float(within.sum()), float(n_within.sum())),
        "all_between": (float(between.sum() / 2), float(n_between.sum() / 2)),
    }
    resampled = {
        "all_within": (weights @ within, weights @ n_within),
        "all_between": tuple(
            ((weights @ matrix) * weights).sum(1) / 2 for matrix in (between, n_between)
        ),
    }
    row, column = np.triu_indices(len(donor), 1)
    values, same = similarity[row, column], donor[row] == donor[column]
    low, high = values[same], np.sort(values[~same])
    below = np.searchsorted(high, low, "left") + np.searchsorted(high, low, "right")
    product = float(len(low)) * len(high)
    rank_sum = (below.sum() / 2, product / 2, product * (len(values) + 1) / 12, product)
    return totals, resampled, tuple(map(float, rank_sum))


def summarise_folds(
    parts: Sequence[FoldComparison], n_permutations: int
) -> list[dict[str, float | str]]:
    """Put the folds of one network together; every donor counts once, whatever its fold.

    Returns
    -------
    list of dict
        One row a comparison; columns as `code_similarity` describes them.
    """
    donors = pd.concat([part.donors for part in parts])
    if donors.empty:
        raise InputError("held-out donors", "none with two tissues", "donors with two or more")

    def share_of(name: str) -> tuple[float, np.ndarray]:
        """Mean over folds' numerators and denominators, and its bootstrap samples."""
        drawn = [np.sum([part.resampled[name][i] for part in parts], axis=0) for i in (0, 1)]
        resampled = np.divide(*drawn, out=np.full(len(drawn[0]), np.nan), where=drawn[1] > 0)
        if name in donors:
            return float(donors[name].mean()), resampled
        total = np.sum([part.totals[name] for part in parts], axis=0)
        return float(total[0] / total[1]), resampled

    rows = []
    u, mean, variance, product = np.sum([part.rank_sum for part in parts], axis=0)
    for comparison, within, between in (
        (SAME_TISSUES, "mean_within", "mean_between"),
        (ALL_PAIRS, "all_within", "all_between"),
    ):
        (own, own_drawn), (other, other_drawn) = share_of(within), share_of(between)
        matched = comparison == SAME_TISSUES
        n_units = (
            len(donors) if matched else float(np.sum([part.totals[within][1] for part in parts]))
        )
        null = np.sum([part.permuted[comparison] for part in parts], axis=0) / n_units
        by_fold = [
            part.donors["auc"].mean() if matched else part.rank_sum[0] / part.rank_sum[3]
            for part in parts
        ]
        as_large = (null >= own - 1e-12).sum()
        row = {
            "comparison": comparison,
            "n_donors": len(donors),
            "n_donors_left_out": sum(part.n_donors for part in parts) - len(donors),
            "n_samples": sum(part.n_samples for part in parts),
            "mean_within": own,
            "mean_between": other,
            "difference": own - other,
            **_interval("ci", own_drawn - other_drawn),
            "auc": u / product,
            "auc_low": np.nan,
            "auc_high": np.nan,
            "auc_fold_low": min(by_fold),
            "auc_fold_high": max(by_fold),
            "null_low": float(np.quantile(null, INTERVAL[0])),
            "null_high": float(np.quantile(null, INTERVAL[1])),
            "p": float((1 + as_large) / (1 + n_permutations)),
            "p_rank_sum": np.nan,
        }
        if matched:
            row["auc"], drawn = share_of("auc")
            row |= _interval("auc", drawn)
        else:
            row["p_rank_sum"] = float(2 * stats.norm.sf(abs(u - mean) / np.sqrt(variance)))
        rows.append(row)
    return rows


def _interval(name: str, draws: np.ndarray) -> dict[str, float]:
    """95% percentile interval of bootstrap samples."""
    low, high = np.nanquantile(draws, INTERVAL) if np.isfinite(draws).any() else (np.nan,) * 2
    return {f"{name}_low": float(low), f"{name}_high": float(high)}


def code_similarity(
    cohort: Cohort,
    folds: pd.Series,
    bundles: Mapping[str, Mapping[int, str | Path]],
    n_permutations: int,
    n_bootstraps: int,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Compare codes within and between held-out donors, each fold with its own model.

    Beside the trained encoder stand two references that keep some of a donor's identity without
    any training: an untrained encoder of the same shape, and what the encoder is shown. Covariates
    that a model adds to its codes are left out: they are the same for all samples of a donor.

    Parameters
    ----------
    cohort
        Every sample.
    folds
        Fold by donor id, from `mtm.cohort.folds.read_folds`.
    bundles
        Path of the bundle by model and fold; models of class "mtm".
    n_permutations, n_bootstraps, seed
        See `compare_donors`; the untrained weights of fold f have the seed ``seed + f``.

    Returns
    -------
    pd.DataFrame
        One row a model, ``network`` (one of `NETWORKS`), ``fold`` and ``donor`` with two tissues
        or more: ``n_tissues``, ``n_comparisons``, ``mean_within``, ``mean_between`` (both over the
        matched comparisons), ``difference``, ``auc`` (share of comparisons in which the own
        sample is the more similar; 0.5 by chance).
    pd.DataFrame
        One row a model, network and pair of tissues, means over donors: ``tissue_a``,
        ``tissue_b``, ``n_donors``, ``n_comparisons``, ``mean_within``, ``mean_between``,
        ``difference``, ``auc``.
    pd.DataFrame
        One row a model, network and ``comparison``: "same tissues" (matched; a donor counts once)
        or "all pairs" (as in the paper: different tissues of one donor against any samples of
        two; a pair counts once). ``n_donors``, ``n_donors_left_out`` (without a comparison),
        ``n_samples``, the means, ``difference`` and ``auc`` with intervals from bootstrap samples
        of donors, ``auc_fold_low`` and ``auc_fold_high`` of single folds, ``null_low`` and
        ``null_high`` (95% of ``mean_within`` when samples are dealt anew to the donors of their
        tissue), ``p`` (one-sided, of that permutation) and ``p_rank_sum`` (the paper's test,
        pairs taken as independent; U added up over folds; 0 where it is below 1e-308).

    Raises
    ------
    InputError
        See `fold_models` and `held_out_rows`; codes are not finite; no donor has two tissues.
    """
    rows_of = held_out_rows(cohort, folds)
    donors, pairs, summary = [], [], []
    for name, paths in bundles.items():
        parts: dict[str, list[FoldComparison]] = {network: [] for network in NETWORKS}
        for fold, model in fold_models(cohort, rows_of, paths):
            rows = rows_of[fold]
            donor, tissue = cohort.donor[rows], cohort.tissue[rows]
            if np.bincount(np.unique(donor, return_inverse=True)[1]).max() < 2:
                raise InputError(
                    f"fold {fold}", "no held-out donor with two tissues", "one or more such donors"
                )
            for network in NETWORKS:
                values = _encoder_input(model, cohort, rows) if network == ENCODER_INPUT else None
                if values is None:
                    shown = model if network == TRAINED else untrained(model, seed + fold)
                    values = _codes(shown, cohort, rows)
                if not np.isfinite(values).all():
                    raise InputError(
                        paths[fold],
                        f"{network} values that are not finite",
                        "finite codes of every held-out sample",
                        "The model has diverged, or its training had no sample of a tissue.",
                    )
                similarity = sample_similarity(values)
                part = compare_donors(
                    similarity, donor, tissue, n_permutations, n_bootstraps, (seed, fold)
                )
                parts[network].append(part)
                key = {"model": name, "network": network}
                donors.append(pd.DataFrame(key | {"fold": fold}, index=part.donors.index))
                donors[-1] = donors[-1].join(
                    part.donors.assign(donor=cohort.donors.index[part.donors["donor"]])
                )
            log.info("%s, fold %d: codes of %d samples compared", name, fold, len(rows))
        for network, of_network in parts.items():
            key = {"model": name, "network": network}
            pairs.append(_mean_by_pair(of_network, cohort.tissues).assign(**key))
            summary += [key | line for line in summarise_folds(of_network, n_permutations)]
    table = pd.concat(donors, ignore_index=True)
    table.insert(
        table.columns.get_loc("auc"), "difference", table["mean_within"] - table["mean_between"]
    )
    by_pair = pd.concat(pairs, ignore_index=True)
    leading = ["model", "network"]
    by_pair = by_pair[[*leading, *by_pair.columns.drop(leading)]]
    return table, by_pair, pd.DataFrame(summary)


def _mean_by_pair(parts: Sequence[FoldComparison], tissues: Sequence[str]) -> pd.DataFrame:
    """Means over the donors of all folds, one row a pair of tissues."""
    sums = pd.concat([part.by_pair for part in parts]).groupby(["tissue_a", "tissue_b"]).sum()
    table = sums.reset_index().astype({"n_donors": int, "n_comparisons": int})
    names = np.array(tissues, dtype=object)
    for column in ("tissue_a", "tissue_b"):
        table[column] = names[table[column].to_numpy(int)]
    auc = table.pop("auc") / table["n_donors"]
    table["mean_within"] = table.pop("within") / table["n_donors"]
    table["mean_between"] = table.pop("between") / table["n_donors"]
    table["difference"] = table["mean_within"] - table["mean_between"]
    return table.assign(auc=auc)
