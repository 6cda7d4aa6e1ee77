"""Whether tissues with similar expression are predictable in similar genes (paper, Fig S9).

Similarities of pairs of tissues are compared by Spearman's rho over the upper triangle (methods 3,
R12). A tissue enters as many pairs as there are other tissues, so pairs are not independent: the
P value is Mantel's, from permutations of tissues, and the interval a jackknife over tissues. The
paper's own P value, of pairs taken as independent, stands beside them.
"""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from mtm.cohort.cohort import Cohort
from mtm.cohort.scaling import log2_tpm
from mtm.errors import CannotDo, InputError
from mtm.statistics.correlation import fisher_z
from mtm.statistics.jackknife import LeftOut, fisher_interval
from mtm.vocabulary import ALL_TISSUES, OUTSIDE_BRAIN, READINGS, RELATIONS

log = logging.getLogger(__name__)

MIN_TISSUES = 3
INTERVAL = (0.025, 0.975)
PERMUTATION_BLOCK = 500
ORGAN_SEPARATOR = " - "
BRAIN = "Brain"
# Measure, scale it belongs to, column of the gene-wise accuracy table; the headline first.
MEASURES = (
    *(("pearson", reading.scale, reading.rho) for reading in READINGS),
    *(("jaccard", reading.scale, reading.definition) for reading in READINGS),
)


def mean_log2_expression(cohort: Cohort) -> pd.DataFrame:
    """Return log2(1 + mean TPM over donors), one row a tissue, one column a gene."""
    mean_tpm = np.empty((len(cohort.tissues), cohort.n_genes))
    for tissue in range(len(cohort.tissues)):
        rows = np.flatnonzero(cohort.tissue == tissue)
        if not len(rows):
            raise InputError(
                "cohort", f"no sample of {cohort.tissues[tissue]}", "samples of every tissue"
            )
        mean_tpm[tissue] = cohort.expr_tpm[rows].mean(0, dtype=np.float64)
    index = pd.Index(cohort.tissues, name="tissue")
    return pd.DataFrame(
        log2_tpm(mean_tpm, cohort.measure), index=index, columns=cohort.genes.index
    )


def pearson_similarity(values: pd.DataFrame) -> pd.DataFrame:
    """Pearson's rho between every two rows, over the columns where both are known.

    Parameters
    ----------
    values
        One row a tissue; NaN is not known.

    Returns
    -------
    pd.DataFrame
        Rows by rows; NaN where fewer than three columns are known in both rows, or one of them
        is constant there.
    """
    raw = values.to_numpy(float)
    known = np.isfinite(raw)
    n_known = known.sum(1)
    total = np.where(known, raw, 0).sum(1)
    mean = np.divide(total, n_known, out=np.zeros(len(raw)), where=n_known > 0)
    # Centred, so that the sums over common columns below lose no digits.
    x = np.where(known, raw - mean[:, None], 0)
    mask = known.astype(float)
    n = mask @ mask.T
    mean_common = np.divide(x @ mask.T, n, out=np.zeros_like(n), where=n > 0)
    square = (x**2) @ mask.T
    variance = square - n * mean_common**2
    covariance = x @ x.T - n * mean_common * mean_common.T
    constant = variance <= 1e-12 * np.maximum(square, 1e-300)
    undefined = (n < 3) | constant | constant.T
    scale = np.sqrt(np.where(undefined, 1, variance * variance.T))
    rho = np.where(undefined, np.nan, np.clip(covariance / scale, -1, 1))
    return pd.DataFrame(rho, index=values.index, columns=values.index)


def jaccard_similarity(member: pd.DataFrame) -> pd.DataFrame:
    """Jaccard index of every two rows of a boolean table; NaN where a row has no member."""
    sets = member.to_numpy(float)
    size = sets.sum(1)
    common = sets @ sets.T
    either = size[:, None] + size[None] - common
    empty = (size == 0)[:, None] | (size == 0)[None]
    index = np.divide(common, either, out=np.full_like(common, np.nan), where=~empty)
    return pd.DataFrame(index, index=member.index, columns=member.index)


def relations(tissues: Sequence[str]) -> np.ndarray:
    """Relation of every two tissues, one of `RELATIONS`, shape ``(n_tissues, n_tissues)``.

    The organ is what stands before " - " in a tissue's name (GTEx's SMTSD).
    """
    organ = np.array([name.split(ORGAN_SEPARATOR)[0] for name in tissues], dtype=object)
    same = organ[:, None] == organ[None]
    brain = (organ == BRAIN)[:, None] & same
    return np.where(brain, RELATIONS[0], np.where(same, RELATIONS[1], RELATIONS[2]))


