"""Model against model: accuracy in every tissue, tested in two ways (methods 3).

Two tests stand side by side. The paper's is an unpaired Wilcoxon rank-sum test over samples or
genes, without correction for the number of tissues; genes and samples of one donor are far from
independent, so it calls trivial gaps significant (methods 6.8). The sound one resamples donors
within fold, the same draws for both models and for all tissues, and divides the difference of
the means by its bootstrap standard error, wider where either model's folds learn from each other
(methods 6.18); its q-values are Benjamini and Hochberg's over the
tissues of a comparison. It describes new donors for the models as they were fitted, not the
chance in fitting them.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from mtm.analyses.accuracy.counted import UNCOUPLED, Counted, degrees_of
from mtm.analyses.accuracy.points import point_estimates
from mtm.analyses.accuracy.resampled import (
    Correlations,
    bootstrap_means,
    fold_coupling,
    resampled_mean,
    sampled_genes,
    weights_of,
)
from mtm.errors import InputError
from mtm.models.device import choose_device
from mtm.predictions.held_out import HeldOut, fold_weights
from mtm.predictions.tissues import tissues
from mtm.settings.accuracy import AccuracySettings
from mtm.statistics.joint_null import wider
from mtm.statistics.over_tissues import averaged, known_mean, over_tissues
from mtm.statistics.testing import rank_sum_p, t_interval, t_interval_of_mean
from mtm.vocabulary import (
    ACCURACY_KEY,
    GENE_CONVENTIONS,
    MEAN_OF_TISSUES,
    PAIR,
    SAMPLE_CONVENTION,
)

log = logging.getLogger(__name__)


# The roles of the paper: the model itself, B-GEx, TEEBoT, and one network a tissue.
PAPER_PAIRS = (("MTM", "S1"), ("MTM", "S2"), ("MTM", "S3"), ("S3", "S2"))
GROUP = [*PAIR, *ACCURACY_KEY]


@dataclass(frozen=True)
class Scored:
    """One model: its accuracy tables (docs/contracts.md) and the predictions they describe.

    `learned` as in `mtm.analyses.accuracy.score.score_predictions`; without `draws`, bootstrap
    samples are drawn from the predictions again.
    """

    gene_wise: pd.DataFrame
    sample_wise: pd.DataFrame
    held_out: HeldOut
    learned: bool = True
    draws: pd.DataFrame | None = None


def comparison_pairs(
    models: Sequence[str], roles: Mapping[str, str], further: Iterable[Sequence[str]] = ()
) -> list[tuple[str, str]]:
    """List the pairs of models to compare: the paper's, as far as the run has them, then others.

    A model that plays both parts of a pair is left out. Without any pair, the first model is
    compared with each of the others.

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
    pairs = [(a, b) for a, b in paper if a != b and {a, b} <= set(models)]
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


