"""Can disease status be told from predicted expression? (He et al. 2023, Fig 3c-d and S15).

A LASSO (`mtm.analyses.disease.status_classifier`) is cross-validated on every tissue and contrast
with enough cases and controls, from four inputs of the same donors, folds and genes: observed
expression, held-out predictions, expression of the source tissue, and predictions of a
covariates-only model, which know nothing but sex, age and the like (methods 6.3). auROC is taken
within each fold of the cross-validation, whose scores come from one fit, and averaged over folds
and repeats (the paper is silent).

Genes are the predictable genes of the tissue: those of all donors, as the paper (``all_folds``),
or chosen again among the training donors of every fold (``nested``, methods 6.6). Values are
log2(1+TPM), predictions moved within each of the model's folds to one mean, whatever the labels
(``predictable``), or TPM as they are (``predictable_paper``).

Intervals and P values speak of the auROC that this procedure is expected to have with so many
donors, over donors and fits alike: random halves of the donors, the same for all pairs and
inputs, are cross-validated on their own (`mtm.statistics.half_samples`).
The paper compares inputs over the pairs where observed expression is informative and more so than
blood (``informative``); that choice is made on the numbers that are then compared (methods 6.6),
so all pairs (``all``) stand beside it. Pairs share donors, which Wilcoxon's test ignores and the
interval does not.

A pair needs `enough_de_genes`, as in the tables of differential expression.

Pairs do not depend on each other, so tissues can be done in parts (`labels_of_part`), whose
tables `combine_status` joins: a broken job loses its part alone, and the result is the same.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve

from mtm.analyses.accuracy.predictable_genes import PAPER_RHO
from mtm.analyses.disease.agreement_tables import enough_de_genes
from mtm.analyses.disease.status_classifier import (
    REPEAT,
    CrossValidation,
    GeneChoice,
    least_of_a_class,
    run_tasks,
    tasks,
)
from mtm.analyses.disease.status_tables import (
    COUNTS,
    KEY,
    PART_CURVE,
    PART_STATUS,
    RATES,
    REPLICATE,
    joined,
    summarised,
)
from mtm.cohort.cohort import Cohort
from mtm.cohort.scaling import log2_tpm
from mtm.errors import InputError
from mtm.predictions.held_out import HeldOut
from mtm.predictions.tissues import BLOCK_GENES, Tissue, by_tissue, tissues
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.disease_status import ClassifierSettings, StatusSettings
from mtm.statistics.correlation import centre
from mtm.vocabulary import (
    BASELINE,
    OBSERVED,
    PREDICTED,
    RAN,
    READINGS,
    SELECTIONS,
    SKIPPED,
    SOURCE,
    Reading,
)

log = logging.getLogger(__name__)


def labels_of_part(labels: pd.DataFrame, part: int, n_parts: int) -> pd.DataFrame:
    """Return the labels of one part: tissues with most labelled samples are dealt out first.

    Parameters
    ----------
    labels
        ``disease/labels.parquet``.
    part
        Index of the part, below `n_parts`.
    n_parts
        Parts that all tissues are divided into; some are empty where there are fewer tissues.
    """
    sizes = labels.groupby("tissue", sort=True).size()
    mine = sizes.sort_values(ascending=False, kind="stable").index[part::n_parts]
    return labels[labels["tissue"].isin(mine)]


@dataclass(frozen=True)
class StatusPairs:
    """What is known of all pairs of tissue and contrast before status is told.

    Parameters
    ----------
    halves
        From `donor_halves`, of the labels of all tissues.
    agreement
        ``disease/agreement/{model}.tsv``.
    min_de_genes
        Least observed differentially expressed genes.
    """

    halves: pd.DataFrame
    agreement: pd.DataFrame
    min_de_genes: int

    def of(self, key: Mapping[str, str]) -> dict[str, object]:
        """Observed differentially expressed genes of a pair, and why it is left out, if it is."""
        rows = self.agreement
        for column in KEY[1:]:
            rows = rows[rows[column] == key[column]]
        if rows.empty:
            return {"n_de_observed": 0, "reason": "not tested for differential expression"}
        row = rows.iloc[0]
        if row["status"] != RAN:
            return {"n_de_observed": 0, "reason": row["reason"]}
        found = int(row["n_de_observed"])
        words = f"{found} observed differentially expressed genes, fewer than {self.min_de_genes}"
        enough = enough_de_genes(rows, self.min_de_genes).iloc[0]
        return {"n_de_observed": found, "reason": "" if enough else words}


def donor_halves(labels: pd.DataFrame, settings: StatusSettings) -> pd.DataFrame:
    """Halve the donors at random, many times.

    Two donors who are alike in their labels go to different halves, so that cases and controls
    are split evenly in every contrast as far as may be.

    Parameters
    ----------
    labels
        ``disease/labels.parquet``, of all tissues.

    Returns
    -------
    pd.DataFrame
        Whether a donor (columns) is in the first half of each halving (rows), bool.
    """
    profile = labels.pivot_table(index="donor", columns="contrast", values="case", aggfunc="max")
    share = profile.mean()
    # The last key sorts first: contrasts with most donors and even shares are split best.
    order = (share * (1 - share) * profile.notna().sum()).sort_values(kind="stable").index
    keys = profile[order].fillna(-1).to_numpy().T
    rng = np.random.default_rng([settings.seed, 3])
    n_donors = len(profile)
    halves = np.empty((settings.halvings, n_donors), bool)
    for half in halves:
        alike = np.lexsort([rng.random(n_donors), *keys])
        sides = rng.random(-(-n_donors // 2)) < 0.5
        half[alike] = np.column_stack([sides, ~sides]).ravel()[:n_donors]
    return pd.DataFrame(halves, columns=profile.index)


def disease_status(
    held_out: HeldOut,
    model: str,
    cohort: Cohort,
    source: str,
    labels: pd.DataFrame,
    gene_wise: pd.DataFrame,
    settings: StatusSettings,
    pairs: StatusPairs,
    baseline: HeldOut | None = None,
    accuracy: AccuracySettings | None = None,
    n_jobs: int = 1,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Predict status in tissues and contrasts from each input.

    Parameters
    ----------
    held_out, model
        From `mtm.predictions.held_out.read_held_out`, and the name of their model.
    cohort, source
        The whole cohort, and its source tissue.
    labels
        Cases and controls, as from `mtm.analyses.disease.contrasts.contrast_table`.
    gene_wise
        ``accuracy/gene_wise/{model}.parquet``.
    settings, accuracy
        Sections of the config; the latter defines predictable genes of the nested selection.
    pairs, baseline, n_jobs
        What is known of all pairs; predictions of the covariates-only model; worker processes.

    Returns
    -------
    pd.DataFrame
        `PART_STATUS`: one row a `KEY` and input, or the reason why there is none.
    pd.DataFrame
        `PART_CURVE`: ROC curves averaged over folds; mean, 2.5% and 97.5% quantile of repeats.
    pd.DataFrame
        `REPLICATE`: auROC in every repeat, with permuted labels, and in halves of the donors.
    """
    reading = next(item for item in READINGS if item.definition == settings.definition)
    labels_of, scored = by_tissue(labels), by_tissue(gene_wise)
    rows, curves, replicates = [], [], []
    for tissue in tissues(held_out.of_tissues(labels_of), beside=baseline):
        source_tpm = _source_tpm(cohort, source, tissue.rows["donor"])
        for selection in settings.selections:
            chosen = tissue.predictable(scored[tissue.name], reading)
            genes = np.flatnonzero(chosen) if selection == SELECTIONS[0] else None
            inputs = _Inputs.of(tissue, source_tpm, reading, genes, accuracy or AccuracySettings())
            for contrast, labelled in labels_of[tissue.name].groupby("contrast", sort=False):
                key = (model, settings.definition, selection, tissue.name, contrast)
                key = dict(zip(KEY, key, strict=True))
                counts = {"n_genes": int(chosen.sum())} | pairs.of(key)
                told = _tell(inputs, labelled, counts, pairs.halves, settings, n_jobs)
                rows += [key | row for row in told[0]]
                of_pair = key | {name: told[0][0][name] for name in COUNTS}
                curves.append(told[1].assign(**of_pair))
                replicates.append(told[2].assign(**of_pair))
                log.info("%s, %s, %s: done", tissue.name, contrast, selection)
    tables = joined(curves, PART_CURVE), joined(replicates, REPLICATE)
    return pd.DataFrame(rows, columns=PART_STATUS), *tables