def pair_table(
    tissues: Sequence[str],
    key: Mapping[str, object],
    similarities: Mapping[str, pd.DataFrame | np.ndarray],
) -> pd.DataFrame:
    """Write similarity matrices as one row a pair of tissues.

    Returns
    -------
    pd.DataFrame
        `key`, ``tissue_a``, ``tissue_b``, ``relation`` (one of `RELATIONS`), then a column a
        matrix.
    """
    row, column = np.triu_indices(len(tissues), 1)
    names = np.array(tissues, dtype=object)
    pairs = {"tissue_a": names[row], "tissue_b": names[column]}
    pairs["relation"] = relations(tissues)[row, column]
    values = {name: np.asarray(matrix)[row, column] for name, matrix in similarities.items()}
    return pd.DataFrame({**key, **pairs, **values})


def compare_similarities(
    x: np.ndarray, y: np.ndarray, n_permutations: int, seed: int
) -> dict[str, float]:
    """Correlate the upper triangles of two similarity matrices.

    Parameters
    ----------
    x, y
        Symmetric, shape ``(n_tissues, n_tissues)``, finite off the diagonal, which is not used.
    n_permutations
        Permutations of the tissues of `y` for Mantel's test.
    seed
        Of the permutations, and of the tissues left out in pairs.

    Returns
    -------
    dict
        ``n_pairs``; ``spearman_rho`` with ``ci_low`` and ``ci_high`` (95%, jackknife over tissues
        on Fisher's z); ``p`` (Mantel's, two-sided); ``null_low`` and ``null_high`` (95% of the
        permuted rho); ``p_as_paper`` (pairs taken as independent, as the paper does). NaN where a
        triangle is constant.
    """
    n = len(x)
    row, column = np.triu_indices(n, 1)
    names = ("spearman_rho", "ci_low", "ci_high", "p", "null_low", "null_high", "p_as_paper")
    result = {"n_pairs": len(row)} | dict.fromkeys(names, np.nan)
    if n < MIN_TISSUES or np.ptp(x[row, column]) == 0 or np.ptp(y[row, column]) == 0:
        return result
    result["spearman_rho"], result["p_as_paper"] = map(
        float, stats.spearmanr(x[row, column], y[row, column])
    )
    result["ci_low"], result["ci_high"] = _jackknife(x, y, result["spearman_rho"], seed)
    unit_x = _unit_ranks(x[row, column])
    unit_y = np.zeros((n, n))
    unit_y[row, column] = unit_y[column, row] = _unit_ranks(y[row, column])
    rng, null = np.random.default_rng(seed), np.empty(n_permutations)
    for start in range(0, n_permutations, PERMUTATION_BLOCK):
        size = min(PERMUTATION_BLOCK, n_permutations - start)
        order = rng.permuted(np.tile(np.arange(n), (size, 1)), axis=1)
        null[start : start + size] = unit_y[order[:, row], order[:, column]] @ unit_x
    # Rounding must not keep a permutation that changes nothing from counting.
    as_large = (np.abs(null) >= abs(result["spearman_rho"]) - 1e-12).sum()
    result["p"] = float((1 + as_large) / (1 + n_permutations))
    result["null_low"], result["null_high"] = map(float, np.quantile(null, INTERVAL))
    return result


def _unit_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks, centred and of norm 1, so that products add up to Spearman's rho."""
    ranks = stats.rankdata(values)
    ranks -= ranks.mean()
    return ranks / np.linalg.norm(ranks)


def _jackknife(x: np.ndarray, y: np.ndarray, rho: float, seed: int) -> tuple[float, float]:
    """Interval of Spearman's rho over tissues, whether or not they act on all their pairs."""
    left_out, values = LeftOut.of(len(x), [seed]), []
    for gone in left_out.gone:
        kept = np.setdiff1d(np.arange(len(x)), gone)
        row, column = np.triu_indices(len(kept), 1)
        a, b = x[np.ix_(kept, kept)][row, column], y[np.ix_(kept, kept)][row, column]
        known = len(a) >= 3 and np.ptp(a) > 0 and np.ptp(b) > 0
        values.append(_unit_ranks(a) @ _unit_ranks(b) if known else np.nan)
    return fisher_interval(rho, left_out.error(fisher_z(np.array(values))))


