"""Model against model: accuracy, predictable genes, and how both depend on the tissue (methods 3).

Two tests stand side by side. The paper's is an unpaired Wilcoxon rank-sum test over samples or
genes, without correction for the number of tissues; genes and samples of one donor are far from
independent, so it calls trivial gaps significant (methods 6.8). The sound one resamples donors
within fold, the same draws for both models and for all tissues, and divides the difference of
the means by its bootstrap standard error; its q-values are Benjamini and Hochberg's over the
tissues of a comparison. It describes new donors for the models as they were fitted, not the
chance in fitting them.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd
import torch
from scipy import stats

from mtm.device import choose_device
from mtm.errors import InputError
from mtm.evaluation.accuracy import (
    CPU_RESAMPLING_BLOCK,
    AccuracySettings,
    TissueDraws,
    bootstrap_means,
    line_up,
    point_estimates,
)
from mtm.evaluation.held_out import HeldOut
from mtm.evaluation.predictable_genes import benjamini_hochberg
from mtm.evaluation.resampling import donor_weights
from mtm.evaluation.tables import known_mean
from mtm.scaling import SCALES
from mtm.vocabulary import (
    ACCURACY_KEY,
    AND,
    DEFINITIONS,
    GENE_CONVENTIONS,
    MEAN_OF_TISSUES,
    PAIR,
    SAMPLE_CONVENTION,
    TABLE_MEASURES,
    VENN_SETS,
)

log = logging.getLogger(__name__)

# The roles of the paper: the model itself, B-GEx, TEEBoT, and one network a tissue.
PAPER_PAIRS = (("MTM", "S1"), ("MTM", "S2"), ("MTM", "S3"), ("S3", "S2"))
VENN_ROLES = ("S2", "S3", "MTM")
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Scored:
    """One model: its accuracy tables (docs/contracts.md) and the predictions they describe."""

    gene_wise: pd.DataFrame
    sample_wise: pd.DataFrame
    held_out: HeldOut


def comparison_pairs(
    models: Sequence[str], roles: Mapping[str, str], further: Iterable[Sequence[str]] = ()
) -> list[tuple[str, str]]:
    """List the pairs of models to compare: the paper's, as far as the run has them, then others.

    Without any, the first model is compared with each of the others.

    Parameters
    ----------
    models
        Models of the run.
    roles
        Which model plays each role of the paper: "MTM", "S1", "S2", "S3".
    further
        Pairs of model names, the one expected to be better first.

    Raises
    ------
    InputError
        A pair of `further` names a model that is not in the run, or names one model twice; there
        is one model alone.
    """
    paper = [(roles.get(a), roles.get(b)) for a, b in PAPER_PAIRS]
    pairs = [pair for pair in paper if set(pair) <= set(models)]
    for pair in map(tuple, further):
        if len(set(pair)) != 2 or len(pair) != 2 or not set(pair) <= set(models):
            raise InputError(
                "pairs of models", repr(list(pair)), f"two different ones of {', '.join(models)}"
            )
        pairs.append(pair)
    pairs = list(dict.fromkeys(pairs)) or [(models[0], other) for other in models[1:]]
    if not pairs:
        raise InputError("models", ", ".join(models), "two or more models to compare")
    return pairs


def t_interval(
    estimate: float, draws: np.ndarray, n_units: int, n_fitted: int
) -> dict[str, float]:
    """Test an estimate against 0 by its bootstrap standard error and Student's t.

    Resampling n units leaves out the degrees of freedom that fold means and covariates took;
    ``sqrt(n_units / (n_units - n_fitted))`` puts them back.

    Parameters
    ----------
    estimate
        The estimate from the data.
    draws
        The estimate in each bootstrap sample, shape ``(n_bootstraps,)``; NaN is left out.
    n_units, n_fitted
        Donors, and how many numbers were fitted to them (folds, covariates).

    Returns
    -------
    dict
        ``se``, ``ci_low``, ``ci_high`` (95%), ``p`` (two-sided); NaN without degrees of freedom.
    """
    known, degrees = draws[np.isfinite(draws)], n_units - n_fitted
    if not np.isfinite(estimate) or len(known) < 2 or degrees < 1:
        return dict.fromkeys(("se", "ci_low", "ci_high", "p"), np.nan)
    se = float(known.std(ddof=1) * np.sqrt(n_units / degrees))
    half = se * stats.t.ppf((1 + CONFIDENCE) / 2, degrees)
    if se > 0:
        p = 2 * stats.t.sf(abs(estimate) / se, degrees)
    else:
        p = float(estimate == 0)
    return {"se": se, "ci_low": estimate - half, "ci_high": estimate + half, "p": float(p)}


def rank_sum_p(a: np.ndarray, b: np.ndarray) -> float:
    """Two-sided P of the unpaired Wilcoxon rank-sum test, corrected for ties; NaN left out."""
    a, b = a[np.isfinite(a)], b[np.isfinite(b)]
    if not len(a) or not len(b):
        return np.nan
    if (np.concatenate([a, b]) == a[0]).all():
        return 1.0
    return float(stats.mannwhitneyu(a, b, method="asymptotic").pvalue)


def compare_accuracy(
    scored: Mapping[str, Scored],
    pairs: Sequence[tuple[str, str]],
    settings: AccuracySettings | None = None,
    device: str = "auto",
    block_genes: int = 2048,
) -> pd.DataFrame:
    """Compare pairs of models in every tissue, on the samples that both predict.

    Means and the rank-sum test are of all genes; the bootstrap standard error of gene-wise
    differences is of the same random genes as the intervals of the accuracy tables
    (`AccuracySettings.bootstrap_genes`). Where the models predict different samples of a tissue,
    correlations are taken afresh on the common ones.

    Parameters
    ----------
    scored
        The models by name.
    pairs
        Names of model A and model B.
    settings, device, block_genes
        As in `mtm.evaluation.accuracy.score_predictions`, with the values of that call.

    Returns
    -------
    pd.DataFrame
        One row a pair, ``scale``, ``level``, ``convention`` and tissue: ``n_samples`` compared,
        ``n_only_a`` and ``n_only_b`` predicted by one model alone, ``n_values`` (genes or
        samples with a correlation), ``mean_a``, ``mean_b``, ``difference`` (A - B),
        ``p_rank_sum`` (the paper's test), ``se``, ``ci_low``, ``ci_high``, ``p`` and ``q`` (the
        donor-paired test). Tissue "(mean of tissues)" is the mean of their differences, without
        rank-sum test and q.

    Raises
    ------
    InputError
        Models predict different genes, or an accuracy table is not of the predictions.
    """
    settings = AccuracySettings() if settings is None else settings
    used = list(dict.fromkeys(name for pair in pairs for name in pair))
    models = {name: _Model(name, scored[name], settings, device, block_genes) for name in used}
    _check_genes(scored, used)
    weights = fold_weights([scored[name].held_out for name in used], settings)
    tissues = sorted({name for model in models.values() for name in model.samples})
    rows, resampled = [], {}
    for tissue in tissues:
        sides: dict[tuple, dict] = {}
        for pair in pairs:
            of_a, of_b = (models[name].samples_of(tissue) for name in pair)
            common = of_a["sample_id"][of_a["sample_id"].isin(of_b["sample_id"])]
            only = {"n_only_a": len(of_a) - len(common), "n_only_b": len(of_b) - len(common)}
            for name in pair:
                if (name, *common) not in sides:
                    sides[name, *common] = models[name].correlations(tissue, common, weights)
            a, b = (sides[name, *common] for name in pair)
            n_folds = of_a["fold"][common.index].nunique()
            for measure in a:
                row = dict(zip((*PAIR, *ACCURACY_KEY), (*pair, *measure), strict=True))
                row |= {"tissue": tissue, "n_samples": len(common)} | only
                difference, draws = _compare(a[measure], b[measure], len(common), n_folds)
                rows.append(row | difference)
                resampled.setdefault((*pair, *measure), []).append(draws)
        log.info("%s compared", tissue)
    return _finish(pd.DataFrame(rows), resampled, weights)


@dataclass(frozen=True)
class _Correlations:
    """Correlations of genes or samples, and their mean in each bootstrap sample of donors."""

    rho: np.ndarray
    resampled: np.ndarray


class _Model:
    """A model's correlations in any tissue, on any of its samples."""

    def __init__(
        self,
        name: str,
        scored: Scored,
        settings: AccuracySettings,
        device: str,
        block_genes: int,
    ):
        self._name, self._held_out, self._settings = name, scored.held_out, settings
        self._device, self._block = torch.device(choose_device(device)), block_genes
        self.samples = dict(iter(scored.held_out.rows.groupby("tissue", sort=True)))
        self._gene_wise = dict(iter(scored.gene_wise.groupby(["scale", "tissue"])))
        self._sample_wise = dict(iter(scored.sample_wise.groupby(["scale", "tissue"])))
        order = np.random.default_rng([settings.seed]).permutation(len(scored.held_out.gene_ids))
        self._bootstrap_sample = np.sort(order[: settings.bootstrap_genes])

    def samples_of(self, tissue: str) -> pd.DataFrame:
        """Rows of `HeldOut.rows` of a tissue; none where the model does not predict it."""
        return self.samples.get(tissue, self._held_out.rows.iloc[:0])

    def correlations(
        self, tissue: str, sample_ids: pd.Series, weights: Mapping[int, pd.DataFrame]
    ) -> dict[tuple[str, str, str], _Correlations]:
        """Correlations of some samples of a tissue, by scale, level and convention."""
        rows = self.samples_of(tissue)
        kept, result = rows[rows["sample_id"].isin(sample_ids)], {}
        genes = self._gene_correlations(tissue, kept, weights)
        for scale in SCALES:
            for convention in GENE_CONVENTIONS:
                result[scale, "gene_wise", convention] = genes[scale, convention]
            measure = (scale, "sample_wise", SAMPLE_CONVENTION)
            result[measure] = self._sample_correlations(scale, tissue, kept, weights)
        return result

    def _table(self, tables: Mapping[tuple, pd.DataFrame], scale: str, tissue: str, key: str):
        """Return a tissue's part of an accuracy table, which must be there."""
        if (scale, tissue) not in tables:
            raise InputError(
                f"accuracy of {self._name}",
                f"no row of {tissue} on {scale}",
                "the tables of its predictions",
                "Score the model again.",
            )
        return tables[scale, tissue].set_index(key)

    def _sample_correlations(
        self, scale: str, tissue: str, kept: pd.DataFrame, weights: Mapping[int, pd.DataFrame]
    ) -> _Correlations:
        """Correlate every sample; each counts as often as its donor is drawn."""
        if kept.empty:
            return _Correlations(np.empty(0), np.empty(0))
        table = self._table(self._sample_wise, scale, tissue, "sample_id")
        rho = table["rho"].reindex(kept["sample_id"]).to_numpy()
        missing = ~kept["sample_id"].isin(table.index)
        if missing.any():
            raise InputError(
                f"sample-wise accuracy of {self._name}",
                f"no row of {kept['sample_id'][missing].iloc[0]}",
                "every predicted sample",
                "Score the model again.",
            )
        known = np.isfinite(rho)
        draws = np.concatenate(_weights_of(kept, weights), axis=1).astype(np.float64)
        drawn = draws @ known
        resampled = np.divide(
            draws @ np.nan_to_num(rho), drawn, out=np.full(len(draws), np.nan), where=drawn > 0
        )
        return _Correlations(rho, resampled)

    def _gene_correlations(
        self, tissue: str, kept: pd.DataFrame, weights: Mapping[int, pd.DataFrame]
    ) -> dict[tuple[str, str], _Correlations]:
        """Correlate every gene, by scale and convention."""
        keys = [(scale, convention) for scale in SCALES for convention in GENE_CONVENTIONS]
        if kept.empty:
            return dict.fromkeys(keys, _Correlations(np.empty(0), np.empty(0)))
        _, rows, predicted, tissue_tpm = next(replace(self._held_out, rows=kept).tissue_matrices())

        def lined_up(columns: slice | np.ndarray):
            return line_up(
                self._held_out,
                rows,
                predicted[:, columns],
                tissue_tpm[:, columns],
                self._device,
                self._block,
            )

        sampled = lined_up(self._bootstrap_sample)
        draws = TissueDraws(
            left=[],
            right=[],
            weights=[torch.from_numpy(w).to(self._device) for w in _weights_of(kept, weights)],
            n_permutations=0,
            block=self._block if self._device.type == "cuda" else CPU_RESAMPLING_BLOCK,
        )
        complete = len(kept) == len(self.samples_of(tissue))
        whole = None if complete else lined_up(slice(None))
        result = {}
        for scale in SCALES:
            points = point_estimates(sampled, scale, self._settings, self._block)
            everything = np.arange(sampled.n_genes)
            resampled = bootstrap_means(sampled, scale, points, draws, everything)
            if complete:
                rho = self._tabulated(scale, tissue, len(kept))
            else:
                points = point_estimates(whole, scale, self._settings, self._block)
                rho = {key: values.cpu().numpy() for key, values in points.rho.items()}
            for convention in GENE_CONVENTIONS:
                result[scale, convention] = _Correlations(rho[convention], resampled[convention])
        return result

    def _tabulated(self, scale: str, tissue: str, n_samples: int) -> dict[str, np.ndarray]:
        """Gene-wise correlations of a tissue from the accuracy table."""
        table = self._table(self._gene_wise, scale, tissue, "gene_id")
        if not table.index.equals(pd.Index(self._held_out.gene_ids)) or (
            table["n"].iloc[0] != n_samples
        ):
            raise InputError(
                f"gene-wise accuracy of {self._name}",
                f"{len(table)} genes of {table['n'].iloc[0]} samples of {tissue}",
                f"{len(self._held_out.gene_ids)} genes of {n_samples} samples, as predicted",
                "Score the model again.",
            )
        return {key: table[f"rho_{key}"].to_numpy() for key in GENE_CONVENTIONS}


