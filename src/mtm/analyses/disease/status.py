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

Intervals resample donors, the same draws for all pairs and inputs, with the fits as they are.
The paper compares inputs over the pairs where observed expression is informative and more so than
blood (``informative``); that choice is made on the numbers that are then compared (methods 6.6),
so all pairs (``all``) stand beside it. Pairs share donors, which Wilcoxon's test ignores and the
interval does not.

Pairs do not depend on each other, so tissues can be done in parts (`tissues_of_part`), whose
tables `combine_status` joins: a broken job loses its part alone, and the result is the same.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve

from mtm.analyses.accuracy.predictable_genes import PAPER_RHO
from mtm.analyses.disease.status_classifier import (
    CrossValidation,
    GeneChoice,
    repeat_cross_validation,
)
from mtm.analyses.disease.status_tables import DRAW, KEY, PART_CURVE, PART_STATUS, RATES, _joined
from mtm.cohort.cohort import Cohort
from mtm.cohort.scaling import log2_tpm
from mtm.errors import InputError
from mtm.predictions.held_out import HeldOut
from mtm.predictions.tissues import BLOCK_GENES, Tissue
from mtm.predictions.tissues import tissues as tissues_of
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.disease_status import ClassifierSettings, StatusSettings
from mtm.statistics.correlation import centre
from mtm.statistics.resampling import donor_weights
from mtm.statistics.testing import t_interval
from mtm.vocabulary import (
    BASELINE,
    DEFINITIONS,
    OBSERVED,
    PREDICTED,
    RAN,
    READINGS,
    SELECTIONS,
    SKIPPED,
    SOURCE,
)

log = logging.getLogger(__name__)