def _source_tpm(cohort: Cohort, source: str, donors: pd.Series) -> np.ndarray:
    """Source expression of donors, TPM, shape ``(n_donors, n_genes)``."""
    rows = cohort.row_of()[cohort.donors.index.get_indexer(donors)]
    rows = rows[:, cohort.tissue_index(source)]
    if (rows < 0).any():
        name = donors.iloc[int(np.argmax(rows < 0))]
        raise InputError(f"donor {name}", f"no sample of {source}", "a source sample")
    return cohort.expr_tpm[rows]


@dataclass(frozen=True)
class _Inputs:
    """What status is told from in one tissue.

    `expression` is by input, each ``(n_samples, n_genes)``, float32; `choice` are the genes of a
    classifier; `rows` are the samples' donors and ids.
    """

    expression: dict[str, np.ndarray]
    choice: GeneChoice
    rows: pd.DataFrame

    @classmethod
    def of(
        cls,
        tissue: Tissue,
        source_tpm: np.ndarray,
        reading: Reading,
        genes: np.ndarray | None,
        accuracy: AccuracySettings,
    ) -> "_Inputs":
        """Take some genes, of all folds alike, or all (None), of which training donors choose."""
        choice = _nested_choice(tissue, reading, accuracy) if genes is None else None
        genes = np.arange(tissue.n_genes) if genes is None else genes
        unit = log2_tpm if reading.scale == "log2_z" else np.asarray
        inputs = {
            OBSERVED: unit(tissue.observed_tpm[:, genes]),
            PREDICTED: _predicted(tissue, reading, genes),
            SOURCE: unit(source_tpm[:, genes]),
        }
        if tissue.beside is not None:
            inputs[BASELINE] = _predicted(tissue.beside, reading, genes)
        return cls(
            {name: values.astype(np.float32) for name, values in inputs.items()},
            choice or GeneChoice(np.ones(len(genes), bool)),
            tissue.rows,
        )

    def of_rows(self, kept: np.ndarray) -> "_Inputs":
        """Return the inputs of some samples."""
        return _Inputs(
            {name: values[kept] for name, values in self.expression.items()},
            self.choice.of_rows(kept),
            self.rows[kept],
        )