def _check_genes(scored: Mapping[str, Scored], used: Sequence[str]) -> None:
    """Raise unless all models predict the same genes."""
    for name in used[1:]:
        first, other = (scored[key].held_out.gene_ids for key in (used[0], name))
        if not first.equals(other):
            raise InputError(
                f"predictions of {name}",
                f"{len(other)} genes",
                f"the {len(first)} genes of {used[0]}, in the same order",
            )


def fold_weights(
    held_out: Sequence[HeldOut], settings: AccuracySettings
) -> dict[int, pd.DataFrame]:
    """Draw bootstrap samples of every fold's donors: ``(n_bootstraps, n_donors)`` by fold."""
    rows = pd.concat([model.rows[["fold", "donor"]] for model in held_out]).drop_duplicates()
    weights = {}
    for fold, part in rows.groupby("fold"):
        donors = sorted(part["donor"])
        rng = np.random.default_rng([settings.seed, int(fold)])
        drawn = donor_weights(len(donors), settings.bootstraps, rng)
        weights[int(fold)] = pd.DataFrame(drawn, columns=donors)
    return weights


def _weights_of(rows: pd.DataFrame, weights: Mapping[int, pd.DataFrame]) -> list[np.ndarray]:
    """Weights of the donors of `rows` (sorted by fold), one array a fold."""
    return [
        weights[int(fold)][part["donor"]].to_numpy()
        for fold, part in rows.groupby("fold", sort=True)
    ]


