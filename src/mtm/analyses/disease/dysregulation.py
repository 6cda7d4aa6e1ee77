"""Is the dysregulation of a disease kept in predicted expression? (He et al. 2023, Fig 3a-b).

Wilcoxon's rank-sum test and log2 fold changes of mean TPM between cases and controls, over the
predictable genes of a tissue, in observed expression and in held-out predictions of the same
donors (methods 3, R18-R19). Two readings (methods 6.1, 6.6), one a definition of predictable:

- ``predictable``: predictions of different folds come from different models, so each gene's
  predicted log2(1+TPM) is moved within every fold of the tissue to one and the same mean (over all
  held-out donors of the fold, whatever their label) before it is tested.
- ``predictable_paper``: predictions of all folds together in TPM, as the paper.

And two selections of genes. ``all_folds``: genes that are predictable over the same donors who
are then tested, as the paper. ``nested``: donors of a fold are tested on a gene only where the
gene is predictable over the held-out donors of the other folds, so no donor is tested on a gene
it helped to choose. Genes that some folds choose alone are tested on the donors of those folds.

Genes move together, so overlaps and F1 are high by luck more often than a hypergeometric test
says. Two nulls permute the labels of donors within fold. ``*_null``: on the predicted side alone,
what predictions that know nothing of these donors give. ``rho_chance``: the same permuted labels
on both sides, what labels without meaning give; it lies above 0, because a gene that is predicted
follows its observation whatever the donors are sorted by.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from mtm.analyses.accuracy.predictable_genes import PAPER_RHO
from mtm.analyses.disease.agreement import AGREEMENT, GENES, KEY, _agreement, _log2_ratio
from mtm.analyses.disease.contrasts import too_few
from mtm.predictions.held_out import HeldOut
from mtm.predictions.tissues import BLOCK_GENES, Tissue, tissues
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.disease import DiseaseSettings
from mtm.statistics.correlation import centre, fisher_z, pearson
from mtm.statistics.rank_sum import RankedGenes
from mtm.statistics.testing import benjamini_hochberg
from mtm.vocabulary import DEFINITIONS, RAN, READINGS, SELECTIONS, SKIPPED, Reading

log = logging.getLogger(__name__)


# Donors of either status that the folds of a gene must have in the nested selection.
MIN_NESTED = 5


@dataclass(frozen=True)
class _Block:
    """Genes that are tested on the same samples: positions of genes and of samples."""

    genes: np.ndarray
    rows: np.ndarray


def differential_expression(
    held_out: HeldOut,
    model: str,
    labels: pd.DataFrame,
    gene_wise: pd.DataFrame,
    settings: DiseaseSettings,
    accuracy: AccuracySettings | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare predicted and observed differential expression in every tissue and contrast.

    Parameters
    ----------
    held_out
        From `mtm.predictions.held_out.read_held_out`.
    model
        Name written into the tables.
    labels
        Cases and controls, as from `mtm.analyses.disease.contrasts.contrast_table`.
    gene_wise
        ``accuracy/gene_wise/{model}.parquet``.
    settings
        The disease section of the config.
    accuracy
        The accuracy section, which defines predictable genes of the nested selection.

    Returns
    -------
    pd.DataFrame
        One row a gene, `KEY` and `GENES` (docs/contracts.md); log2 fold changes of cases over
        controls.
    pd.DataFrame
        One row a `KEY`: the agreement, or the reason why there is none.
    """
    accuracy = AccuracySettings() if accuracy is None else accuracy
    genes, rows = [], []
    by_tissue = dict(iter(labels.groupby("tissue", sort=False)))
    for tissue in tissues(held_out.of_tissues(by_tissue)):
        name, samples = tissue.name, tissue.rows
        for reading in READINGS:
            choices = _selected(tissue, gene_wise, reading, accuracy)
            union = np.flatnonzero(np.any([chosen.any(0) for chosen in choices.values()], 0))
            observed, values = expression_tpm(tissue, union, reading.scale)
            for contrast, labelled in by_tissue[name].groupby("contrast", sort=False):
                status = labelled.set_index("sample_id")["case"].reindex(samples["sample_id"])
                for selection, chosen in choices.items():
                    key = (model, reading.definition, selection, name, contrast)
                    part, row = _compare_labelled(
                        observed,
                        values,
                        status.to_numpy(float),
                        samples["fold"].to_numpy(),
                        dict(zip(tissue.folds, chosen[:, union], strict=True)),
                        settings,
                    )
                    key = dict(zip(KEY, key, strict=True))
                    rows.append(key | {"kind": labelled["kind"].iloc[0]} | row)
                    if len(part):
                        part["gene_id"] = held_out.gene_ids[union[part["gene_id"]]]
                        genes.append(part.assign(**key))
        log.info("%s: %d contrasts", name, by_tissue[name]["contrast"].nunique())
    table = pd.concat(genes, ignore_index=True) if genes else pd.DataFrame(columns=[*KEY, *GENES])
    agreement = pd.DataFrame(rows, columns=[*KEY, "kind", *AGREEMENT])
    return table[[*KEY, *GENES]], agreement