def _predicted(tissue: Tissue, reading: Reading, genes: np.ndarray) -> np.ndarray:
    """Predictions of some genes; where folds are kept apart, centred in each."""
    values = np.empty((tissue.n_samples, len(genes)), np.float32)
    for start in range(0, len(genes), BLOCK_GENES):
        block = slice(start, start + BLOCK_GENES)
        values[:, block] = tissue.values(reading.scale, genes[block]).predicted_raw.numpy()
    return centre(values, tissue.parts) if reading.by_fold else values


def _nested_choice(tissue: Tissue, reading: Reading, accuracy: AccuracySettings) -> GeneChoice:
    """Genes chosen among training donors, as the reading defines them."""
    predicted = np.empty((tissue.n_samples, tissue.n_genes), np.float32)
    observed = np.empty_like(predicted)
    for start in range(0, tissue.n_genes, BLOCK_GENES):
        block = slice(start, start + BLOCK_GENES)
        values = tissue.values(reading.scale, block)
        z = values.predicted_z, values.observed_z
        raw = values.predicted_raw, values.observed_raw
        sides = z if reading.by_fold else raw
        predicted[:, block], observed[:, block] = (side.numpy() for side in sides)
    if not reading.by_fold:
        # One fold of all donors, and no bound on the false discovery rate.
        fold = np.zeros(tissue.n_samples, np.int64)
        return GeneChoice(None, predicted, observed, fold, PAPER_RHO, np.inf)
    fold = np.repeat(tissue.folds, [part.stop - part.start for part in tissue.parts])
    bounds = (accuracy.predictable_rho, accuracy.predictable_q, accuracy.min_donors_per_fold)
    return GeneChoice(None, predicted, observed, fold, *bounds)