def _compare(
    a: _Correlations, b: _Correlations, n_samples: int, n_folds: int
) -> tuple[dict[str, float], np.ndarray]:
    """Compare two models on the same samples; return the fields of a row, and its draws."""
    known = np.isfinite(a.rho) & np.isfinite(b.rho)
    mean_a, mean_b = (float(known_mean(side.rho[known])) for side in (a, b))
    draws = a.resampled - b.resampled
    tested = t_interval(mean_a - mean_b, draws, n_samples, n_folds)
    fields = {
        "n_values": int(known.sum()),
        "mean_a": mean_a,
        "mean_b": mean_b,
        "difference": mean_a - mean_b,
        "p_rank_sum": rank_sum_p(a.rho[known], b.rho[known]),
    }
    return fields | tested, draws


def _finish(
    table: pd.DataFrame, resampled: Mapping[tuple, list[np.ndarray]], weights: Mapping
) -> pd.DataFrame:
    """Add q-values over tissues and the rows of the mean over tissues."""
    group = [*PAIR, *ACCURACY_KEY]
    n_donors = sum(fold.shape[1] for fold in weights.values())
    parts = []
    for key, part in table.groupby(group, sort=False):
        draws = [values for values in resampled[key] if len(values)]
        columns = ["mean_a", "mean_b", "difference"]
        mean = dict(zip(group, key, strict=True)) | {"tissue": MEAN_OF_TISSUES}
        mean |= part[["n_samples", "n_only_a", "n_only_b"]].sum().to_dict()
        mean |= {"n_values": round(part["n_values"].mean())} | part[columns].mean().to_dict()
        averaged = known_mean(np.stack(draws)) if draws else np.empty(0)
        mean |= t_interval(mean["difference"], averaged, n_donors, len(weights))
        part = part.assign(q=benjamini_hochberg(part["p"].to_numpy()))
        parts += [part, pd.DataFrame([mean])]
    return pd.concat(parts, ignore_index=True)