def expression_tpm(tissue: Tissue, genes: np.ndarray, scale: str) -> tuple[np.ndarray, np.ndarray]:
    """Observed and predicted TPM of some genes, ``(n_samples, n_genes)``, float32.

    On ``"log2_z"`` the mean predicted log2(1+TPM) of every fold is moved to that of all folds.
    """
    predicted = tissue.values(scale, genes).predicted_raw.cpu().numpy()
    if scale == "log2_z":
        predicted = np.exp2(centre(predicted, tissue.parts) + predicted.mean(0)) - 1
    return tissue.observed_tpm[:, genes], np.maximum(predicted, 0).astype(np.float32)


def _selected(
    tissue: Tissue, gene_wise: pd.DataFrame, reading: Reading, accuracy: AccuracySettings
) -> dict[str, np.ndarray]:
    """Which genes each fold's donors are tested on, ``(n_folds, n_genes)``, by selection."""
    chosen = (
        np.tile(tissue.predictable(gene_wise, reading), (len(tissue.folds), 1)),
        predictable_elsewhere(tissue, reading.definition, accuracy),
    )
    return dict(zip(SELECTIONS, chosen, strict=True))


def predictable_elsewhere(
    tissue: Tissue, definition: str, accuracy: AccuracySettings, block_genes: int = BLOCK_GENES
) -> np.ndarray:
    """Which genes are predictable over the held-out donors of all folds but one.

    ``predictable``: Fisher-z averaged rho of the other folds above the config's bound, with q
    below its bound; P from the normal distribution of Fisher's z, one-sided.
    ``predictable_paper``: rho of the other folds' values in TPM, put together, above 0.3.

    Returns
    -------
    np.ndarray
        Shape ``(n_folds, n_genes)``, bool; all False where a tissue has one fold.
    """
    n_folds, n_genes = len(tissue.folds), tissue.n_genes
    chosen = np.zeros((n_folds, n_genes), bool)
    if n_folds < 2:
        return chosen
    scale = DEFINITIONS[definition]
    sizes = np.array([part.stop - part.start for part in tissue.parts])
    fold_z = np.full((n_folds, n_genes), np.nan)
    for start in range(0, n_genes, block_genes):
        genes = slice(start, min(start + block_genes, n_genes))
        values = tissue.values(scale, genes)
        for index, part in enumerate(tissue.parts):
            if definition == "predictable_paper":
                others = np.setdiff1d(
                    np.arange(tissue.n_samples), np.arange(tissue.n_samples)[part]
                )
                rho = pearson(values.predicted_raw[others], values.observed_raw[others], 0)
                chosen[index, genes] = (rho > PAPER_RHO).numpy()
            elif sizes[index] >= accuracy.min_donors_per_fold:
                rho = pearson(values.predicted_z[part], values.observed_z[part], 0)
                fold_z[index, genes] = fisher_z(rho).numpy()
    if definition == "predictable_paper":
        return chosen
    weights = np.where(np.isfinite(fold_z), sizes[:, None] - 3, 0)
    weighted = weights * np.nan_to_num(fold_z)
    for index in range(n_folds):
        total = weights.sum(0) - weights[index]
        with np.errstate(invalid="ignore", divide="ignore"):
            mean_z = (weighted.sum(0) - weighted[index]) / total
        p = np.where(total > 0, stats.norm.sf(mean_z * np.sqrt(total)), np.nan)
        q = benjamini_hochberg(p)
        high = np.tanh(mean_z) > accuracy.predictable_rho
        chosen[index] = high & (q < accuracy.predictable_q)
    return chosen


def _compare_labelled(
    observed_tpm: np.ndarray,
    predicted_tpm: np.ndarray,
    status: np.ndarray,
    fold: np.ndarray,
    chosen: Mapping[int, np.ndarray],
    settings: DiseaseSettings,
) -> tuple[pd.DataFrame, dict[str, object]]:
    """Compare one contrast of one tissue: `status` is NaN where unknown, `chosen` by fold."""
    known = np.isin(status, (0, 1))
    case, fold = status[known] == 1, fold[known]
    counts = {"n_cases": int(case.sum()), "n_controls": int((~case).sum())}
    reason = too_few(*counts.values(), settings)
    blocks = [] if reason else list(_blocks(chosen, case, fold))
    n_genes = sum(len(block.genes) for block in blocks)
    counts["n_genes"] = n_genes
    if not reason and n_genes < settings.min_genes:
        reason = f"{n_genes} predictable genes, fewer than {settings.min_genes}"
    if reason:
        return pd.DataFrame(), counts | {"status": SKIPPED, "reason": reason}
    genes, agreement = compare_expression(
        observed_tpm[known], predicted_tpm[known], case, fold, settings, blocks
    )
    return genes, counts | {"status": RAN, "reason": ""} | agreement