def tissues_of_part(labels: pd.DataFrame, part: int, n_parts: int) -> list[str]:
    """Return the tissues of one part: those with most labelled samples are dealt out first.

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
    return list(sizes.sort_values(ascending=False, kind="stable").index[part::n_parts])


def disease_status(
    held_out: HeldOut,
    model: str,
    cohort: Cohort,
    source: str,
    labels: pd.DataFrame,
    gene_wise: pd.DataFrame,
    settings: StatusSettings,
    baseline: HeldOut | None = None,
    accuracy: AccuracySettings | None = None,
    n_jobs: int = 1,
    block_genes: int = BLOCK_GENES,
    tissues: Sequence[str] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Predict status in tissues and contrasts from each input.

    Parameters
    ----------
    held_out
        Predictions of the model, from `mtm.predictions.held_out.read_held_out`.
    model
        Name written into the tables.
    cohort, source
        The whole cohort, and its source tissue.
    labels
        Cases and controls, as from `mtm.analyses.disease.contrasts.contrast_table`.
    gene_wise
        ``accuracy/gene_wise/{model}.parquet``.
    settings
        The disease_status section of the config.
    baseline
        Held-out predictions of the covariates-only model; None leaves that input out.
    accuracy, block_genes
        As in `mtm.analyses.accuracy.score.score_predictions`, with the values of that call.
    n_jobs
        Worker processes.
    tissues
        Of `tissues_of_part`; None takes all.

    Returns
    -------
    pd.DataFrame
        `PART_STATUS`: one row a `KEY` and input, or the reason why there is none.
    pd.DataFrame
        `PART_CURVE`: ROC curves averaged over folds and repeats; ``low`` and ``high`` are the
        2.5% and 97.5% quantiles of repeats.
    pd.DataFrame
        `DRAW`: auROC in every bootstrap sample of donors, the same samples in every part.
    """
    accuracy = AccuracySettings() if accuracy is None else accuracy
    donors = pd.Index(sorted(held_out.rows["donor"].unique()))
    rng = np.random.default_rng([settings.classifier.seed, 3])
    weights = donor_weights(len(donors), settings.bootstraps, rng)
    by_tissue = dict(iter(labels.groupby("tissue", sort=False)))
    if tissues is not None:
        by_tissue = {name: by_tissue[name] for name in tissues}
    held_out = held_out.of_tissues(by_tissue)
    baseline = None if baseline is None else baseline.of_tissues(by_tissue)
    rows, curves, drawn = [], [], []
    reading = next(item for item in READINGS if item.definition == settings.definition)
    for tissue in tissues_of(held_out, beside=baseline):
        name, samples = tissue.name, tissue.rows
        views = {PREDICTED: tissue}
        if tissue.beside is not None:
            views[BASELINE] = tissue.beside
        chosen = tissue.predictable(gene_wise, reading)
        source_tpm = _source_tpm(cohort, source, samples["donor"])
        columns = donors.get_indexer(samples["donor"])
        for selection in settings.selections:
            genes = np.flatnonzero(chosen) if selection == SELECTIONS[0] else None
            inputs = _inputs(views, source_tpm, settings.definition, genes, block_genes)
            choice = _choice(tissue, settings.definition, genes, accuracy, block_genes)
            for contrast, labelled in by_tissue[name].groupby("contrast", sort=False):
                status = labelled.set_index("sample_id")["case"].reindex(samples["sample_id"])
                status = status.to_numpy(float)
                key = (model, settings.definition, selection, name, contrast)
                key = dict(zip(KEY, key, strict=True)) | {"kind": labelled["kind"].iloc[0]}
                counts = {
                    "n_cases": int((status == 1).sum()),
                    "n_controls": int((status == 0).sum()),
                    "n_genes": int(chosen.sum()),
                }
                reason = _why_not(counts, settings)
                if reason:
                    rows.append(key | counts | {"status": SKIPPED, "reason": reason})
                    continue
                known = np.isin(status, (0, 1))
                runs, permuted = repeat_cross_validation(
                    {side: values[known] for side, values in inputs.items()},
                    status[known] == 1,
                    _of_rows(choice, known),
                    settings.classifier,
                    n_jobs,
                )
                case = status[known] == 1
                draws = _drawn(runs, case, weights[:, columns[known]])
                drawn += [
                    pd.DataFrame(key | {"input": side, "draw": range(len(drew)), "auroc": drew})
                    for side, drew in draws.items()
                ]
                counts["n_genes"] = float(np.mean([run.n_genes for run in runs]))
                done = key | counts | {"status": RAN, "reason": ""}
                rows += [done | row for row in _summarised(runs, permuted, case, draws)]
                curves.append(_curves(runs, case).assign(**key))
                log.info("%s, %s, %s: %d repeats", name, contrast, selection, len(runs))
    return (
        pd.DataFrame(rows, columns=PART_STATUS),
        _joined(curves, PART_CURVE),
        _joined(drawn, DRAW),
    )


def _source_tpm(cohort: Cohort, source: str, donors: pd.Series) -> np.ndarray:
    """Source expression of donors, TPM, shape ``(n_donors, n_genes)``."""
    rows = cohort.row_of()[cohort.donors.index.get_indexer(donors)]
    rows = rows[:, cohort.tissue_index(source)]
    if (rows < 0).any():
        name = donors.iloc[int(np.argmax(rows < 0))]
        raise InputError(f"donor {name}", f"no sample of {source}", "a source sample")
    return cohort.expr_tpm[rows]


def _inputs(
    views: Mapping[str, Tissue],
    source_tpm: np.ndarray,
    definition: str,
    genes: np.ndarray | None,
    block_genes: int,
) -> dict[str, np.ndarray]:
    """Expression of some genes (None: all) by input, ``(n_samples, n_genes)``, float32."""
    tissue = views[PREDICTED]
    genes = np.arange(tissue.n_genes) if genes is None else genes
    scale = DEFINITIONS[definition]
    unit = log2_tpm if scale == "log2_z" else np.asarray
    inputs = {OBSERVED: unit(tissue.observed_tpm[:, genes])}
    for name, view in views.items():
        values = np.empty((view.n_samples, len(genes)), np.float32)
        for start in range(0, len(genes), block_genes):
            block = slice(start, start + block_genes)
            values[:, block] = view.values(scale, genes[block]).predicted_raw.numpy()
        inputs[name] = centre(values, view.parts) if scale == "log2_z" else values
    inputs[SOURCE] = unit(source_tpm[:, genes])
    order = (OBSERVED, PREDICTED, SOURCE, BASELINE)
    return {name: inputs[name].astype(np.float32) for name in order if name in inputs}


