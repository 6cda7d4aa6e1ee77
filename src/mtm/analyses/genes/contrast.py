"""What sets well predicted genes apart: top against bottom genes in any characteristic.

He et al. 2023 take the top and the bottom quarter of genes by predictability in each tissue and
compare a characteristic of the two groups by the Wilcoxon rank-sum test (Figs S10 and S11;
methods 3, R13-R15). "Percentiles of predictable genes" can be read in two ways, so both stand
side by side: quartiles over all genes, and quartiles within the predictable genes.

The rank-sum test takes genes for independent draws. They share donors: the chance in a few donors
moves thousands of co-expressed genes up or down the ranking together, and with whole modules of
genes comes their expression or conservation, so that P is tiny for nothing (methods 6.8). So the
effect (Cliff's delta) also has a standard error from resampling donors within fold. Genes and
donors are two crossed samples. Their variances are added, which counts the chance of single genes
in single donors twice and makes intervals too wide rather than too narrow (Owen 2007, Ann. Appl.
Stat. 1:386, on resampling crossed factors). Simulated without any relation, 60 donors and modules
of 25 genes that share the characteristic: P < 0.05 in 43% of runs by rank-sum test, in 4% by this
one. What it does not cover: modules that are truly predictable and differ for another reason.

A bootstrap sample repeats the chance of the data and adds its own, which spreads the correlations
of the genes more widely and shrinks the effect and its variation; `donor_draws` undoes that.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mtm.analyses.genes.matching import is_second_copy
from mtm.errors import CannotDo, InputError
from mtm.statistics.over_tissues import averaged, known_mean, over_tissues
from mtm.statistics.testing import rank_sum_p, t_interval, t_limits
from mtm.vocabulary import HEADLINE, MEAN_OF_TISSUES, MIN_GROUP, READINGS, Reading

log = logging.getLogger(__name__)

QUANTILE = 0.25
GENE_SETS = ("all_genes", "predictable_genes")
ROW = ["characteristic", "model", "scale", "reading"]
GROUPED = [*ROW, "tissue", "n_samples", "n_genes"]
INTERVAL = ("se_donors", "ci_low", "ci_high", "p")
GENE_COLUMNS = ["gene_id", "value"]


@dataclass(frozen=True)
class RhoDraws:
    """Predictability of the genes of one tissue in bootstrap samples of its donors.

    Parameters
    ----------
    tissue
        The tissue.
    gene_ids
        Genes, shape ``(n_genes,)``.
    rho
        Correlations on the headline scale, shape ``(n_bootstraps, n_genes)``; NaN where not known.
    n_donors, n_folds
        Held-out donors of the tissue, and folds that count.
    """

    tissue: str
    gene_ids: pd.Index
    rho: np.ndarray
    n_donors: int
    n_folds: int

    def of_genes(self, gene_ids: pd.Series) -> "RhoDraws":
        """Return the draws of some genes, in their order."""
        rho = self.rho[:, self.gene_ids.get_indexer(gene_ids)]
        return replace(self, gene_ids=pd.Index(gene_ids), rho=rho)


@dataclass(frozen=True)
class _Groups:
    """Top and bottom genes, each ``(n_draws, n_genes)``; no gene where all rho are the same."""

    top: np.ndarray
    bottom: np.ndarray

    @classmethod
    def of(cls, rho: np.ndarray, quantile: float) -> "_Groups":
        """Split at the quantiles of each row of `rho`; ties at a quantile all belong."""
        ends = [quantile, 1 - quantile]
        if np.isnan(rho).any():
            low, high = np.nanquantile(rho, ends, axis=1)
        else:
            # Sorting takes a fraction of the time of selecting.
            low, high = np.quantile(np.sort(rho, axis=1), ends, axis=1, overwrite_input=True)
        apart = (low < high)[:, None]
        return cls((rho >= high[:, None]) & apart, (rho <= low[:, None]) & apart)

    def of_genes(self, n_genes: int) -> "_Groups":
        """Keep the first genes alone."""
        return _Groups(self.top[:, :n_genes], self.bottom[:, :n_genes])


def _auc(groups: _Groups, value: np.ndarray) -> np.ndarray:
    """P(a top gene's value exceeds a bottom gene's) + P(equal) / 2 of each row of `groups`.

    Genes are in the order of their values.
    """
    top, bottom = groups.top, groups.bottom
    starts = np.flatnonzero(np.diff(value, prepend=np.nan) != 0)
    if len(starts) < len(value):
        top, bottom = (np.add.reduceat(side, starts, 1, np.int32) for side in (top, bottom))
    up_to = np.cumsum(bottom, axis=1, dtype=np.int32)
    # Of a gene without its like, the half of its own group is nothing.
    wins = (top * up_to).sum(1, dtype=np.int64) - (top * bottom).sum(1, dtype=np.int64) / 2
    pairs = top.sum(1, dtype=np.int64) * bottom.sum(1, dtype=np.int64)
    return np.divide(wins, pairs, out=np.full(len(wins), np.nan), where=pairs > 0)


def _by_value(rho: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, int]:
    """Positions of the genes with a rho, in the order of their values; how many have a value.

    These come first.
    """
    known = np.flatnonzero(np.isfinite(rho))
    value = np.where(np.isfinite(value), value, np.nan)[known]
    return known[np.argsort(value, kind="stable")], int(np.isfinite(value).sum())


def contrast(rho: np.ndarray, value: np.ndarray, quantile: float = QUANTILE) -> dict[str, float]:
    """Contrast the top and the bottom genes of one tissue.

    Quartiles are of all genes with a known rho; genes of the two groups without a value then drop
    out and are counted. Genes that tie at a quartile all belong to the group.

    Parameters
    ----------
    rho
        Predictability of each gene, shape ``(n_genes,)``; NaN where not known.
    value
        The characteristic, same shape; NaN where not known.
    quantile
        Share of genes in a group.

    Returns
    -------
    dict
        ``n_genes`` (with a rho), ``n_top``, ``n_bottom`` (with a value), ``n_without_value`` (in
        either group), ``mean_top``, ``mean_bottom``, ``median_top``, ``median_bottom``, ``auc``,
        ``cliffs_delta`` (2 auc - 1: positive where top genes are higher), ``p_as_paper``
        (two-sided), ``se_genes`` (of delta, from `gene_error`); NaN, with groups
        of 0, where all genes have the same rho.
    """
    genes, n_valued = _by_value(rho, value)
    rho, value = rho[genes], value[genes]
    result = {"n_genes": len(genes)}
    empty = np.zeros((1, len(rho)), bool)
    groups = _Groups.of(rho[None], quantile) if len(rho) else _Groups(empty, empty)
    kept = groups.of_genes(n_valued)
    top, bottom = value[:n_valued][kept.top[0]], value[:n_valued][kept.bottom[0]]
    result |= {"n_top": len(top), "n_bottom": len(bottom)}
    member = groups.top[0] | groups.bottom[0]
    result["n_without_value"] = int(member[n_valued:].sum())
    for function in (np.mean, np.median):
        for name, group in (("top", top), ("bottom", bottom)):
            key = f"{function.__name__}_{name}"
            result[key] = float(function(group)) if len(group) else np.nan
    auc = float(_auc(kept, value[:n_valued])[0])
    return result | {
        "auc": auc,
        "cliffs_delta": 2 * auc - 1,
        "p_as_paper": rank_sum_p(top, bottom),
        "se_genes": gene_error(top, bottom),
    }


def donor_draws(
    rho: np.ndarray, drawn: np.ndarray, value: np.ndarray, quantile: float = QUANTILE
) -> np.ndarray:
    """Cliff's delta of `contrast` in bootstrap samples, with the spread of a single sample.

    A drawn rho holds the chance of the data and the chance of the draw, so the genes are spread
    more widely than in the data, and delta, which knows ranks alone, varies less than over
    samples of donors; multiplying by the ratio of the two spreads undoes that.

    Parameters
    ----------
    rho, value, quantile
        As for `contrast`; genes without rho are left out of the draws too.
    drawn
        Rho in each bootstrap sample of donors, shape ``(n_bootstraps, n_genes)``.

    Returns
    -------
    np.ndarray
        Shape ``(n_bootstraps,)``, around the mean of the draws; NaN where a draw has no contrast.
    """
    genes, n_valued = _by_value(rho, value)
    rho, drawn, value = rho[genes], np.take(drawn, genes, axis=1), value[genes]
    usable = np.isfinite(drawn).any(1)
    deltas = np.full(len(drawn), np.nan)
    if not usable.any() or np.ptp(rho) == 0:
        return deltas
    drawn = drawn if usable.all() else drawn[usable]
    kept = _Groups.of(drawn, quantile).of_genes(n_valued)
    deltas[usable] = 2 * _auc(kept, value[:n_valued]) - 1
    spread = np.sqrt(np.mean(_variance(drawn)))
    ratio = max(1.0, float(spread / rho.std()))
    mean = known_mean(deltas)
    return mean + ratio * (deltas - mean)


def _variance(rho: np.ndarray) -> np.ndarray:
    """Variance of each row, NaN aside."""
    mean = rho.mean(1, dtype=np.float64)
    if np.isnan(mean).any():
        return np.nanvar(rho, axis=1, dtype=np.float64)
    return np.einsum("dg,dg->d", rho, rho, dtype=np.float64) / rho.shape[1] - mean**2


def gene_error(top: np.ndarray, bottom: np.ndarray) -> float:
    """Give Cliff's delta its standard error where all genes are independent draws of one kind.

    Under the null of the rank-sum test, corrected for ties.

    Parameters
    ----------
    top, bottom
        Values of the two groups, without NaN.
    """
    n = len(top) + len(bottom)
    if not len(top) or not len(bottom) or n < 3:
        return np.nan
    _, ties = np.unique(np.concatenate([top, bottom]), return_counts=True)
    tied = (ties.astype(float) ** 3 - ties).sum() / (n * (n - 1))
    return float(2 * np.sqrt((n + 1 - tied) / (12.0 * len(top) * len(bottom))))


def interval(
    estimate: float, se_genes: float, draws: np.ndarray, n_donors: int, n_folds: int
) -> dict[str, float]:
    """Test Cliff's delta against 0 over genes and donors.

    Parameters
    ----------
    estimate
        Cliff's delta.
    se_genes
        From `gene_error`.
    draws
        From `donor_draws`.
    n_donors, n_folds
        Held-out donors, and folds that count.

    Returns
    -------
    dict
        ``se_donors``; ``ci_low``, ``ci_high`` (95%, within -1 and 1) and ``p`` (two-sided) from
        Student's t with both variances; NaN without draws.
    """
    se_donors = t_interval(estimate, draws, n_donors, n_folds)["se"]
    se = np.hypot(se_donors, se_genes)
    if not np.isfinite(se) or se == 0:
        return dict.fromkeys(INTERVAL, np.nan) | {"se_donors": se_donors}
    tested = {"se_donors": se_donors} | t_limits(estimate, se, n_donors - n_folds)
    return tested | {
        "ci_low": max(-1.0, tested["ci_low"]),
        "ci_high": min(1.0, tested["ci_high"]),
    }


def contrast_genes(
    model: str,
    gene_wise: pd.DataFrame,
    characteristics: Mapping[str, pd.DataFrame],
    draws: Iterable[RhoDraws] = (),
    quantile: float = QUANTILE,
) -> pd.DataFrame:
    """Contrast the most and the least predictable genes of every tissue.

    Parameters
    ----------
    model
        Name written into the table.
    gene_wise
        ``accuracy/gene_wise/{model}.parquet`` (docs/contracts.md).
    characteristics
        By name: ``gene_id``, ``value`` and, where it differs between tissues, ``tissue``.
    draws
        From `mtm.analyses.genes.rho_draws.resampled_rho`, in any order; a tissue without has no
        interval over donors.
    quantile
        Share of genes in a group, above 0 and at most 0.5.

    Returns
    -------
    pd.DataFrame
        One row of `ROW` (``reading`` is of `GENE_SETS`) and a tissue: ``n_samples``, the fields
        of `contrast`, ``q_as_paper`` (Benjamini-Hochberg over tissues), and, on the headline's
        scale where both groups have `MIN_GROUP` genes, the fields of `interval` and ``q``. Tissue
        "(mean of tissues)" is the mean over tissues with groups that large, with interval and P.

    Raises
    ------
    InputError
        The quantile is out of range, or no scored gene has a value of a characteristic.
    """
    if not 0 < quantile <= 0.5:
        raise InputError("gene_characteristics.quantile", str(quantile), "above 0, at most 0.5")
    gene_wise = gene_wise[~_second_copies(gene_wise["gene_id"])]
    lookup = {name: _Lookup.of(name, table) for name, table in characteristics.items()}
    for name, values in lookup.items():
        values.demand_overlap(name, gene_wise)
    parts = {
        (reading, tissue): part
        for reading in READINGS
        for tissue, part in gene_wise[gene_wise["scale"] == reading.scale].groupby("tissue")
    }
    table = _contrasts(model, parts, lookup, quantile)
    n_donors, n_folds, resampled = 0, 0, {}
    for drawn in draws:
        part = parts.get((HEADLINE, drawn.tissue))
        if part is None or not drawn.n_folds:
            continue
        mine = drawn.of_genes(part["gene_id"])
        for case in _cases(model, HEADLINE, drawn.tissue, part, lookup):
            _add_interval(table, case, mine, quantile, resampled.setdefault(case.key, {}))
        n_donors, n_folds = max(n_donors, drawn.n_donors), max(n_folds, drawn.n_folds)
        log.info("%s: %s contrasted", model, drawn.tissue)
    return _with_means(table.reset_index(), resampled, n_donors, n_folds)


def _contrasts(
    model: str,
    parts: Mapping[tuple[Reading, str], pd.DataFrame],
    lookup: Mapping[str, "_Lookup"],
    quantile: float,
) -> pd.DataFrame:
    """Contrast all tissues and characteristics, indexed by `ROW` and tissue, intervals empty."""
    rows = [
        case.row | contrast(case.rho, case.value, quantile)
        for of_tissue, part in parts.items()
        for case in _cases(model, *of_tissue, part, lookup)
    ]
    table = pd.DataFrame(rows).set_index([*ROW, "tissue"])
    return table.assign(**dict.fromkeys(INTERVAL, np.nan))


def _add_interval(
    table: pd.DataFrame,
    case: "_Case",
    draws: RhoDraws,
    quantile: float,
    deltas_of: dict[str, np.ndarray],
) -> None:
    """Write the interval over donors into a row of `table`, its draws into `deltas_of`."""
    where = (*case.key, case.tissue)
    names = ["cliffs_delta", "se_genes", "n_top", "n_bottom"]
    estimate, se_genes, *sizes = table.loc[where, names]
    if min(sizes) < MIN_GROUP:
        return
    deltas_of[case.tissue] = donor_draws(case.rho, draws.rho, case.value, quantile)
    sizes = draws.n_donors, draws.n_folds
    tested = interval(estimate, se_genes, deltas_of[case.tissue], *sizes)
    table.loc[where, list(tested)] = list(tested.values())


def _second_copies(gene_ids: pd.Series) -> np.ndarray:
    """Whether each row is of a second copy of a gene."""
    genes = pd.unique(gene_ids)
    return gene_ids.isin(genes[is_second_copy(genes)]).to_numpy()


@dataclass(frozen=True)
class _Lookup:
    """Values of a characteristic by gene, or by tissue and gene."""

    values: pd.Series
    by_tissue: bool

    @classmethod
    def of(cls, name: str, table: pd.DataFrame) -> "_Lookup":
        """Index a table of a characteristic."""
        missing = [column for column in GENE_COLUMNS if column not in table]
        if missing:
            raise InputError(
                f"table of {name}", f"columns {list(table)}", f"a column named {missing[0]}"
            )
        by_tissue = "tissue" in table
        index = ["tissue", "gene_id"] if by_tissue else ["gene_id"]
        values = table.set_index(index)["value"].astype(float)
        if values.index.has_duplicates:
            twice = values.index[values.index.duplicated()][0]
            raise InputError(f"table of {name}", f"{twice} twice", "every gene once")
        return cls(values, by_tissue)

    def demand_overlap(self, name: str, gene_wise: pd.DataFrame) -> None:
        """Raise unless some gene of the accuracy table has a value."""
        known = self.values[self.values.notna()].index.get_level_values("gene_id")
        if not gene_wise["gene_id"].isin(known).any():
            raise InputError(
                f"table of {name}",
                f"no value for any of the {gene_wise['gene_id'].nunique()} scored genes",
                "values of the cohort's genes",
            )

    def of_genes(self, tissue: str, gene_ids: pd.Series) -> np.ndarray:
        """Values of genes in a tissue; NaN where not known."""
        values = self.values
        if self.by_tissue:
            if tissue not in values.index.get_level_values("tissue"):
                return np.full(len(gene_ids), np.nan)
            values = values.xs(tissue, level="tissue")
        return values.reindex(gene_ids).to_numpy(float)


@dataclass(frozen=True)
class _Case:
    """A characteristic of one tissue's genes; rho is NaN outside the set of genes.

    `key` is of `ROW`; `rho` and `value` have shape ``(n_genes,)``.
    """

    key: tuple[str, str, str, str]
    tissue: str
    n_samples: int
    rho: np.ndarray
    value: np.ndarray

    @property
    def row(self) -> dict[str, object]:
        """What names the row of the table."""
        key = dict(zip(ROW, self.key, strict=True))
        return key | {"tissue": self.tissue, "n_samples": self.n_samples}


def _cases(
    model: str,
    reading: Reading,
    tissue: str,
    part: pd.DataFrame,
    lookup: Mapping[str, _Lookup],
) -> Iterator[_Case]:
    """Yield every characteristic and set of genes of a tissue, `part` of the gene-wise table."""
    rho = part[reading.rho].to_numpy(float)
    predictable = np.where(part[reading.definition], rho, np.nan)
    for name, values in lookup.items():
        value = values.of_genes(tissue, part["gene_id"])
        for gene_set, of_set in zip(GENE_SETS, (rho, predictable), strict=True):
            key = (name, model, reading.scale, gene_set)
            yield _Case(key, tissue, int(part["n"].iloc[0]), of_set, value)


def _with_means(
    table: pd.DataFrame,
    resampled: Mapping[tuple, Mapping[str, np.ndarray]],
    n_donors: int,
    n_folds: int,
) -> pd.DataFrame:
    """Add q-values over tissues and the rows of the mean over tissues.

    The tissues have the same genes, so what the choice of genes adds does not average out.
    """
    columns = ["mean_top", "mean_bottom", "median_top", "median_bottom", "auc", "cliffs_delta"]
    sizes = ["n_top", "n_bottom", "n_without_value"]

    def mean_of_tissues(key: tuple, part: pd.DataFrame) -> dict[str, float]:
        known = part[part[["n_top", "n_bottom"]].min(axis=1) >= MIN_GROUP]
        mean = averaged(known, [*columns, "se_genes"], counts=["n_genes", *sizes])
        drawn = {name: of for name, of in resampled.get(key, {}).items() if np.isfinite(of).any()}
        if len(known) and set(known["tissue"]) <= set(drawn):
            # About each tissue's mean, as a draw of few donors has not every tissue.
            about = [drawn[name] - known_mean(drawn[name]) for name in known["tissue"]]
            together = known_mean(np.stack(about))
            mean |= interval(mean["cliffs_delta"], mean["se_genes"], together, n_donors, n_folds)
        return mean | {"n_samples": part["n_samples"].sum()}

    tested = {"q_as_paper": "p_as_paper", "q": "p"}
    joined = over_tissues(table, ROW, MEAN_OF_TISSUES, mean_of_tissues, tested)
    tests = ["p_as_paper", "q_as_paper", "se_genes", *INTERVAL, "q"]
    return joined[[*GROUPED, *sizes, *columns, *tests]]


def join_contrasts(tables: Sequence[pd.DataFrame], characteristic: str) -> pd.DataFrame:
    """Join the contrasts of all models in one characteristic, without that column.

    Raises
    ------
    CannotDo
        No tissue of any model has `MIN_GROUP` genes in both groups.
    """
    joined = pd.concat(tables, ignore_index=True)
    rows = joined[joined["characteristic"] == characteristic]
    largest = rows[["n_top", "n_bottom"]].min(axis=1).max()
    if not largest >= MIN_GROUP:
        reason = f"groups of {largest:.0f} genes at most, fewer than {MIN_GROUP}"
        remedy = "give the cohort more genes, or raise gene_characteristics.quantile"
        if not largest > 0:
            reason = "no tissue has genes with a value that a model tells better than others"
            remedy = "give folds more held-out donors, or the cohort more genes with a value"
        raise CannotDo(f"{characteristic.replace('_', ' ')} of predictable genes", reason, remedy)
    return rows.drop(columns="characteristic").reset_index(drop=True)
