"""Does a disease's dysregulation reach new people's tissues? (He et al. 2023, Fig 4).

Blood of an external cohort of cases and controls is aligned to the training blood, taken through
a model that was fitted without these people, and the log2 fold changes of the predicted tissues
are correlated over genes with those of observed tissues of the reference cohort (methods 3, R21).

Alignment gives every gene the mean and sd it has in the training blood: of log2(1+TPM)
(``log2``), of TPM (``tpm``; the paper does not say which), or not at all (``none``). It uses all
external samples, whatever their group. Tissues with enough differentially expressed genes in the
reference are called related to the disease; are they predicted better than others?

Fold changes cannot tell whether predictions are of the right size: what shifts a gene in all
people leaves a linear model's fold changes nearly as they are. So the distance of predicted from
reference controls stands beside them: the difference of mean log2(1+TPM), median over genes.

Each person counts once. Intervals leave out external donors, with the reference and the alignment
as they are. The null permutes their groups, within a sex where it is known. Genes move together
and the tissues are predicted from the same blood, so neither genes nor tissues are independent:
the P of a rank-sum test over tissues (the paper's) stands beside one that permutes groups.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm.analyses.disease.case_control import ChangesWithout, Labels, fold_changes
from mtm.analyses.transfer.external import ExternalCohort
from mtm.analyses.transfer.predicting import predicted_tissues, to_training
from mtm.analyses.transfer.reference import DONORS, REFERENCE
from mtm.analyses.transfer.related_tissues import compare_groups
from mtm.cohort.scaling import log2_tpm
from mtm.models.base import Predictor
from mtm.settings.transfer import TransferSettings
from mtm.statistics.correlation import fisher_z, row_correlation
from mtm.statistics.jackknife import LeftOut, fisher_interval
from mtm.statistics.over_tissues import known_mean
from mtm.statistics.rank_sum import rank_sum
from mtm.statistics.testing import (
    ROUNDING,
    benjamini_hochberg,
    permutation_p,
    quantile_interval,
)
from mtm.vocabulary import RAN, TARGET

AGREEMENT = ["model", "alignment", "genes", *REFERENCE, "n_cases", "n_controls", "n_genes",
             "n_de_predicted", "rho_log2fc", "ci_low", "ci_high", "null_mean", "null_low",
             "null_high", "p", "q", "sign_consistency", "level_error_log2"]  # fmt: skip
GENES = ["model", "alignment", "tissue", "gene_id", *DONORS, "n_cases", "n_controls",
         "log2fc_reference", "q_reference", "log2fc_predicted", "q_predicted",
         "predictable"]  # fmt: skip


def transfer_agreement(
    model: Predictor,
    name: str,
    external: ExternalCohort,
    training_tpm: np.ndarray,
    source: str,
    reference_genes: pd.DataFrame,
    reference: pd.DataFrame,
    settings: TransferSettings,
    predictable: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Predict the external people's tissues, and compare fold changes with the reference's.

    Parameters
    ----------
    model, name
        Fitted without any of these people, and its name in the tables.
    training_tpm, source
        From `training_source`, and the tissue of the external samples.
    reference_genes, reference
        From `reference_contrast`.
    predictable
        Columns ``tissue`` and ``gene_id``: the model's predictable genes; None leaves the gene
        set "predictable" out.

    Returns
    -------
    pd.DataFrame
        `AGREEMENT`: one row an alignment, set of genes and tissue, then the tissues that did not
        run. The row of the source tissue is of the external expression itself, no prediction.
    pd.DataFrame
        From `compare_groups`.
    pd.DataFrame
        `GENES`, of the first alignment.

    Raises
    ------
    InputError
        Genes do not match, or the model needs a covariate that the external table lacks.
    """
    external = external.kept()
    labels = Labels.of(external.case, external.sex, settings)
    known = _reference_tissues(model, reference_genes, reference, predictable)
    rows, genes, null = [], [], {}
    for alignment in settings.alignments:
        align, least = to_training(training_tpm, alignment), settings.min_gene_overlap
        for tissue, values in predicted_tissues(model, external, align, source, least, known):
            compared = _Compared.of(values, known[tissue], labels, settings)
            for gene_set, kept in known[tissue].gene_sets.items():
                key = {"model": name, "alignment": alignment, "genes": gene_set}
                fields_, null[alignment, gene_set, tissue] = compared.agreement(kept, settings)
                rows.append(key | known[tissue].row | labels.counts | fields_)
            if alignment == settings.alignments[0]:
                about = {"model": name, "alignment": alignment} | labels.counts
                genes.append(compared.by_gene().assign(**about))
    table = _with_q_values(pd.DataFrame(rows, columns=AGREEMENT))
    summary = compare_groups(table, null)
    left_out = reference[reference["status"] != RAN].assign(model=name).reindex(columns=AGREEMENT)
    table = pd.concat([table, left_out], ignore_index=True) if len(left_out) else table
    return table, summary, pd.concat(genes, ignore_index=True)[GENES]