def _blocks(
    chosen: Mapping[int, np.ndarray], case: np.ndarray, fold: np.ndarray
) -> Iterator[_Block]:
    """Group genes by the folds whose donors they are tested on."""
    folds, stacked = np.array(list(chosen)), np.stack(list(chosen.values()))
    if not stacked.any():
        return
    patterns, of_gene = np.unique(stacked.T, axis=0, return_inverse=True)
    for index, pattern in enumerate(patterns):
        rows = np.flatnonzero(np.isin(fold, folds[pattern]))
        if min(case[rows].sum(), (~case[rows]).sum()) >= MIN_NESTED:
            yield _Block(np.flatnonzero(of_gene.ravel() == index), rows)


def compare_expression(
    observed_tpm: np.ndarray,
    predicted_tpm: np.ndarray,
    case: np.ndarray,
    fold: np.ndarray,
    settings: DiseaseSettings,
    blocks: Sequence[_Block] | None = None,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Test cases against controls in observed and predicted expression, and compare the results.

    Parameters
    ----------
    observed_tpm, predicted_tpm
        Shape ``(n_samples, n_genes)``, TPM, predictions not below 0.
    case
        Shape ``(n_samples,)``, bool.
    fold
        Fold of each sample; labels are permuted within folds.
    blocks
        Genes by the samples they are tested on; None tests all on all.

    Returns
    -------
    pd.DataFrame
        `GENES`, with the position of the gene as ``gene_id``.
    dict
        The fields `MEASURES`.
    """
    if blocks is None:
        blocks = [_Block(np.arange(observed_tpm.shape[1]), np.arange(len(case)))]
    rng = np.random.default_rng([settings.seed, len(case)])
    permuted = permuted_labels(case, fold, settings.permutations, rng)
    drawn = _bootstrap_weights(case, settings.bootstraps, rng)
    sides: dict[str, list[np.ndarray]] = {}

    def add(**arrays: np.ndarray) -> None:
        for name, array in arrays.items():
            sides.setdefault(name, []).append(array)

    for block in blocks:
        rows, mine = block.rows, case[block.rows]
        observed = observed_tpm[np.ix_(rows, block.genes)]
        predicted = predicted_tpm[np.ix_(rows, block.genes)]
        ranked = RankedGenes.of(predicted)
        pseudo = settings.pseudo_count
        add(
            gene_id=block.genes,
            n=np.full(len(block.genes), len(rows)),
            p_observed=RankedGenes.of(observed).test(mine),
            p_predicted=ranked.test(mine),
            p_null=ranked.test(permuted[:, rows]),
            log2fc_observed=log2_fold_change(observed, mine, pseudo),
            log2fc_predicted=log2_fold_change(predicted, mine, pseudo),
            log2fc_null=log2_fold_change(predicted, permuted[:, rows], pseudo),
            log2fc_null_observed=log2_fold_change(observed, permuted[:, rows], pseudo),
            log2fc_observed_drawn=_drawn_fold_change(observed, mine, drawn[:, rows], pseudo),
            log2fc_predicted_drawn=_drawn_fold_change(predicted, mine, drawn[:, rows], pseudo),
        )
    joined = {name: np.concatenate(arrays, axis=-1) for name, arrays in sides.items()}
    joined["q_observed"] = benjamini_hochberg(joined["p_observed"])
    joined["q_predicted"] = benjamini_hochberg(joined["p_predicted"])
    genes = pd.DataFrame({name: joined[name] for name in GENES})
    return genes, _agreement(joined, len(case), settings)


def permuted_labels(
    case: np.ndarray, fold: np.ndarray, n_permutations: int, rng: np.random.Generator
) -> np.ndarray:
    """Permute labels within folds, shape ``(n_permutations, n_samples)``, bool."""
    labels = np.tile(case, (n_permutations, 1))
    for index in np.unique(fold):
        rows = np.flatnonzero(fold == index)
        labels[:, rows] = rng.permuted(labels[:, rows], axis=1)
    return labels


def _bootstrap_weights(
    case: np.ndarray, n_bootstraps: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw cases and controls with replacement, each among themselves: how often each."""
    weights = np.zeros((n_bootstraps, len(case)), np.float32)
    for rows in (np.flatnonzero(case), np.flatnonzero(~case)):
        weights[:, rows] = rng.multinomial(
            len(rows), np.full(len(rows), 1 / len(rows)), n_bootstraps
        )
    return weights


def log2_fold_change(expr_tpm: np.ndarray, case: np.ndarray, pseudo_count: float) -> np.ndarray:
    """Return log2 of mean TPM of cases over that of controls, each plus the pseudo-count.

    Parameters
    ----------
    expr_tpm
        Shape ``(n_samples, n_genes)``.
    case
        Shape ``(n_samples,)`` or ``(n_labels, n_samples)``, bool.
    """
    labels = np.atleast_2d(case)
    result = _log2_ratio(expr_tpm, labels, ~labels, pseudo_count)
    return result if case.ndim == 2 else result[0]


def _drawn_fold_change(
    expr_tpm: np.ndarray, case: np.ndarray, weights: np.ndarray, pseudo_count: float
) -> np.ndarray:
    """Log2 fold changes of bootstrap samples, ``(n_bootstraps, n_genes)``."""
    return _log2_ratio(expr_tpm, weights * case, weights * ~case, pseudo_count)
