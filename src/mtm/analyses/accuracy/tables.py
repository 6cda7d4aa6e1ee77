"""The accuracy tables: rows of tissues, of their mean, of all models, and the headline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm.analyses.accuracy.counted import Counted, Coupling, degrees_of
from mtm.analyses.accuracy.predictable_genes import is_predictable, is_predictable_paper
from mtm.errors import InputError
from mtm.settings.accuracy import AccuracySettings
from mtm.statistics.joint_null import Null, mean_null, null_covariance
from mtm.statistics.over_tissues import averaged, known_mean, over_tissues
from mtm.statistics.testing import (
    benjamini_hochberg,
    quantile_interval,
    t_interval_of_mean,
    within_correlations,
)
from mtm.vocabulary import (
    ACCURACY_KEY,
    GENE_CONVENTIONS,
    HEADLINE_MEASURES,
    MEAN_OF_TISSUES,
    SAMPLE_CONVENTION,
)


@dataclass(frozen=True)
class Scores:
    """What `score_predictions` returns; columns as in docs/contracts.md.

    Parameters
    ----------
    gene_wise, sample_wise, by_tissue
        The three tables of the accuracy rule.
    draws
        Mean over genes in each bootstrap sample, which comparisons take differences of.
    """

    gene_wise: pd.DataFrame
    sample_wise: pd.DataFrame
    by_tissue: pd.DataFrame
    draws: pd.DataFrame


class Tables:
    """Collect the results of tissues into the tables of `Scores`.

    Parameters
    ----------
    gene_ids
        Genes, in the order of the results.
    settings
        The accuracy section of the config.
    """

    def __init__(self, gene_ids: pd.Index, settings: AccuracySettings):
        self._gene_ids = gene_ids
        self._settings = settings
        self._thresholds = (settings.predictable_rho, settings.predictable_q)
        self._genes, self._samples, self._by_tissue, self._draws = [], [], [], []
        self._nulls: dict[tuple, list[Null]] = {}
        self._resampled: dict[tuple, list[tuple]] = {}

    def add_genes(
        self,
        scale: str,
        rows: pd.DataFrame,
        rho: Mapping[str, np.ndarray],
        p: np.ndarray,
        nulls: Mapping[str, Null],
        resampled: Mapping[str, np.ndarray],
        ratio: Coupling,
    ) -> None:
        """Add the gene-wise results of a tissue on a scale.

        Parameters
        ----------
        scale
            What the results are of.
        rows
            Samples of the tissue: ``tissue``, ``sample_id``, ``donor``, ``fold``.
        rho
            Correlations of each convention, shape ``(n_genes,)``.
        p
            P-values of the per-fold correlations, shape ``(n_genes,)``.
        nulls, resampled
            Null of the mean over genes, and that mean in each bootstrap sample, for each
            convention.
        ratio
            How much wider folds that learn from each other have made them.
        """
        q = benjamini_hochberg(p)
        predictable = is_predictable(rho["per_fold"], q, *self._thresholds)
        predictable_paper = is_predictable_paper(rho["pooled_raw"])
        self._genes.append(
            pd.DataFrame(
                {
                    "scale": scale,
                    "tissue": rows["tissue"].iloc[0],
                    "gene_id": self._gene_ids,
                    "n": len(rows),
                    **{f"rho_{key}": rho[key] for key in GENE_CONVENTIONS},
                    "p": p,
                    "q": q,
                    "predictable_paper": predictable_paper,
                    "predictable": predictable,
                }
            )
        )
        counts = {
            "n_predictable": predictable.sum(),
            "n_predictable_paper": predictable_paper.sum(),
        }
        for convention in GENE_CONVENTIONS:
            key = (scale, "gene_wise", convention)
            n_genes = np.isfinite(rho[convention]).sum()
            self._add(
                key, rows, n_genes, rho[convention], nulls[convention], resampled[convention],
                {"n_left_out": len(self._gene_ids) - n_genes} | counts,
            )  # fmt: skip
            about = {"scale": scale, "convention": convention, "tissue": rows["tissue"].iloc[0]}
            drawn = _draws(resampled[convention], ratio.of(convention))
            self._draws.append(drawn.assign(**about))

    def add_samples(
        self,
        scale: str,
        rows: pd.DataFrame,
        rho: np.ndarray,
        null: Null,
        resampled: np.ndarray,
    ) -> None:
        """Add the sample-wise results of a tissue on a scale.

        Parameters
        ----------
        scale
            What the results are of.
        rows
            Samples of the tissue: ``tissue``, ``sample_id``, ``donor``, ``fold``.
        rho
            Correlation of each sample, shape ``(n_samples,)``.
        null, resampled
            Null of the mean over samples, and that mean in each bootstrap sample.
        """
        n_genes = len(self._gene_ids)
        table = rows[["tissue", "sample_id", "donor", "fold"]].reset_index(drop=True)
        table.insert(0, "scale", scale)
        table["n_genes"], table["rho"] = n_genes, rho
        self._samples.append(table)
        key = (scale, "sample_wise", SAMPLE_CONVENTION)
        self._add(key, rows, n_genes, rho, null, resampled, {})

    def _add(
        self,
        key: tuple[str, str, str],
        rows: pd.DataFrame,
        n_genes: int,
        rho: np.ndarray,
        null: Null,
        resampled: np.ndarray,
        counts: Mapping[str, int],
    ) -> None:
        """Add one row of `Scores.by_tissue`."""
        self._nulls.setdefault(key, []).append(null)
        about = {"tissue": rows["tissue"].iloc[0], "n_samples": len(rows), "n_genes": n_genes}
        counted = Counted.of(rows, self._settings, key[2])
        self._resampled.setdefault(key, []).append((resampled, counted))
        self._by_tissue.append(
            dict(zip(ACCURACY_KEY, key, strict=True))
            | about
            | _intervals(known_mean(rho), [resampled], [counted], null.means)
            | dict(counts)
        )

    def scores(self, model: str) -> Scores:
        """Join the tables and add the rows of the mean over tissues."""

        def mean_of_tissues(key: tuple, part: pd.DataFrame) -> dict[str, float]:
            columns = ["mean_rho", "n_left_out", "n_predictable", "n_predictable_paper"]
            mean = averaged(part, columns, counts=["n_genes"], totals=["n_samples"])
            nulls = self._nulls[key]
            covariance = null_covariance([null.pairs for null in nulls])
            null = mean_null(np.stack([null.means for null in nulls]), covariance)
            resampled, counted = zip(*self._resampled[key], strict=True)
            return mean | _intervals(mean["mean_rho"], resampled, counted, null)

        by_tissue = pd.DataFrame(self._by_tissue)
        by_tissue = over_tissues(by_tissue, ACCURACY_KEY, MEAN_OF_TISSUES, mean_of_tissues)
        by_tissue = by_tissue.sort_values(ACCURACY_KEY, kind="stable", ignore_index=True)
        by_tissue.insert(0, "model", model)
        by_scale = {"by": "scale", "kind": "stable", "ignore_index": True}
        return Scores(
            pd.concat(self._genes).sort_values(**by_scale),
            pd.concat(self._samples).sort_values(**by_scale),
            by_tissue,
            pd.concat(self._draws, ignore_index=True),
        )


def _draws(resampled: np.ndarray, ratio: float) -> pd.DataFrame:
    """Rows of `Scores.draws`."""
    return pd.DataFrame({"draw": np.arange(len(resampled)), "ratio": ratio, "mean_rho": resampled})


def _intervals(
    mean_rho: float,
    resampled: Sequence[np.ndarray],
    counted: Sequence[Counted],
    null: np.ndarray,
) -> dict[str, float]:
    """Mean with its confidence interval, as `t_interval_of_mean` makes it, and null interval."""
    sizes = [of.sizes for of in counted]
    tested = t_interval_of_mean(mean_rho, resampled, sizes, degrees_of(counted, resampled))
    null_low, null_high = quantile_interval(null)
    ends = {"ci_low": tested["ci_low"], "ci_high": tested["ci_high"]}
    ends |= {"null_low": null_low, "null_high": null_high}
    return {"mean_rho": mean_rho} | within_correlations(ends)


def join_summaries(
    by_tissue: Sequence[pd.DataFrame],
    models: Sequence[str],
    cohort: str,
    members: Mapping[str, Sequence[str]] | None = None,
) -> pd.DataFrame:
    """Join the tables of all models into ``accuracy/summary.tsv``.

    Parameters
    ----------
    by_tissue
        One `Scores.by_tissue` a model.
    models
        Their names, in the same order.
    cohort
        Name of the cohort, which becomes the first column.
    members
        Models that another is made of, by its name: its rows tell how far apart they are.

    Raises
    ------
    InputError
        A table is of another model than its name says.
    """
    for table, model in zip(by_tissue, models, strict=True):
        found = sorted(table["model"].unique())
        if found != [model]:
            raise InputError("accuracy tables", f"models {found}", f"model {model} alone")
    summary = pd.concat(by_tissue, ignore_index=True)
    summary.insert(0, "cohort", cohort)
    return _with_spread(summary, members or {})


def _with_spread(summary: pd.DataFrame, members: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Add the number of a model's members, and sd, least and largest of their mean rho."""
    key = ["model", *ACCURACY_KEY, "tissue"]
    spread = {"n_members": "count", "member_sd": "std", "member_min": "min", "member_max": "max"}
    pairs = [(model, member) for model, named in members.items() for member in named]
    rows = pd.DataFrame(pairs, columns=["model", "member"], dtype=object).merge(
        summary[[*key, "mean_rho"]].rename(columns={"model": "member"}), on="member"
    )
    found = rows.groupby(key)["mean_rho"].agg(**spread).astype({"n_members": "Int64"})
    return summary.merge(found.reset_index(), how="left", on=key)


def headline(summary: pd.DataFrame) -> pd.DataFrame:
    """Pick the rows that are quoted: the mean over tissues of each `HEADLINE_MEASURES` measure.

    Returns
    -------
    pd.DataFrame
        Columns of `summary` without ``tissue``, plus ``n_tissues``; one row a model and measure,
        measures in the order of `HEADLINE_MEASURES`, models in that of `summary`.
    """
    is_mean = summary["tissue"] == MEAN_OF_TISSUES
    known = summary[~is_mean & summary["mean_rho"].notna()]
    n_tissues = known.groupby(["model", *ACCURACY_KEY]).size().rename("n_tissues").reset_index()
    means = summary[is_mean].merge(n_tissues, how="left", on=["model", *ACCURACY_KEY])
    parts = [means[(means[ACCURACY_KEY] == measure).all(axis=1)] for measure in HEADLINE_MEASURES]
    return pd.concat(parts, ignore_index=True).drop(columns="tissue")


def external_headline(summary: pd.DataFrame) -> pd.DataFrame:
    """Pick the rows that are quoted, as `headline` does, of every cohort and alignment."""
    groups = summary.groupby(["cohort", "alignment"], sort=False)
    return pd.concat([headline(part) for _, part in groups], ignore_index=True)
