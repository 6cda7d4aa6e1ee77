"""The contrast of the cohort itself, which external cases and controls are compared with."""

import numpy as np
import pandas as pd

from mtm.analyses.disease.case_control import fold_changes
from mtm.analyses.disease.contrasts import contrasts, too_few
from mtm.cohort.cohort import Cohort
from mtm.cohort.scaling import log2_tpm
from mtm.errors import CannotDo, InputError
from mtm.settings.disease import DiseaseSettings
from mtm.settings.transfer import TransferSettings
from mtm.statistics.rank_sum import rank_sum
from mtm.statistics.testing import benjamini_hochberg
from mtm.vocabulary import RAN, SKIPPED, SOURCE, TARGET

REFERENCE_GENES = ["tissue", "gene_id", "log2fc_reference", "p_reference", "q_reference",
                   "controls_log2_reference"]  # fmt: skip
REFERENCE = ["contrast", "tissue", "role", "n_reference_cases", "n_reference_controls", "status",
             "reason", "n_up", "n_down", "related"]  # fmt: skip


def reference_contrast(
    cohort: Cohort, source: str, disease: DiseaseSettings, settings: TransferSettings
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Test the reference cohort's observed tissues, every donor with a known status.

    Parameters
    ----------
    cohort, source
        The reference cohort, and its source tissue, which is tested beside the targets.
    disease
        What counts as a contrast; its least numbers of cases and controls hold in every tissue.

    Returns
    -------
    pd.DataFrame
        `REFERENCE_GENES`: genes that vary, of the tissues that ran; q over the genes of a tissue.
    pd.DataFrame
        `REFERENCE`: one row a tissue; ``role`` is "target" or "source".

    Raises
    ------
    InputError
        The cohort has no such contrast.
    CannotDo
        No target tissue has enough cases and controls.
    """
    case_of = _status_of(cohort, disease, settings.contrast)
    genes, rows = [], []
    for index, tissue in enumerate(cohort.tissues):
        members = np.flatnonzero((cohort.tissue == index) & np.isfinite(case_of))
        part, counts = _test_tissue(cohort, members, case_of[members] == 1, disease, settings)
        role = SOURCE if tissue == source else TARGET
        rows.append({"contrast": settings.contrast, "tissue": tissue, "role": role} | counts)
        genes.append(part.assign(tissue=tissue))
    table = pd.DataFrame(rows, columns=REFERENCE)
    _demand_target(table, disease)
    tested = pd.concat([part for part in genes if len(part)], ignore_index=True)
    integers = {"n_up": "Int64", "n_down": "Int64", "related": "boolean"}
    return tested[REFERENCE_GENES], table.astype(integers)


def _status_of(cohort: Cohort, disease: DiseaseSettings, contrast: str) -> np.ndarray:
    """Status of every sample in a contrast: 1 a case, 0 a control, NaN unknown."""
    labels = contrasts(cohort, disease)
    names = list(dict.fromkeys(labels["contrast"]))
    if contrast not in names:
        raise InputError(
            "config key transfer.contrast",
            repr(contrast),
            f"a contrast of the cohort ({', '.join(names) or 'it has none'})",
        )
    status = labels[labels["contrast"] == contrast].set_index("sample_id")["case"]
    return status.reindex(cohort.samples.index.astype(str)).to_numpy(float)


def _test_tissue(
    cohort: Cohort,
    members: np.ndarray,
    case: np.ndarray,
    disease: DiseaseSettings,
    settings: TransferSettings,
) -> tuple[pd.DataFrame, dict[str, object]]:
    """Test the samples `members` of a tissue; return its genes, if there are enough, and row."""
    counts = int(case.sum()), int((~case).sum())
    row = dict(zip(("n_reference_cases", "n_reference_controls"), counts, strict=True))
    row["reason"] = too_few(*counts, disease)
    row["status"] = SKIPPED if row["reason"] else RAN
    if row["reason"]:
        return pd.DataFrame(), row
    genes = _test_genes(cohort.expr_tpm[members], case, settings)
    genes["gene_id"] = cohort.genes.index[genes["gene_id"]]
    found = genes["q_reference"] < settings.q_below
    row["n_up"] = int((found & (genes["log2fc_reference"] > 0)).sum())
    row["n_down"] = int((found & (genes["log2fc_reference"] < 0)).sum())
    row["related"] = max(row["n_up"], row["n_down"]) >= settings.min_de_genes
    return genes, row


def _demand_target(table: pd.DataFrame, disease: DiseaseSettings) -> None:
    """Raise unless a target tissue ran."""
    targets = table[table["role"] == TARGET]
    if not (targets["status"] == RAN).any():
        most = targets[["n_reference_cases", "n_reference_controls"]].min(axis=1).max()
        raise CannotDo(
            "transfer to an external cohort",
            f"{table['contrast'].iloc[0]}: at most {most} cases and as many controls in any "
            f"tissue, fewer than {disease.min_cases} and {disease.min_controls}",
            "lower disease.min_cases and disease.min_controls, or name another transfer.contrast",
        )


def _test_genes(
    expr_tpm: np.ndarray, case: np.ndarray, settings: TransferSettings
) -> pd.DataFrame:
    """Test the genes of a tissue that vary; ``gene_id`` is their position."""
    varying = np.flatnonzero(np.ptp(expr_tpm, axis=0) > 0)
    values = expr_tpm[:, varying]
    p = rank_sum(values, case)
    return pd.DataFrame(
        {
            "gene_id": varying,
            "log2fc_reference": fold_changes(values, case, settings.pseudo_count),
            "p_reference": p,
            "q_reference": benjamini_hochberg(p),
            "controls_log2_reference": log2_tpm(values[~case]).mean(0),
        }
    )
