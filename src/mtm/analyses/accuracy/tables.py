"""The accuracy tables: rows of tissues, of their mean, of all models, and the headline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm.analyses.accuracy.predictable_genes import is_predictable, is_predictable_paper
from mtm.errors import InputError
from mtm.statistics.over_tissues import averaged, known_mean, over_tissues
from mtm.statistics.testing import benjamini_hochberg, quantile_interval
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
    """

    gene_wise: pd.DataFrame
    sample_wise: pd.DataFrame
    by_tissue: pd.DataFrame


class Tables:
    """Collect the results of tissues into the tables of `Scores`.

    Parameters
    ----------
    gene_ids
        Genes, in the order of the results.
    predictable_rho, predictable_q
        What makes a gene predictable; see
        `mtm.analyses.accuracy.predictable_genes.is_predictable`.
    """

    def __init__(self, gene_ids: pd.Index, predictable_rho: float, predictable_q: float):
        self._gene_ids = gene_ids
        self._thresholds = (predictable_rho, predictable_q)
        self._genes, self._samples, self._by_tissue = [], [], []
        self._null: dict[tuple, list[np.ndarray]] = {}
        self._resampled: dict[tuple, list[np.ndarray]] = {}

    def add_genes(
        self,
        scale: str,
        tissue: str,
        n_samples: int,
        rho: Mapping[str, np.ndarray],
        p: np.ndarray,
        null_means: Mapping[str, np.ndarray],
        resampled: Mapping[str, np.ndarray],
    ) -> None:
        """Add the gene-wise results of a tissue on a scale.

        Parameters
        ----------
        scale, tissue, n_samples
            What the results are of.
        rho
            Correlations of each convention, shape ``(n_genes,)``.
        p
            P-values of the per-fold correlations, shape ``(n_genes,)``.
        null_means, resampled
            Mean over genes under each permutation, and in each bootstrap sample, for each
            convention.
        """
        q = benjamini_hochberg(p)
        predictable = is_predictable(rho["per_fold"], q, *self._thresholds)
        predictable_paper = is_predictable_paper(rho["pooled_raw"])
        self._genes.append(
            pd.DataFrame(
                {
                    "scale": scale,
                    "tissue": tissue,
                    "gene_id": self._gene_ids,
                    "n": n_samples,
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
            values = rho[convention]
            row = {"tissue": tissue, "n_samples": n_samples, "n_genes": np.isfinite(values).sum()}
            self._add(key, row, values, null_means[convention], resampled[convention], counts)

    def add_samples(
        self,
        scale: str,
        rows: pd.DataFrame,
        rho: np.ndarray,
        null_mean: np.ndarray,
        resampled: np.ndarray,
    ) -> None:
        """Add the sample-wise results of a tissue on a scale.

        Parameters
        ----------
        scale
            What the results are of.
        rows
            Samples: ``tissue`` (one and the same), ``sample_id``, ``donor``, ``fold``.
        rho
            Correlation of each sample, shape ``(n_samples,)``.
        null_mean, resampled
            Mean over samples under each permutation, and in each bootstrap sample.
        """
        n_genes, tissue = len(self._gene_ids), rows["tissue"].iloc[0]
        table = rows[["tissue", "sample_id", "donor", "fold"]].reset_index(drop=True)
        table.insert(0, "scale", scale)
        table["n_genes"], table["rho"] = n_genes, rho
        self._samples.append(table)
        row = {"tissue": tissue, "n_samples": len(rows), "n_genes": n_genes}
        self._add((scale, "sample_wise", SAMPLE_CONVENTION), row, rho, null_mean, resampled, {})

    def _add(
        self,
        key: tuple[str, str, str],
        row: dict,
        rho: np.ndarray,
        null_mean: np.ndarray,
        resampled: np.ndarray,
        counts: Mapping[str, int],
    ) -> None:
        """Add one row of `Scores.by_tissue`."""
        self._null.setdefault(key, []).append(null_mean)
        self._resampled.setdefault(key, []).append(resampled)
        self._by_tissue.append(
            dict(zip(ACCURACY_KEY, key, strict=True))
            | row
            | {"mean_rho": known_mean(rho)}
            | _intervals(resampled, null_mean)
            | dict(counts)
        )

    def scores(self, model: str) -> Scores:
        """Join the tables and add the rows of the mean over tissues."""

        def mean_of_tissues(key: tuple, part: pd.DataFrame) -> dict[str, float]:
            resampled, null = (np.stack(of[key]) for of in (self._resampled, self._null))
            columns = ["mean_rho", "n_predictable", "n_predictable_paper"]
            mean = averaged(part, columns, counts=["n_genes"], totals=["n_samples"])
            return mean | _intervals(known_mean(resampled), known_mean(null))

        by_tissue = pd.DataFrame(self._by_tissue)
        by_tissue = over_tissues(by_tissue, ACCURACY_KEY, MEAN_OF_TISSUES, mean_of_tissues)
        by_tissue = by_tissue.sort_values(ACCURACY_KEY, kind="stable", ignore_index=True)
        by_tissue.insert(0, "model", model)
        by_scale = {"by": "scale", "kind": "stable", "ignore_index": True}
        return Scores(
            pd.concat(self._genes).sort_values(**by_scale),
            pd.concat(self._samples).sort_values(**by_scale),
            by_tissue,
        )


def _intervals(resampled: np.ndarray, null_mean: np.ndarray) -> dict[str, float]:
    """Confidence and null interval from bootstrap samples and permutations."""
    ci, null = quantile_interval(resampled), quantile_interval(null_mean)
    return {"ci_low": ci[0], "ci_high": ci[1], "null_low": null[0], "null_high": null[1]}


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