def compare_subsets(
    x: pd.DataFrame, y: pd.DataFrame, n_permutations: int, seed: int
) -> list[dict[str, float | str]]:
    """Correlate two similarity matrices over all tissues, and over those outside the brain.

    The many regions of the brain resemble each other in everything; whether a correlation holds
    without them is a question of its own.

    Parameters
    ----------
    x, y
        Similarities with equal rows and columns. A tissue that is NaN against every other one in
        either of them is left out.
    n_permutations, seed
        As in `compare_similarities`.

    Returns
    -------
    list of dict
        One row a subset: ``subset``, ``n_tissues``, ``n_left_out`` (without similarity), then what
        `compare_similarities` returns. Without two regions of the brain there is one row.
    """
    values = np.stack([x.to_numpy(float), y.to_numpy(float)])
    diagonal = np.eye(len(x), dtype=bool)
    usable = ~(np.isnan(values) | diagonal).all(2).any(0)
    brain = np.array([name.split(ORGAN_SEPARATOR)[0] == BRAIN for name in x.index])
    subsets = {ALL_TISSUES: np.ones(len(x), dtype=bool)}
    if brain.sum() > 1 and (~brain).sum() >= MIN_TISSUES:
        subsets[OUTSIDE_BRAIN] = ~brain
    rows = []
    for name, chosen in subsets.items():
        kept = np.flatnonzero(chosen & usable)
        of_x, of_y = (matrix[np.ix_(kept, kept)] for matrix in values)
        unknown = np.isnan(of_x + of_y)[np.triu_indices(len(kept), 1)]
        if unknown.any():
            raise InputError(
                "similarity of tissues",
                f"{unknown.sum()} pairs without a value",
                "a value for every pair of tissues that have any",
            )
        rows.append(
            {"subset": name, "n_tissues": len(kept), "n_left_out": int((chosen & ~usable).sum())}
            | compare_similarities(of_x, of_y, n_permutations, seed)
        )
    return rows


def tissue_similarity(
    cohort: Cohort, gene_wise: Mapping[str, pd.DataFrame], n_permutations: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Set the similarity of tissues in expression against that in predictability.

    Parameters
    ----------
    cohort
        Every sample; similarity in expression is Pearson's rho over genes of log2(1 + mean TPM).
    gene_wise
        Gene-wise accuracy by model (docs/contracts.md). Similarity in predictability is Pearson's
        rho over genes of the genes' own rho, or the Jaccard index of predictable genes.
    n_permutations, seed
        Of Mantel's test.

    Returns
    -------
    pd.DataFrame
        One row a pair of tissues: ``model``, ``measure`` ("pearson", "jaccard"), ``scale``,
        ``of`` (column of the gene-wise table), ``tissue_a``, ``tissue_b``, ``relation`` (one of
        `RELATIONS`), ``expression_similarity``, ``predictability_similarity`` (empty for a tissue
        whose rho are all equal, or without predictable gene).
    pd.DataFrame
        One row a model, measure and ``subset`` of tissues; see `compare_subsets`.

    Raises
    ------
    InputError
        Genes or tissues are not the cohort's.
    CannotDo
        There are fewer than three target tissues.
    """
    expression = pearson_similarity(mean_log2_expression(cohort))
    similarities = {"pearson": pearson_similarity, "jaccard": jaccard_similarity}
    pairs, summary = [], []
    for model, table in gene_wise.items():
        tissues = _check_gene_wise(model, table, cohort)
        x = expression.loc[tissues, tissues]
        # A cohort on a scale of its own has no other.
        scales = set(table["scale"])
        for measure, scale, of in (one for one in MEASURES if one[1] in scales):
            wide = table[table["scale"] == scale].pivot(
                index="tissue", columns="gene_id", values=of
            )
            y = similarities[measure](wide.loc[tissues, cohort.genes.index])
            key = {"model": model, "measure": measure, "scale": scale, "of": of}
            of_pairs = {"expression_similarity": x, "predictability_similarity": y}
            pairs.append(pair_table(tissues, key, of_pairs))
            summary += [key | line for line in compare_subsets(x, y, n_permutations, seed)]
        log.info("%s: similarities of %d tissues compared", model, len(tissues))
    return pd.concat(pairs, ignore_index=True), pd.DataFrame(summary)


def _check_gene_wise(model: str, table: pd.DataFrame, cohort: Cohort) -> list[str]:
    """Return the tissues of a gene-wise table, which must have the cohort's genes in each."""
    where = f"gene-wise accuracy of {model}"
    tissues = sorted(table["tissue"].unique())
    unknown = [name for name in tissues if name not in cohort.tissues]
    if unknown:
        raise InputError(
            where, f"tissue {unknown[0]}", "tissues of the cohort", "Score the model again."
        )
    if len(tissues) < MIN_TISSUES:
        raise CannotDo(
            "similarity of tissues",
            f"{len(tissues)} target tissues, fewer than {MIN_TISSUES}",
            "give the cohort more tissues",
        )
    wanted = set(cohort.genes.index)
    for (scale, tissue), genes in table.groupby(["scale", "tissue"])["gene_id"]:
        if len(genes) != len(wanted) or set(genes) != wanted:
            other = sorted(set(genes) ^ wanted) or [genes[genes.duplicated()].iloc[0]]
            raise InputError(
                where,
                f"{len(genes)} genes of {tissue} on {scale}, the first that differs {other[0]}",
                f"each of the cohort's {len(wanted)} genes once",
                "Score the model again.",
            )
    return tissues