def compare_accuracy(
    scored: Mapping[str, Scored],
    pairs: Sequence[tuple[str, str]],
    settings: AccuracySettings,
    device: str = "auto",
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
    settings, device
        As in `mtm.analyses.accuracy.score.score_predictions`, with the values of that call.

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
    used = list(dict.fromkeys(name for pair in pairs for name in pair))
    _check_genes(scored, used)
    weights = fold_weights([scored[name].held_out for name in used], settings)
    models = {name: _Model(name, scored[name], weights, settings, device) for name in used}
    rows, resampled = [], {}
    for tissue in sorted({name for model in models.values() for name in model.samples}):
        for key, row, draws, counted in _compare_tissue(tissue, models, pairs):
            rows.append(row)
            resampled.setdefault(key, []).append((draws, counted))
        log.info("%s compared", tissue)
    return _with_means(pd.DataFrame(rows), resampled)


def _compare_tissue(
    tissue: str,
    models: Mapping[str, "_Model"],
    pairs: Sequence[tuple[str, str]],
) -> Iterator[tuple[tuple, dict, np.ndarray, Counted]]:
    """Yield pair and measure, row, draws of the difference, whose samples it is of."""
    sides: dict[tuple, dict] = {}
    for pair in pairs:
        of_a, of_b = (models[name].samples_of(tissue) for name in pair)
        common = of_a["sample_id"][of_a["sample_id"].isin(of_b["sample_id"])]
        only = {"n_only_a": len(of_a) - len(common), "n_only_b": len(of_b) - len(common)}
        for name in pair:
            if (name, *common) not in sides:
                sides[name, *common] = models[name].correlations(tissue, common)
        a, b = (sides[name, *common] for name in pair)
        rows = of_a.loc[common.index]
        for measure in a:
            counted = Counted.of(rows, models[pair[0]].settings, measure[2])
            key = (*pair, *measure)
            row = dict(zip(GROUP, key, strict=True)) | {"tissue": tissue}
            difference, draws = _compare(a[measure], b[measure], *counted.sizes)
            yield key, row | {"n_samples": len(common)} | only | difference, draws, counted


class _Model:
    """A model's correlations in any tissue, on any of its samples."""

    def __init__(
        self,
        name: str,
        scored: Scored,
        weights: Mapping[int, pd.DataFrame],
        settings: AccuracySettings,
        device: str,
    ):
        self._name, self._held_out, self.settings = name, scored.held_out, settings
        self._weights = weights
        self._learned = scored.learned
        self._device = torch.device(choose_device(device))
        self.samples = dict(iter(scored.held_out.rows.groupby("tissue", sort=True)))
        self._gene_wise = dict(iter(scored.gene_wise.groupby(["scale", "tissue"])))
        self._sample_wise = dict(iter(scored.sample_wise.groupby(["scale", "tissue"])))
        self._draws = {}
        if scored.draws is not None and _same_draws(scored.held_out, weights):
            key = ["scale", "tissue", "convention"]
            self._draws = dict(iter(scored.draws.groupby(key)))
        self._bootstrap_sample = sampled_genes(
            len(scored.held_out.gene_ids), settings.bootstrap_genes, settings.seed
        )

    def samples_of(self, tissue: str) -> pd.DataFrame:
        """Rows of `HeldOut.rows` of a tissue; none where the model does not predict it."""
        return self.samples.get(tissue, self._held_out.rows.iloc[:0])

    def correlations(
        self, tissue: str, sample_ids: pd.Series
    ) -> dict[tuple[str, str, str], Correlations]:
        """Correlations of some samples of a tissue, by scale, level and convention."""
        rows = self.samples_of(tissue)
        kept, result = rows[rows["sample_id"].isin(sample_ids)], {}
        genes = self._gene_correlations(tissue, kept)
        for scale in self._held_out.scales:
            for convention in GENE_CONVENTIONS:
                result[scale, "gene_wise", convention] = genes[scale, convention]
            measure = (scale, "sample_wise", SAMPLE_CONVENTION)
            of_samples = self._sample_correlations(scale, tissue, kept)
            result[measure] = replace(of_samples, ratio=genes[scale, "pooled_z"].ratio)
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

    def _sample_correlations(self, scale: str, tissue: str, kept: pd.DataFrame) -> Correlations:
        """Correlate every sample; each counts as often as its donor is drawn."""
        if kept.empty:
            return self._unknown()
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
        return Correlations(rho, resampled_mean(rho, weights_of(kept, self._weights)), 1.0)

    def _gene_correlations(
        self, tissue: str, kept: pd.DataFrame
    ) -> dict[tuple[str, str], Correlations]:
        """Correlate every gene, by scale and convention."""
        keys = [
            (scale, convention)
            for scale in self._held_out.scales
            for convention in GENE_CONVENTIONS
        ]
        if kept.empty:
            return dict.fromkeys(keys, self._unknown())
        complete = len(kept) == len(self.samples_of(tissue))
        if complete and self._draws:
            return {key: self._drawn(tissue, *key, len(kept)) for key in keys}
        whole = next(tissues(replace(self._held_out, rows=kept), device=str(self._device)))
        sampled = whole.of_genes(self._bootstrap_sample)
        draws = [
            torch.from_numpy(of_fold).to(self._device)
            for of_fold in weights_of(kept, self._weights)
        ]
        result = {}
        for scale in self._held_out.scales:
            points = point_estimates(sampled, scale, self.settings)
            all_sampled = np.arange(sampled.n_genes)
            ratio = fold_coupling(sampled, points) if self._learned else UNCOUPLED
            resampled = bootstrap_means(sampled, scale, points, draws, all_sampled)
            if complete:
                rho = self._tabulated(scale, tissue, len(kept))
            else:
                points = point_estimates(whole, scale, self.settings)
                rho = {key: values.cpu().numpy() for key, values in points.rho.items()}
            for convention in GENE_CONVENTIONS:
                of_genes = rho[convention], resampled[convention]
                result[scale, convention] = Correlations(*of_genes, ratio.of(convention))
        return result

    def _drawn(self, tissue: str, scale: str, convention: str, n_samples: int) -> Correlations:
        """Correlations of all samples of a tissue, as they were scored."""
        rho = self._tabulated(scale, tissue, n_samples)[convention]
        drawn = self._draws.get((scale, tissue, convention))
        if drawn is None or len(drawn) != self.settings.bootstraps:
            raise InputError(
                f"bootstrap samples of {self._name}",
                f"{0 if drawn is None else len(drawn)} of {tissue} on {scale}, {convention}",
                f"{self.settings.bootstraps}, as many as accuracy.bootstraps",
                "Score the model again.",
            )
        ratio = float(drawn["ratio"].iloc[0])
        return Correlations(rho, wider(drawn["mean_rho"].to_numpy(), 1 / ratio), ratio)

    def _unknown(self) -> Correlations:
        """No correlation, in any bootstrap sample."""
        return Correlations(np.empty(0), np.full(self.settings.bootstraps, np.nan), 1.0)

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


def _same_draws(held_out: HeldOut, weights: Mapping[int, pd.DataFrame]) -> bool:
    """Whether bootstrap samples of these donors alone are those of `weights`."""
    donors = held_out.rows.groupby("fold")["donor"].unique()
    return all(sorted(donors[fold]) == list(weights[fold].columns) for fold in donors.index)


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


def _compare(
    a: Correlations, b: Correlations, n_samples: int, n_folds: int
) -> tuple[dict[str, float], np.ndarray]:
    """Compare two models on the same samples; return the fields of a row, and its draws."""
    known = np.isfinite(a.rho) & np.isfinite(b.rho)
    mean_a, mean_b = (float(known_mean(side.rho[known])) for side in (a, b))
    draws = a.beside(b)
    tested = t_interval(mean_a - mean_b, draws, n_samples, n_folds)
    fields = {
        "n_values": int(known.sum()),
        "mean_a": mean_a,
        "mean_b": mean_b,
        "difference": mean_a - mean_b,
        "p_rank_sum": rank_sum_p(a.rho[known], b.rho[known]),
    }
    return fields | tested, draws


def _with_means(table: pd.DataFrame, resampled: Mapping[tuple, list[tuple]]) -> pd.DataFrame:
    """Add q-values over tissues and the rows of the mean over tissues."""

    def mean_of_tissues(key: tuple, part: pd.DataFrame) -> dict[str, float]:
        columns, sizes = ["mean_a", "mean_b", "difference"], ["n_samples", "n_only_a", "n_only_b"]
        mean = averaged(part, columns, counts=["n_values"], totals=sizes)
        draws, counted = zip(*resampled[key], strict=True)
        sizes, degrees = [of.sizes for of in counted], degrees_of(counted, draws)
        return mean | t_interval_of_mean(mean["difference"], draws, sizes, degrees)

    return over_tissues(table, GROUP, MEAN_OF_TISSUES, mean_of_tissues, {"q": "p"})