def _predictable(gene_wise: pd.DataFrame, definition: str) -> pd.DataFrame:
    """Whether each gene is predictable: index (tissue, gene_id), columns the gene and ``n``."""
    rows = gene_wise[gene_wise["scale"] == DEFINITIONS[definition]]
    table = rows[["tissue", "gene_id", "n", definition]].rename(columns={definition: "yes"})
    return table.set_index(["tissue", "gene_id"])


def predictable_overlaps(
    gene_wise: Mapping[str, pd.DataFrame], pairs: Sequence[tuple[str, str]]
) -> pd.DataFrame:
    """Count the predictable genes of two models and of both, in every tissue (methods 3, R6-R7).

    Parameters
    ----------
    gene_wise
        Gene-wise tables by model; genes and tissues that both models have are compared.
    pairs
        Names of model A and model B.

    Returns
    -------
    pd.DataFrame
        One row a pair, ``definition`` (with its ``scale``) and tissue: ``n_samples`` (the larger
        of the models'), ``n_genes``, ``n_a``, ``n_b``, ``n_both``, ``share_of_a_in_b`` =
        n_both / n_a (empty without genes of A) and ``share_of_b_in_a``.
    """
    parts = []
    for definition, scale in DEFINITIONS.items():
        tables = {
            name: _predictable(gene_wise[name], definition)
            for name in dict.fromkeys(name for pair in pairs for name in pair)
        }
        for a, b in pairs:
            both = tables[a].join(tables[b], how="inner", lsuffix="_a", rsuffix="_b")
            both["n_samples"] = both[["n_a", "n_b"]].max(axis=1)
            both["yes"] = both["yes_a"] & both["yes_b"]
            part = both.groupby(level="tissue").agg(
                n_samples=("n_samples", "max"),
                n_genes=("yes", "size"),
                n_a=("yes_a", "sum"),
                n_b=("yes_b", "sum"),
                n_both=("yes", "sum"),
            )
            part["share_of_a_in_b"] = part["n_both"] / part["n_a"].where(part["n_a"] > 0)
            part["share_of_b_in_a"] = part["n_both"] / part["n_b"].where(part["n_b"] > 0)
            part = part.reset_index()
            for place, (column, value) in enumerate(
                {"model_a": a, "model_b": b, "definition": definition, "scale": scale}.items()
            ):
                part.insert(place, column, value)
            parts.append(part)
    return pd.concat(parts, ignore_index=True)


