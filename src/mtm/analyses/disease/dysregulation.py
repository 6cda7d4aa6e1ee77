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
from functools import partial

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
# Which genes each fold's donors are tested on, ``(n_folds, n_genes)``, by reading and selection.
_Chosen = Mapping[tuple[Reading, str], np.ndarray]
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
        chosen = {
            (reading, selection): genes
            for reading in READINGS
            for selection, genes in gene_selections(
                tissue, scored[tissue.name], reading, accuracy
            ).items()
        }
        return _compare(tissue, model, chosen, labels_of[tissue.name], settings)

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
    model: str,
    chosen: _Chosen,
    labels: pd.DataFrame,
    settings: DiseaseSettings,
) -> list[tuple[pd.DataFrame, dict[str, object]]]:
    """Genes and row of every reading, contrast and selection of a tissue."""
    union = np.flatnonzero(np.any([genes.any(0) for genes in chosen.values()], 0))
    chosen = {key: genes[:, union] for key, genes in chosen.items()}
    sides = _Sides(
        tissue.observed_tpm.take(union, axis=1),
        {reading: predicted_tpm(tissue, union, reading) for reading in READINGS},
        tissue.rows["fold"].to_numpy(),
    )
    found: dict[Reading, list] = {reading: [] for reading in READINGS}
    for contrast, labelled in labels.groupby("contrast", sort=False):
        case = labelled.set_index("sample_id")["case"]
        status = case.reindex(tissue.rows["sample_id"]).to_numpy(float)
        kind = labelled["kind"].iloc[0]
        for (reading, selection), part, row in sides.compared(
            status, tissue.folds, chosen, settings
        ):
            if len(part):
                part["gene_id"] = tissue.gene_ids[union[part["gene_id"]]]
            key = (model, reading.definition, selection, tissue.name, contrast)
            key = dict(zip(KEY, key, strict=True))
            part = part.assign(**key, **{name: row[name] for name in COUNTS})
            found[reading].append((part, key | {"kind": kind} | row))
    log.info("%s: %d contrasts", tissue.name, labels["contrast"].nunique())
    return [one for of_reading in found.values() for one in of_reading]


def predicted_tpm(tissue: Tissue, genes: np.ndarray, reading: Reading) -> np.ndarray:
    """Predicted TPM of some genes, not below 0, ``(n_samples, n_genes)``, float32.

    Where folds are kept apart, their mean predicted log2(1+TPM) is moved to that of all folds.
    """
    predicted = tissue.values(reading.scale, genes).predicted_raw.double().cpu().numpy()
    if reading.by_fold:
        predicted = np.exp2(centre(predicted, tissue.parts) + predicted.mean(0)) - 1
    return np.maximum(predicted, 0).astype(np.float32)


@dataclass(frozen=True)
class _Sides:
    """What was observed of a tissue and, by reading, predicted, TPM, ``(n_samples, n_genes)``."""

    observed: np.ndarray
    predicted: Mapping[Reading, np.ndarray]
    fold: np.ndarray

    def compared(
        self, status: np.ndarray, folds: Sequence[int], chosen: _Chosen, settings: DiseaseSettings
    ) -> Iterator[tuple[tuple[Reading, str], pd.DataFrame, dict[str, object]]]:
        """Yield genes and row of each reading and selection; `status` is NaN where unknown."""
        known = np.isin(status, (0, 1))
        case, fold = status[known] == 1, self.fold[known]
        counts = {"n_cases": int(case.sum()), "n_controls": int((~case).sum())}
        few = too_few(*counts.values(), settings)
        blocks = {
            key: [] if few else list(_blocks(folds, genes, case, fold))
            for key, genes in chosen.items()
        }
        n_genes = {key: sum(len(block.genes) for block in of) for key, of in blocks.items()}
        run = {
            key: blocks[key] for key, n in n_genes.items() if not few and n >= settings.min_genes
        }
        if run:
            labels = Labels.of(case, fold, settings)
            tested = partial(_Side, labels=labels, pseudo_count=settings.pseudo_count)
            observed = tested(self.observed[known], sum(run.values(), []))
            predicted = {
                reading: tested(
                    expr_tpm[known],
                    sum((of for key, of in run.items() if key[0] is reading), []),
                    null=True,
                )
                for reading, expr_tpm in self.predicted.items()
            }
        for key, n in n_genes.items():
            about = counts | {"n_genes": n}
            if key in run:
                sides = observed, predicted[key[0]]
                genes, agreement = _compare_sides(*sides, run[key], labels, settings)
                yield key, genes, about | {"status": RAN, "reason": ""} | agreement
            else:
                fewer = f"{n} predictable genes, fewer than {settings.min_genes}"
                yield key, pd.DataFrame(), about | {"status": SKIPPED, "reason": few or fewer}