@dataclass(frozen=True)
class _ReferenceTissue:
    """A tissue of the reference that ran: its row, its genes, and which of them are compared.

    `place` are the genes' positions among the model's.
    """

    row: dict[str, object]
    genes: pd.DataFrame
    place: np.ndarray
    predictable: np.ndarray
    gene_sets: dict[str, np.ndarray]


def _reference_tissues(
    model: Predictor,
    genes: pd.DataFrame,
    reference: pd.DataFrame,
    predictable: pd.DataFrame | None,
) -> dict[str, _ReferenceTissue]:
    """Return the tissues of the reference that ran, by name."""
    of_tissue = dict(iter(genes.groupby("tissue", sort=False)))
    chosen = {} if predictable is None else dict(iter(predictable.groupby("tissue")["gene_id"]))
    ran = reference[reference["status"] == RAN].set_index("tissue", drop=False)
    result = {}
    for tissue in ran.index:
        row, part = ran.loc[tissue].to_dict(), of_tissue[tissue]
        own = part["gene_id"].isin(chosen.get(tissue, ())).to_numpy()
        gene_sets = {"all": np.ones(len(part), bool)}
        if predictable is not None and row["role"] == TARGET:
            gene_sets["predictable"] = own
        place = model.genes.index.get_indexer(part["gene_id"])
        result[tissue] = _ReferenceTissue(row, part, place, own, gene_sets)
    return result


def _with_q_values(table: pd.DataFrame) -> pd.DataFrame:
    """Add Benjamini and Hochberg's q over the target tissues of an alignment and set of genes."""
    targets = table["role"] == TARGET
    groups = [table[column].where(targets) for column in ("alignment", "genes")]
    q = table.groupby(groups)["p"].transform(lambda p: benjamini_hochberg(p.to_numpy()))
    return table.assign(q=q)


@dataclass(frozen=True)
class _Compared:
    """Fold changes of one tissue's genes: reference, predicted, permuted, with donors left out."""

    tissue: _ReferenceTissue
    measured: np.ndarray
    log2fc: np.ndarray
    q: np.ndarray
    permuted: np.ndarray
    without: np.ndarray
    left_out: LeftOut
    level_error_log2: np.ndarray

    @classmethod
    def of(
        cls,
        expr_tpm: np.ndarray,
        tissue: _ReferenceTissue,
        labels: Labels,
        settings: TransferSettings,
    ) -> "_Compared":
        """Test expression of all of the model's genes, ``(n_samples, n_genes)``; NaN: unknown."""
        expr_tpm = expr_tpm[:, tissue.place]
        measured = ~np.isnan(expr_tpm).any(0)
        expr_tpm = np.where(measured, expr_tpm, 0)
        case, pseudo = labels.case, settings.pseudo_count
        controls = log2_tpm(expr_tpm[~case]).mean(0)
        q = np.full(len(measured), np.nan)
        q[measured] = benjamini_hochberg(rank_sum(expr_tpm[:, measured], case))
        return cls(
            tissue,
            measured,
            np.where(measured, fold_changes(expr_tpm, case, pseudo), np.nan),
            q,
            fold_changes(expr_tpm, labels.permuted, pseudo),
            ChangesWithout(expr_tpm, case, pseudo).of(labels.left_out.gone),
            labels.left_out,
            np.abs(controls - tissue.genes["controls_log2_reference"]),
        )

    def by_gene(self) -> pd.DataFrame:
        """Genes with their fold changes in the reference and predicted."""
        columns = ["tissue", "gene_id", *DONORS, "log2fc_reference", "q_reference"]
        return self.tissue.genes[columns].assign(
            log2fc_predicted=self.log2fc,
            q_predicted=self.q,
            predictable=self.tissue.predictable,
        )

    def agreement(
        self, kept: np.ndarray, settings: TransferSettings
    ) -> tuple[dict[str, float], np.ndarray]:
        """Measure the agreement over some genes; return it and the null's correlations."""
        kept = kept & self.measured
        fields_: dict[str, float] = {"n_genes": int(kept.sum())}
        if kept.sum() < 3:
            return fields_, np.full(len(self.permuted), np.nan)
        reference = self.tissue.genes["log2fc_reference"].to_numpy()[kept]
        predicted = self.log2fc[kept]
        rho = float(row_correlation(predicted, reference)[0])
        null = row_correlation(self.permuted[:, kept], reference)
        without = row_correlation(self.without[:, kept], reference)
        ci_low, ci_high = fisher_interval(rho, self.left_out.error(fisher_z(without)))
        null_low, null_high = quantile_interval(null)
        fields_ |= {
            "n_de_predicted": int((self.q[kept] < settings.q_below).sum()),
            "rho_log2fc": rho,
            "ci_low": ci_low,
            "ci_high": ci_high,
            "null_mean": float(known_mean(null)),
            "null_low": null_low,
            "null_high": null_high,
            "p": permutation_p(rho, null, ROUNDING),
            "sign_consistency": float((np.sign(predicted) == np.sign(reference)).mean()),
            "level_error_log2": float(np.median(self.level_error_log2[kept])),
        }
        return fields_, null
