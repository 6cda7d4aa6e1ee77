"""Whether samples of one donor are more alike than samples of different donors.

The samples of a donor are not independent, so donors are what is permuted and resampled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from mtm.errors import CannotDo
from mtm.statistics.resampling import donor_weights
from mtm.vocabulary import ALL_PAIRS, SAME_TISSUES

INTERVAL = (0.025, 0.975)
SUMMARY = ["comparison", "n_donors", "n_donors_left_out", "n_samples", "mean_within",
           "mean_between", "difference", "ci_low", "ci_high", "auc", "auc_low", "auc_high",
           "auc_fold_low", "auc_fold_high", "null_low", "null_high", "p",
           "p_as_paper"]  # fmt: skip


@dataclass(frozen=True)
class FoldComparison:
    """Similarity of codes within and between the held-out donors of one fold.

    Parameters
    ----------
    donors
        One row a donor with a comparison: ``donor``, ``n_tissues``, ``n_comparisons``,
        ``mean_within``, ``mean_between`` (over the matched comparisons), ``auc`` (share of these
        in which the own sample is the more similar; 0.5 by chance).
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
    sums, by_pair = _matched(similarity, row_of)
    by_pair["tissue_a"] = tissues[by_pair["tissue_a"]]
    by_pair["tissue_b"] = tissues[by_pair["tissue_b"]]
    donors = _by_donor(sums, names, row_of)
    weights = donor_weights(len(names), n_bootstraps, np.random.default_rng([*seed, 1]))
    weights = weights.astype(np.float64)
    totals, of_all, rank_sum = _all_pairs(similarity, donor, weights)
    rng = np.random.default_rng([*seed, 0])
    first, second = _within_pairs(row_of)
    coefficients = _pair_weights(first, second, donor, tissue, sums[0].sum(1))
    permuted = np.empty((n_permutations, 2))
    members = [np.flatnonzero(tissue == index) for index in range(len(tissues))]
    for index in range(n_permutations):
        dealt = _dealt_anew(members, rng)
        permuted[index] = similarity[dealt[first], dealt[second]] @ coefficients
    return FoldComparison(
        donors=donors[donors["n_comparisons"] > 0].reset_index(drop=True),
        by_pair=by_pair,
        n_samples=len(donor),
        n_donors=len(names),
        resampled=_resampled(sums, weights) | of_all,
        permuted={SAME_TISSUES: permuted[:, 0], ALL_PAIRS: permuted[:, 1]},
        totals=totals,
        rank_sum=rank_sum,
    )


def _by_donor(sums: np.ndarray, names: np.ndarray, row_of: np.ndarray) -> pd.DataFrame:
    """Means over the matched comparisons of every donor, 0 without one."""
    n_comparisons, within, between, wins = sums.sum(2)
    share = np.where(n_comparisons > 0, n_comparisons, 1)
    return pd.DataFrame(
        {
            "donor": names,
            "n_tissues": (row_of >= 0).sum(1),
            "n_comparisons": n_comparisons.astype(int),
            "mean_within": within / share,
            "mean_between": between / share,
            "auc": wins / share,
        }
    )


