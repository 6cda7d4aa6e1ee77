"""The cohort's own contrast, which external groups are compared with."""

import numpy as np
import pandas as pd

from mtm.analyses.disease.contrasts import contrasts, too_few
from mtm.cohort.cohort import Cohort
from mtm.cohort.scaling import log2_tpm
from mtm.errors import InputError
from mtm.settings.disease import DiseaseSettings
from mtm.settings.transfer import TransferSettings
from mtm.statistics.rank_sum import rank_sum
from mtm.statistics.testing import benjamini_hochberg
from mtm.vocabulary import RAN, SKIPPED, SOURCE, TARGET

REFERENCE_GENES = ["tissue", "gene_id", "log2fc_reference", "p_reference", "q_reference",
                   "controls_log2_reference"]  # fmt: skip


REFERENCE = ["contrast", "tissue", "role", "n_reference_cases", "n_reference_controls", "status",
             "reason", "n_up", "n_down", "related"]  # fmt: skip


def fold_changes(
    expr_tpm: np.ndarray, cases: np.ndarray, controls: np.ndarray, pseudo_count: float
) -> np.ndarray:
    """Log2 of mean TPM of cases over that of controls, each plus the pseudo-count.

    Parameters
    ----------
    expr_tpm
        Shape ``(n_samples, n_genes)``.
    cases, controls
        How often each sample counts, shape ``(n_draws, n_samples)``.

    Returns
    -------
    np.ndarray
        Shape ``(n_draws, n_genes)``, float32 for many draws, else float64.
    """
    dtype = np.float64 if len(cases) == 1 else np.float32
    values = expr_tpm.astype(dtype, copy=False)
    means = [
        weights.astype(dtype) @ values / weights.sum(1, keepdims=True).astype(dtype)
        + dtype(pseudo_count)
        for weights in (cases, controls)
    ]
    return np.log2(means[0]) - np.log2(means[1])


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
        The cohort has no such contrast, or no target tissue has enough cases and controls.
    """
    labels = contrasts(cohort, disease)
    names = list(dict.fromkeys(labels["contrast"]))
    labels = labels[labels["contrast"] == settings.contrast]
    if labels.empty:
        raise InputError(
            "config key transfer.contrast",
            repr(settings.contrast),
            f"a contrast of the cohort ({', '.join(names) or 'it has none'})",
        )
    status = labels.set_index("sample_id")["case"]
    case_of = status.reindex(cohort.samples.index.astype(str)).to_numpy(float)
    genes, rows = [], []
    for index, tissue in enumerate(cohort.tissues):
        members = np.flatnonzero((cohort.tissue == index) & np.isfinite(case_of))
        case = case_of[members] == 1
        counts = int(case.sum()), int((~case).sum())
        row = {"contrast": settings.contrast, "tissue": tissue}
        row |= {"role": SOURCE if tissue == source else TARGET}
        row |= dict(zip(("n_reference_cases", "n_reference_controls"), counts, strict=True))
        row["reason"] = too_few(*counts, disease)
        row["status"] = SKIPPED if row["reason"] else RAN
        if not row["reason"]:
            part = _tested(cohort.expr_tpm[members], case, settings)
            part["gene_id"] = cohort.genes.index[part["gene_id"]]
            found = part["q_reference"] < settings.q_below
            row["n_up"] = int((found & (part["log2fc_reference"] > 0)).sum())
            row["n_down"] = int((found & (part["log2fc_reference"] < 0)).sum())
            row["related"] = max(row["n_up"], row["n_down"]) >= settings.min_de_genes
            genes.append(part.assign(tissue=tissue))
        rows.append(row)
    table = pd.DataFrame(rows, columns=REFERENCE)
    if not ((table["status"] == RAN) & (table["role"] == TARGET)).any():
        most = table.loc[table["role"] == TARGET, ["n_reference_cases", "n_reference_controls"]]
        raise InputError(
            f"reference of contrast {settings.contrast}",
            f"at most {most.min(axis=1).max()} cases and as many controls in any tissue",
            f"{disease.min_cases} cases and {disease.min_controls} controls in one",
            "Lower disease.min_cases and disease.min_controls, or name another contrast.",
        )
    integers = {"n_up": "Int64", "n_down": "Int64", "related": "boolean"}
    return pd.concat(genes, ignore_index=True)[REFERENCE_GENES], table.astype(integers)


def _tested(expr_tpm: np.ndarray, case: np.ndarray, settings: TransferSettings) -> pd.DataFrame:
    """Test the genes of a tissue that vary; ``gene_id`` is their position."""
    varying = np.flatnonzero(np.ptp(expr_tpm, axis=0) > 0)
    values, labels = expr_tpm[:, varying], case[None]
    p = rank_sum(values, case)
    return pd.DataFrame(
        {
            "gene_id": varying,
            "log2fc_reference": fold_changes(values, labels, ~labels, settings.pseudo_count)[0],
            "p_reference": p,
            "q_reference": benjamini_hochberg(p),
            "controls_log2_reference": log2_tpm(values[~case]).mean(0),
        }
    )