def fold_changes(overlaps: pd.DataFrame) -> pd.DataFrame:
    """Relate the fold change of predictable genes, A over B, to sample size (methods 3, R8-R9).

    Parameters
    ----------
    overlaps
        From `predictable_overlaps`.

    Returns
    -------
    pd.DataFrame
        Columns of the pair, ``definition``, ``scale``, ``tissue``, ``n_samples``, ``n_a``,
        ``n_b``; ``fold_change`` = n_a / n_b, empty where B has no gene (``excluded`` is true);
        and for the whole pair and definition ``n_tissues`` with a fold change, ``n_excluded``,
        ``spearman_rho`` of fold change and sample size over the former, and ``spearman_p``.
    """
    columns = [*PAIR, "definition", "scale", "tissue", "n_samples", "n_a", "n_b"]
    table = overlaps[columns].copy()
    table["fold_change"] = table["n_a"] / table["n_b"].where(table["n_b"] > 0)
    table["excluded"] = table["fold_change"].isna()
    parts = []
    for _, part in table.groupby([*PAIR, "definition"], sort=False):
        kept = part[~part["excluded"]]
        rho, p = np.nan, np.nan
        if min(kept["fold_change"].nunique(), kept["n_samples"].nunique()) > 1 and len(kept) > 2:
            rho, p = stats.spearmanr(kept["n_samples"], kept["fold_change"])
        parts.append(
            part.assign(
                n_tissues=len(kept),
                n_excluded=len(part) - len(kept),
                spearman_rho=rho,
                spearman_p=p,
            )
        )
    return pd.concat(parts, ignore_index=True)


def venn_models(models: Sequence[str], roles: Mapping[str, str]) -> list[str]:
    """Choose the models of the Venn diagram: those of Fig 2c, then others of the run, three.

    Raises
    ------
    InputError
        There are fewer than two models.
    """
    played = [roles[role] for role in VENN_ROLES if roles.get(role) in models]
    chosen = list(dict.fromkeys([*played, *models]))[: max(VENN_SETS)]
    if len(chosen) < min(VENN_SETS):
        raise InputError("models", ", ".join(models), "two or more models to compare")
    return chosen