def _choice(
    tissue: Tissue,
    definition: str,
    genes: np.ndarray | None,
    accuracy: AccuracySettings,
    block_genes: int,
) -> GeneChoice:
    """Genes of the classifier: all of those given, or chosen among training donors."""
    if genes is not None:
        return GeneChoice(np.ones(len(genes), bool))
    predicted = np.empty((tissue.n_samples, tissue.n_genes), np.float32)
    observed = np.empty_like(predicted)
    paper = definition == "predictable_paper"
    for start in range(0, tissue.n_genes, block_genes):
        block = slice(start, start + block_genes)
        values = tissue.values(DEFINITIONS[definition], block)
        predicted[:, block] = (values.predicted_raw if paper else values.predicted_z).numpy()
        observed[:, block] = (values.observed_raw if paper else values.observed_z).numpy()
    if paper:
        # One fold of all donors, and no bound on the false discovery rate.
        fold = np.zeros(tissue.n_samples, np.int64)
        return GeneChoice(None, predicted, observed, fold, PAPER_RHO, np.inf)
    fold = np.repeat(tissue.folds, [part.stop - part.start for part in tissue.parts])
    bounds = (accuracy.predictable_rho, accuracy.predictable_q, accuracy.min_donors_per_fold)
    return GeneChoice(None, predicted, observed, fold, *bounds)


def _of_rows(choice: GeneChoice, rows: np.ndarray) -> GeneChoice:
    """Choice of genes among some of the donors."""
    if choice.fixed is not None:
        return choice
    return GeneChoice(
        None, choice.predicted_z[rows], choice.observed_z[rows], choice.fold[rows],
        choice.rho, choice.q, choice.min_donors,
    )  # fmt: skip


def _why_not(counts: Mapping[str, int], settings: StatusSettings) -> str:
    """Say why a pair cannot be cross-validated; empty where it can."""
    least = _least_of_a_class(settings.classifier)
    for name in ("n_cases", "n_controls"):
        if counts[name] < least:
            return f"{counts[name]} {name[2:]}, fewer than {least}, which the folds need"
    if counts["n_genes"] < settings.min_genes:
        return f"{counts['n_genes']} predictable genes, fewer than {settings.min_genes}"
    return ""


def _least_of_a_class(classifier: ClassifierSettings) -> int:
    """Least donors of a status that give every fold, outer and inner, at least one."""
    folds, least = classifier.n_folds, classifier.n_folds
    while least - -(-least // folds) < classifier.inner_folds:
        least += 1
    return least


def _drawn(
    runs: Sequence[CrossValidation], case: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Average auROC over repeats in every bootstrap sample, by input."""
    draws = [run.drawn_auroc(case, weights) for run in runs]
    return {name: np.mean([draw[name] for draw in draws], axis=0) for name in draws[0]}


def _summarised(
    runs: Sequence[CrossValidation],
    permuted: Sequence[Mapping[str, float]],
    case: np.ndarray,
    draws: Mapping[str, np.ndarray],
) -> Iterator[dict[str, object]]:
    """Yield the fields of each input."""
    values = pd.DataFrame([run.auroc(case) for run in runs])
    null = pd.DataFrame(permuted, columns=values.columns)
    for name in values:
        mean = float(values[name].mean())
        interval = t_interval(mean, draws[name], len(case), 1)
        yield {
            "input": name,
            "auroc": mean,
            "repeats_sd": float(values[name].std()),
            "ci_low": max(interval["ci_low"], 0.0),
            "ci_high": min(interval["ci_high"], 1.0),
            "null_mean": float(null[name].mean()),
            "null_low": float(null[name].quantile(0.025)),
            "null_high": float(null[name].quantile(0.975)),
        }


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