def _resampled(sums: np.ndarray, weights: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Numerator and denominator of the matched means in each bootstrap sample of donors."""
    resampled, drawn = {}, weights @ sums[0].T
    known = drawn > 0
    for name, of_pairs in zip(("mean_within", "mean_between", "auc"), sums[1:], strict=True):
        of_donor = np.divide(weights @ of_pairs.T, drawn, out=np.zeros_like(drawn), where=known)
        resampled[name] = (weights * of_donor).sum(1), (weights * known).sum(1)
    return resampled


def _pair_weights(
    first: np.ndarray,
    second: np.ndarray,
    donor: np.ndarray,
    tissue: np.ndarray,
    n_comparisons: np.ndarray,
) -> np.ndarray:
    """Weight of every pair of samples of a donor in both means, shape ``(n_pairs, 2)``.

    In the matched means a donor's pairs weigh as much as they do in its own mean; over all pairs,
    each as much.
    """
    share = np.where(n_comparisons > 0, n_comparisons, 1)
    others = np.bincount(tissue)[tissue] - 1
    of_donor = donor[first]
    weight = (others[first] + others[second]) / share[of_donor] * (n_comparisons > 0)[of_donor]
    return np.stack([weight, np.ones(len(first))], 1)


def _dealt_anew(members: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Deal the samples of every tissue, `members`, anew to the donors who have it."""
    dealt = np.empty(sum(map(len, members)), np.int64)
    for rows in members:
        dealt[rows] = rng.permutation(rows)
    return dealt


def _within_pairs(row_of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of both samples of every pair of samples of one donor."""
    first, second = [], []
    for rows in row_of:
        own = rows[rows >= 0]
        a, b = np.triu_indices(len(own), 1)
        first.append(own[a])
        second.append(own[b])
    return np.concatenate(first), np.concatenate(second)


def _matched(similarity: np.ndarray, row_of: np.ndarray) -> tuple[np.ndarray, pd.DataFrame]:
    """Add up the matched comparisons of donor i with donor k, over ordered pairs of tissues.

    Returns
    -------
    np.ndarray
        Shape ``(4, n_donors, n_donors)``: number of comparisons, sums of the own similarity, of
        the other's, and of "own is higher" (ties count half).
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
            row = np.array([len(both), of_donor[0].sum(), *(of_donor[1:] / of_donor[0]).sum(1), 1])
            key = (min(a, b), max(a, b))
            pairs[key] = pairs.get(key, 0) + row
    table = pd.DataFrame(
        [(*key, *row) for key, row in sorted(pairs.items())],
        columns=["tissue_a", "tissue_b", "n_donors", "n_comparisons", "within", "between", "auc",
                 "n_ways"],
    )  # fmt: skip
    # Both tissues have been the anchor's; one of them where the other has a single donor, whom
    # nobody can be compared with there.
    means = ["n_donors", "within", "between", "auc"]
    table[means] = table[means].div(table.pop("n_ways"), axis=0)
    return sums, table.astype({"tissue_a": int, "tissue_b": int})


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
        One row a comparison, `SUMMARY`: "same tissues" (matched; a donor counts once) or "all
        pairs" (as in the paper: different tissues of one donor against any samples of two; a pair
        counts once). Donors left out have no comparison. Intervals are from bootstrap samples of
        donors; ``auc_fold_low`` and ``auc_fold_high`` are of single folds; ``null_low`` and
        ``null_high`` (95% of ``mean_within``) and ``p`` (one-sided) from dealing samples anew;
        ``p_as_paper`` is the paper's test, pairs taken as independent (U added up over folds; 0
        where it is below 1e-308).
    """
    n_donors = sum(len(part.donors) for part in parts)
    if not n_donors:
        raise CannotDo(
            "latent codes",
            "no held-out donor whose tissues can be compared with those of another",
            "give the cohort more donors with two tissues or more, or draw fewer folds",
        )
    n_pairs = float(np.sum([part.totals["all_within"][1] for part in parts]))
    u, mean, variance, product = np.sum([part.rank_sum for part in parts], axis=0)
    auc, drawn = _over_folds(parts, "auc")
    matched = {
        **_compared(parts, SAME_TISSUES, "mean", n_donors, n_permutations),
        **{"auc": auc, **_interval("auc", drawn), "p_as_paper": np.nan},
        **_range("auc_fold", [part.donors["auc"].mean() for part in parts]),
    }
    everything = {
        **_compared(parts, ALL_PAIRS, "all", n_pairs, n_permutations),
        **{"auc": _ratio(u, product), "auc_low": np.nan, "auc_high": np.nan},
        **_range("auc_fold", [_ratio(part.rank_sum[0], part.rank_sum[3]) for part in parts]),
        "p_as_paper": float(2 * stats.norm.sf(abs(u - mean) / np.sqrt(variance))),
    }
    sizes = {
        "n_donors": n_donors,
        "n_donors_left_out": sum(part.n_donors for part in parts) - n_donors,
        "n_samples": sum(part.n_samples for part in parts),
    }
    return [{name: (sizes | row)[name] for name in SUMMARY} for row in (matched, everything)]


def _ratio(u: float, n_pairs: float) -> float:
    """Return the AUC of a U, NaN where no two pairs were compared."""
    return u / n_pairs if n_pairs else np.nan


def _compared(
    parts: Sequence[FoldComparison],
    comparison: str,
    means: str,
    n_units: float,
    n_permutations: int,
) -> dict[str, float | str]:
    """Compare the means within and between donors, named ``{means}_within`` in `parts`."""
    own, own_drawn = _over_folds(parts, f"{means}_within")
    other, other_drawn = _over_folds(parts, f"{means}_between")
    null = np.sum([part.permuted[comparison] for part in parts], axis=0) / n_units
    as_large = (null >= own - 1e-12).sum()
    return {
        "comparison": comparison,
        "mean_within": own,
        "mean_between": other,
        "difference": own - other,
        **_interval("ci", own_drawn - other_drawn),
        "null_low": float(np.quantile(null, INTERVAL[0])),
        "null_high": float(np.quantile(null, INTERVAL[1])),
        "p": float((1 + as_large) / (1 + n_permutations)),
    }


def _over_folds(parts: Sequence[FoldComparison], name: str) -> tuple[float, np.ndarray]:
    """Mean over folds' numerators and denominators, and its bootstrap samples."""
    drawn = [np.sum([part.resampled[name][i] for part in parts], axis=0) for i in (0, 1)]
    resampled = np.divide(*drawn, out=np.full(len(drawn[0]), np.nan), where=drawn[1] > 0)
    if name in parts[0].donors:
        return float(pd.concat([part.donors[name] for part in parts]).mean()), resampled
    total = np.sum([part.totals[name] for part in parts], axis=0)
    return float(total[0] / total[1]), resampled


def _range(name: str, values: Sequence[float]) -> dict[str, float]:
    """Lowest and highest of those values that are known."""
    known = [value for value in values if np.isfinite(value)] or [np.nan]
    return {f"{name}_low": min(known), f"{name}_high": max(known)}


def _interval(name: str, draws: np.ndarray) -> dict[str, float]:
    """95% percentile interval of bootstrap samples."""
    low, high = np.nanquantile(draws, INTERVAL) if np.isfinite(draws).any() else (np.nan,) * 2
    return {f"{name}_low": float(low), f"{name}_high": float(high)}


def mean_by_pair(parts: Sequence[FoldComparison], tissues: Sequence[str]) -> pd.DataFrame:
    """Means over the donors of all folds, one row a pair of tissues."""
    compared = pd.concat([part.by_pair for part in parts if len(part.by_pair)])
    sums = compared.groupby(["tissue_a", "tissue_b"]).sum()
    table = sums.reset_index().astype({"n_donors": int, "n_comparisons": int})
    names = np.array(tissues, dtype=object)
    for column in ("tissue_a", "tissue_b"):
        table[column] = names[table[column].to_numpy(int)]
    auc = table.pop("auc") / table["n_donors"]
    table["mean_within"] = table.pop("within") / table["n_donors"]
    table["mean_between"] = table.pop("between") / table["n_donors"]
    table["difference"] = table["mean_within"] - table["mean_between"]
    return table.assign(auc=auc)