def venn_regions(
    gene_wise: Mapping[str, pd.DataFrame], models: Sequence[str], tissue: str
) -> pd.DataFrame:
    """Count the predictable genes that each subset of models shares (Fig 2c).

    Parameters
    ----------
    gene_wise
        Gene-wise tables by model; genes that all `models` have are counted.
    models
        Two or three of them.
    tissue
        The tissue of Fig 2c; where a model does not have it, the target tissue with the most
        samples, and the log says so.

    Returns
    -------
    pd.DataFrame
        ``definition``, ``scale``, ``tissue``, ``n_samples``, ``region`` (models joined by ";":
        genes predictable by these and by none of the others), ``n_genes``. Regions of single
        models come first, in the order of `models`; every region has a row.

    Raises
    ------
    InputError
        There are not two or three models, or they have no tissue in common.
    """
    if len(models) not in VENN_SETS:
        raise InputError("models of the Venn diagram", f"{len(models)}", "two or three")
    chosen = _venn_tissue([gene_wise[name] for name in models], tissue)
    rows = []
    for definition, scale in DEFINITIONS.items():
        tables = [_predictable(gene_wise[name], definition).loc[chosen] for name in models]
        member = pd.concat([table["yes"] for table in tables], axis=1, join="inner", keys=models)
        n_samples = max(int(table["n"].max()) for table in tables)
        for size in range(1, len(models) + 1):
            for inside in combinations(models, size):
                pattern = [name in inside for name in models]
                rows.append(
                    {
                        "definition": definition,
                        "scale": scale,
                        "tissue": chosen,
                        "n_samples": n_samples,
                        "region": AND.join(inside),
                        "n_genes": int((member == pattern).all(axis=1).sum()),
                    }
                )
    return pd.DataFrame(rows)


def _venn_tissue(tables: Sequence[pd.DataFrame], wanted: str) -> str:
    """Return `wanted`, or the common tissue with the most samples."""
    sizes = pd.concat([table.groupby("tissue")["n"].max() for table in tables], axis=1).dropna()
    if sizes.empty:
        raise InputError("gene-wise accuracy", "no tissue that all models have", "at least one")
    if wanted in sizes.index:
        return wanted
    chosen = str(sizes.min(axis=1).sort_index().idxmax())
    log.info("no %s: the Venn diagram shows the largest target tissue, %s", wanted, chosen)
    return chosen


def accuracy_table(summary: pd.DataFrame) -> pd.DataFrame:
    """Make the paper's Table S1 from ``accuracy/summary.tsv``: mean rho by tissue and model.

    Returns
    -------
    pd.DataFrame
        ``scale``, ``level``, ``convention`` (those of `TABLE_MEASURES`), ``tissue``,
        ``n_samples`` (the most of any model), then one column a model; the mean over tissues
        comes first.
    """
    measures = pd.MultiIndex.from_tuples(TABLE_MEASURES)
    rank = measures.get_indexer(pd.MultiIndex.from_frame(summary[ACCURACY_KEY]))
    return _by_model(summary[rank >= 0].assign(_order=rank[rank >= 0]), ACCURACY_KEY, "mean_rho")


def predictable_table(summary: pd.DataFrame) -> pd.DataFrame:
    """Make the paper's Table S2 from ``accuracy/summary.tsv``: predictable genes.

    Returns
    -------
    pd.DataFrame
        ``definition``, ``scale``, ``tissue``, ``n_samples`` (the most of any model), then one
        column a model; the mean over tissues comes first.
    """
    parts = []
    for order, (definition, scale) in enumerate(DEFINITIONS.items()):
        rows = summary[(summary["scale"] == scale) & (summary["level"] == "gene_wise")]
        rows = rows[rows["convention"] == GENE_CONVENTIONS[0]]
        counts = rows[f"n_{definition}"]
        parts.append(rows.assign(definition=definition, _order=order, n_genes_predictable=counts))
    table = pd.concat(parts, ignore_index=True)
    return _by_model(table, ["definition", "scale"], "n_genes_predictable")


def _by_model(table: pd.DataFrame, key: list[str], value: str) -> pd.DataFrame:
    """Spread `value` into one column a model, in the order of the models in `table`."""
    index = ["_order", *key, "tissue"]
    wide = table.pivot(index=index, columns="model", values=value)[list(table["model"].unique())]
    wide.insert(0, "n_samples", table.groupby(index)["n_samples"].max())
    return wide.sort_index().reset_index().drop(columns="_order").rename_axis(columns=None)
