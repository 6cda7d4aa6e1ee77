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

from mtm.analyses.disease.agreement import AGREEMENT, COUNTS, GENES, KEY, agreement_of
from mtm.analyses.disease.case_control import ChangesWithout, Labels, fold_changes
from mtm.analyses.disease.contrasts import too_few
from mtm.analyses.disease.gene_selection import gene_selections
from mtm.errors import NO_TPM, CannotDo
from mtm.predictions.held_out import HeldOut
from mtm.predictions.tissues import Tissue, by_tissue, of_each, tissues
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.disease import DiseaseSettings
from mtm.statistics.correlation import centre, fisher_z, row_correlation
from mtm.statistics.rank_sum import RankedGenes
from mtm.statistics.testing import benjamini_hochberg
from mtm.vocabulary import RAN, READINGS, SKIPPED, Reading

log = logging.getLogger(__name__)

# Donors of either status that the folds of a gene must have in the nested selection.
MIN_NESTED = 5
# Fold changes held at a time while samples are left out.
LEFT_OUT_VALUES = 2**18


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
        One row a gene, `KEY`, `COUNTS` and `GENES` (docs/contracts.md); log2 fold changes of cases
        over controls.
    pd.DataFrame
        One row a `KEY`: the agreement, or the reason why there is none.
    """
    if held_out.measure != "tpm":
        raise CannotDo("differential expression and disease status", *NO_TPM)
    accuracy = AccuracySettings() if accuracy is None else accuracy
    labels_of, scored = by_tissue(labels), by_tissue(gene_wise)

    def compared(tissue: Tissue) -> list[tuple[pd.DataFrame, dict[str, object]]]:
        labelled, found = labels_of[tissue.name], []
        for reading in READINGS:
            chosen = gene_selections(tissue, scored[tissue.name], reading, accuracy)
            for selection, contrast, part, row in _compare(
                tissue, reading, chosen, labelled, settings
            ):
                key = (model, reading.definition, selection, tissue.name, contrast)
                key = dict(zip(KEY, key, strict=True))
                part = part.assign(**key, **{name: row[name] for name in COUNTS})
                found.append((part, key | row))
        log.info("%s: %d contrasts", tissue.name, labelled["contrast"].nunique())
        return found

    of_tissues = of_each(compared, tissues(held_out.of_tissues(labels_of)))
    found = [of_contrast for of_tissue in of_tissues for of_contrast in of_tissue]
    genes = [part for part, _ in found if len(part)]
    rows = [row for _, row in found]
    columns = [*KEY, *COUNTS, *GENES]
    table = pd.concat(genes, ignore_index=True) if genes else pd.DataFrame(columns=columns)
    agreement = pd.DataFrame(rows, columns=[*KEY, "kind", *AGREEMENT])
    return table[columns], agreement


def _compare(
    tissue: Tissue,
    reading: Reading,
    selections: Mapping[str, np.ndarray],
    labels: pd.DataFrame,
    settings: DiseaseSettings,
) -> Iterator[tuple[str, str, pd.DataFrame, dict[str, object]]]:
    """Yield selection, contrast, genes and row of every contrast of a tissue."""
    union = np.flatnonzero(np.any([chosen.any(0) for chosen in selections.values()], 0))
    observed, predicted = expression_tpm(tissue, union, reading)
    fold = tissue.rows["fold"].to_numpy()
    for contrast, labelled in labels.groupby("contrast", sort=False):
        case = labelled.set_index("sample_id")["case"]
        status = case.reindex(tissue.rows["sample_id"]).to_numpy(float)
        for selection, chosen in selections.items():
            by_fold = dict(zip(tissue.folds, chosen[:, union], strict=True))
            part, row = _compare_labelled(observed, predicted, status, fold, by_fold, settings)
            if len(part):
                part["gene_id"] = tissue.gene_ids[union[part["gene_id"]]]
            yield selection, contrast, part, {"kind": labelled["kind"].iloc[0]} | row


def expression_tpm(
    tissue: Tissue, genes: np.ndarray, reading: Reading
) -> tuple[np.ndarray, np.ndarray]:
    """Observed and predicted TPM of some genes, ``(n_samples, n_genes)``, float32.

    Where folds are kept apart, their mean predicted log2(1+TPM) is moved to that of all folds.
    """
    predicted = tissue.values(reading.scale, genes).predicted_raw.double().cpu().numpy()
    if reading.by_fold:
        predicted = np.exp2(centre(predicted, tissue.parts) + predicted.mean(0)) - 1
    observed = tissue.observed_tpm.take(genes, axis=1)
    return observed, np.maximum(predicted, 0).astype(np.float32)


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
    labels = Labels.of(case, fold, settings)
    tested = [
        _test_block(observed_tpm, predicted_tpm, block, labels, settings.pseudo_count)
        for block in blocks
    ]
    joined = {name: np.concatenate([part[name] for part in tested], -1) for name in tested[0]}
    joined["q_observed"] = benjamini_hochberg(joined["p_observed"])
    joined["q_predicted"] = benjamini_hochberg(joined["p_predicted"])
    genes = pd.DataFrame({name: joined[name] for name in GENES})
    without = _rho_without(observed_tpm, predicted_tpm, blocks, labels, settings.pseudo_count)
    error = labels.left_out.error(fisher_z(without))
    return genes, agreement_of(joined, error, settings)


def _test_block(
    observed_tpm: np.ndarray,
    predicted_tpm: np.ndarray,
    block: _Block,
    labels: Labels,
    pseudo_count: float,
) -> dict[str, np.ndarray]:
    """Test the genes of a block on both sides, by the true labels and by permuted ones."""
    where = np.ix_(block.rows, block.genes)
    observed, predicted = observed_tpm[where], predicted_tpm[where]
    case, permuted = labels.case[block.rows], labels.permuted[:, block.rows]
    ranked = RankedGenes.of(predicted)
    return {
        "gene_id": block.genes,
        "n": np.full(len(block.genes), len(block.rows)),
        "p_observed": RankedGenes.of(observed).test(case),
        "p_predicted": ranked.test(case),
        "deviates_null": ranked.deviates(permuted),
        "log2fc_observed": fold_changes(observed, case, pseudo_count),
        "log2fc_predicted": fold_changes(predicted, case, pseudo_count),
        "log2fc_null": fold_changes(predicted, permuted, pseudo_count),
        "log2fc_null_observed": fold_changes(observed, permuted, pseudo_count),
    }


def _rho_without(
    observed_tpm: np.ndarray,
    predicted_tpm: np.ndarray,
    blocks: Sequence[_Block],
    labels: Labels,
    pseudo_count: float,
) -> np.ndarray:
    """Correlate fold changes with samples left out, a few draws at a time."""
    gone = labels.left_out.gone
    n_draws = max(1, LEFT_OUT_VALUES // sum(len(block.genes) for block in blocks))
    counted = [np.isin(np.arange(len(labels.case)), block.rows) for block in blocks]
    # An index would put genes, not samples, one after the other in memory.
    sides = [
        [
            ChangesWithout(side.take(block.genes, axis=1), labels.case, pseudo_count, own)
            for block, own in zip(blocks, counted, strict=True)
        ]
        for side in (observed_tpm, predicted_tpm)
    ]
    rho = []
    for start in range(0, len(gone), n_draws):
        part = gone[start : start + n_draws]
        changes = [np.concatenate([block.of(part) for block in side], axis=1) for side in sides]
        rho.append(row_correlation(*changes))
    return np.concatenate(rho)