def _tell(
    inputs: _Inputs,
    labelled: pd.DataFrame,
    counts: Mapping[str, object],
    halves: pd.DataFrame,
    settings: StatusSettings,
    n_jobs: int,
) -> tuple[list[dict[str, object]], pd.DataFrame, pd.DataFrame]:
    """Cross-validate one contrast: a row an input, ROC curves, replicates."""
    status = labelled.set_index("sample_id")["case"].reindex(inputs.rows["sample_id"])
    known = np.isin(status, (0, 1))
    case = status.to_numpy(float)[known] == 1
    row = {
        "kind": labelled["kind"].iloc[0],
        "n_cases": int(case.sum()),
        "n_controls": int((~case).sum()),
    } | counts
    row["reason"] = row["reason"] or _why_not(row, settings)
    if row["reason"]:
        return [row | {"status": SKIPPED}], pd.DataFrame(), pd.DataFrame()
    inputs = inputs.of_rows(known)
    of_donors = halves[inputs.rows["donor"]].to_numpy()
    replicates, of_repeats = tell_pair(
        inputs.expression, case, of_donors, inputs.choice, settings, n_jobs
    )
    row |= {"n_genes": float(np.mean([run.n_genes for run in of_repeats])), "status": RAN}
    measured = [
        row | {"input": name} | summarised(part, row["n_cases"], row["n_controls"])
        for name, part in replicates.groupby("input", sort=False)
    ]
    return measured, _curves(of_repeats, case), replicates


def tell_pair(
    expression: Mapping[str, np.ndarray],
    case: np.ndarray,
    halves: np.ndarray,
    choice: GeneChoice,
    settings: ClassifierSettings,
    n_jobs: int = 1,
) -> tuple[pd.DataFrame, list[CrossValidation]]:
    """Cross-validate one pair: repeats, permuted labels, halves of the donors.

    Parameters
    ----------
    expression
        By input, each ``(n_donors, n_genes)``.
    case
        Shape ``(n_donors,)``, bool.
    halves
        Who is in the first half, shape ``(n_halvings, n_donors)``, bool.

    Returns
    -------
    pd.DataFrame
        `REPLICATE` without `KEY` and `COUNTS`.
    list of CrossValidation
        The repeats.
    """
    wanted = list(tasks(case, halves, settings))
    runs = run_tasks(wanted, expression, choice, settings, n_jobs)
    rows = [
        {
            "input": name,
            "kind": task.kind,
            "number": task.number,
            "part": task.part,
            "auroc": value,
        }
        for task, run in zip(wanted, runs, strict=True)
        for name, value in run.auroc(task.case).items()
    ]
    repeats = [run for task, run in zip(wanted, runs, strict=True) if task.kind == REPEAT]
    return pd.DataFrame(rows), repeats


def _why_not(counts: Mapping[str, object], settings: StatusSettings) -> str:
    """Say why a pair cannot be cross-validated; empty where it can."""
    least = least_of_a_class(settings)
    for name in COUNTS:
        if counts[name] < least:
            return f"{counts[name]} {name[2:]}, fewer than {least}, which the folds need"
    if counts["n_genes"] < settings.min_genes:
        return f"{counts['n_genes']} predictable genes, fewer than {settings.min_genes}"
    return ""


def _curves(runs: Sequence[CrossValidation], case: np.ndarray) -> pd.DataFrame:
    """Average the ROC curves of folds at equal false positive rates."""
    parts = []
    for name in runs[0].score:
        curves = np.stack([_fold_mean_curve(run, name, case) for run in runs])
        low, high = np.quantile(curves, (0.025, 0.975), axis=0)
        parts.append(
            pd.DataFrame(
                {
                    "input": name,
                    "false_positive_rate": RATES,
                    "true_positive_rate": curves.mean(0),
                    "low": low,
                    "high": high,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _fold_mean_curve(run: CrossValidation, name: str, case: np.ndarray) -> np.ndarray:
    """Average the true positive rates of folds at `RATES`."""
    curves = []
    for index in np.unique(run.test_fold):
        rows = run.test_fold == index
        false, true, _ = roc_curve(case[rows], run.score[name][rows], drop_intermediate=False)
        curves.append(np.interp(RATES, false, true))
        curves[-1][0] = 0
    return np.mean(curves, axis=0)