def _blocks(
    folds: Sequence[int], chosen: np.ndarray, case: np.ndarray, fold: np.ndarray
) -> Iterator[_Block]:
    """Group genes by the folds whose donors they are tested on; `chosen` has a row a fold."""
    if not chosen.any():
        return
    patterns, of_gene = np.unique(chosen.T, axis=0, return_inverse=True)
    for index, pattern in enumerate(patterns):
        rows = np.flatnonzero(np.isin(fold, np.array(folds)[pattern]))
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
    tested = partial(_Side, blocks=blocks, labels=labels, pseudo_count=settings.pseudo_count)
    sides = tested(observed_tpm), tested(predicted_tpm, null=True)
    return _compare_sides(*sides, blocks, labels, settings)


class _Side:
    """Expression of one side under the labels of a contrast.

    Genes that are tested on all samples are so once, whichever reading and selection asks.

    Parameters
    ----------
    expr_tpm
        Shape ``(n_samples, n_genes)``.
    blocks
        All that will be tested.
    labels, pseudo_count
        Of the contrast.
    null
        Whether deviates by permuted labels are wanted.
    """

    def __init__(
        self,
        expr_tpm: np.ndarray,
        blocks: Sequence[_Block],
        labels: Labels,
        pseudo_count: float,
        null: bool = False,
    ):
        self.expr_tpm, self._labels = expr_tpm, labels
        self._pseudo_count, self._null = pseudo_count, null
        whole = [block.genes for block in blocks if len(block.rows) == len(expr_tpm)]
        self._genes = np.unique(np.concatenate([np.empty(0, np.int64), *whole]))
        self._whole = self._tested(_Block(self._genes, np.arange(len(expr_tpm))))

    def tested(self, block: _Block) -> dict[str, np.ndarray]:
        """Test the genes of a block by the true labels and by permuted ones."""
        if len(block.rows) < len(self.expr_tpm):
            return self._tested(block)
        places = np.searchsorted(self._genes, block.genes)
        return {name: values.take(places, axis=-1) for name, values in self._whole.items()}

    def _tested(self, block: _Block) -> dict[str, np.ndarray]:
        values = self.expr_tpm[np.ix_(block.rows, block.genes)]
        case = self._labels.case[block.rows]
        permuted = self._labels.permuted[:, block.rows]
        ranked = RankedGenes.of(values)
        deviates = {"deviates_null": ranked.deviates(permuted)} if self._null else {}
        return deviates | {
            "p": ranked.test(case),
            "log2fc": fold_changes(values, case, self._pseudo_count),
            "log2fc_null": fold_changes(values, permuted, self._pseudo_count),
        }


def _compare_sides(
    observed: _Side,
    predicted: _Side,
    blocks: Sequence[_Block],
    labels: Labels,
    settings: DiseaseSettings,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Compare the genes of some blocks, as `compare_expression` does."""
    tested = [_of_block(observed, predicted, block) for block in blocks]
    joined = {name: np.concatenate([part[name] for part in tested], -1) for name in tested[0]}
    joined["q_observed"] = benjamini_hochberg(joined["p_observed"])
    joined["q_predicted"] = benjamini_hochberg(joined["p_predicted"])
    genes = pd.DataFrame({name: joined[name] for name in GENES})
    sides = observed.expr_tpm, predicted.expr_tpm
    without = _rho_without(*sides, blocks, labels, settings.pseudo_count)
    error = labels.left_out.error(fisher_z(without))
    return genes, agreement_of(joined, error, settings)


def _of_block(observed: _Side, predicted: _Side, block: _Block) -> dict[str, np.ndarray]:
    """Both sides' tests of a block's genes."""
    real, told = observed.tested(block), predicted.tested(block)
    return {
        "gene_id": block.genes,
        "n": np.full(len(block.genes), len(block.rows)),
        "p_observed": real["p"],
        "p_predicted": told["p"],
        "deviates_null": told["deviates_null"],
        "log2fc_observed": real["log2fc"],
        "log2fc_predicted": told["log2fc"],
        "log2fc_null": told["log2fc_null"],
        "log2fc_null_observed": real["log2fc_null"],
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
