"""The contrast of the cohort itself, which external cases and controls are compared with."""

from pathlib import Path

import numpy as np
import pandas as pd

from mtm.analyses.disease.case_control import fold_changes
from mtm.analyses.disease.contrasts import contrasts, too_few
from mtm.cohort.cohort import Cohort
from mtm.cohort.fields import numbers_of
from mtm.cohort.gene_names import NAMES, place_rows
from mtm.cohort.lines import demand_whole_rows
from mtm.cohort.scaling import log2_tpm
from mtm.errors import CannotDo, InputError
from mtm.io import read_tsv
from mtm.settings.disease import DiseaseSettings
from mtm.settings.transfer import TransferSettings
from mtm.statistics.rank_sum import rank_sum
from mtm.statistics.testing import benjamini_hochberg
from mtm.vocabulary import RAN, SKIPPED, SOURCE, TARGET

DONORS = ["n_reference_cases", "n_reference_controls"]
REFERENCE_GENES = ["tissue", "gene_id", *DONORS, "log2fc_reference", "p_reference", "q_reference",
                   "controls_log2_reference"]  # fmt: skip
USERS_COLUMNS = ["tissue", "gene", "log2fc", "q"]
# Symbols of the cohort's own gene model are enough.
NO_NAMES = pd.DataFrame(columns=NAMES)
REFERENCE = ["contrast", "tissue", "role", *DONORS, "status", "reason", "n_up", "n_down",
             "related"]  # fmt: skip


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
        genes.append(part.assign(tissue=tissue, **{name: counts[name] for name in DONORS}))
    table = pd.DataFrame(rows, columns=REFERENCE)
    _demand_target(table, disease)
    tested = pd.concat([part for part in genes if len(part)], ignore_index=True)
    integers = {"n_up": "Int64", "n_down": "Int64", "related": "boolean"}
    return tested[REFERENCE_GENES], table.astype(integers)


def read_reference(
    path: str | Path, cohort: Cohort, source: str, settings: TransferSettings
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read fold changes of the user's own in place of a contrast of the cohort.

    Parameters
    ----------
    path
        Tab-separated: ``tissue``, ``gene`` (Ensembl id, or symbol of the cohort), ``log2fc``,
        ``q`` (may be empty).
    cohort, source
        Whose tissues and genes these are, and its source tissue.
    settings
        Its contrast is what the fold changes are of, in the tables.

    Returns
    -------
    pd.DataFrame, pd.DataFrame
        As `reference_contrast`, without numbers of cases and controls and without their level.

    Raises
    ------
    InputError
        A tissue is none of the cohort; no gene is known; a gene stands twice in a tissue; a value
        is no number, or q beyond 0 to 1.
    """
    genes = _users_genes(path, cohort)
    rows = []
    for tissue, part in genes.groupby("tissue", sort=True):
        row = {"contrast": settings.contrast, "tissue": tissue, "status": RAN, "reason": "",
               "role": SOURCE if tissue == source else TARGET}  # fmt: skip
        rows.append(row | _counts(part, settings))
    table = pd.DataFrame(rows, columns=REFERENCE)
    integers = {"n_up": "Int64", "n_down": "Int64", "related": "boolean"}
    return genes, table.astype(integers)


def _users_genes(path: str | Path, cohort: Cohort) -> pd.DataFrame:
    """Read fold changes of the user's own, `REFERENCE_GENES`."""
    demand_whole_rows(path)
    table = read_tsv(path, USERS_COLUMNS, dtype=str)
    for name in table["tissue"][~table["tissue"].isin(cohort.tissues)][:1]:
        raise InputError(path, f"the tissue {name!r}", f"one of {', '.join(cohort.tissues)}")
    number, named = pd.factorize(table["gene"].fillna(""))
    placed = place_rows(list(named), cohort.genes, NO_NAMES)
    if not len(placed.row):
        raise InputError(path, f"genes such as {table['gene'].iloc[0]!r}", "genes of the cohort")
    numbers = table[["log2fc", "q"]].apply(numbers_of)
    bad = numbers["log2fc"].isna() | (table["q"].notna() & ~numbers["q"].between(0, 1))
    if bad.any():
        row = int(bad.argmax())
        found = f"log2fc {table['log2fc'].iloc[row]!r}, q {table['q'].iloc[row]!r}"
        raise InputError(f"{path}, row {row + 1}", found, "a number, and q of 0 to 1 or nothing")
    genes = pd.DataFrame(
        {
            "tissue": table["tissue"],
            "name": number,
            **dict.fromkeys(DONORS, np.nan),
            "log2fc_reference": numbers["log2fc"],
            "p_reference": np.nan,
            "q_reference": numbers["q"].fillna(1.0),
            "controls_log2_reference": np.nan,
        }
    )
    # A symbol may be that of several genes.
    ids = pd.DataFrame({"name": placed.row, "gene_id": cohort.genes.index[placed.gene]})
    genes = genes.merge(ids, on="name").drop(columns="name")
    twice = genes.duplicated(["tissue", "gene_id"])
    if twice.any():
        first = genes[twice].iloc[0]
        raise InputError(path, f"{first['gene_id']} twice in {first['tissue']}", "a gene once")
    return genes[REFERENCE_GENES].reset_index(drop=True)


def _counts(genes: pd.DataFrame, settings: TransferSettings) -> dict[str, object]:
    """Genes up and down, and whether that makes the tissue related to the disease."""
    found = genes["q_reference"] < settings.q_below
    n_up = int((found & (genes["log2fc_reference"] > 0)).sum())
    n_down = int((found & (genes["log2fc_reference"] < 0)).sum())
    related = max(n_up, n_down) >= settings.min_de_genes
    return {"n_up": n_up, "n_down": n_down, "related": related}


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
    row = dict(zip(DONORS, counts, strict=True))
    row["reason"] = too_few(*counts, disease)
    row["status"] = SKIPPED if row["reason"] else RAN
    if row["reason"]:
        return pd.DataFrame(), row
    genes = _test_genes(cohort.expr_tpm[members], case, settings)
    genes["gene_id"] = cohort.genes.index[genes["gene_id"]]
    return genes, row | _counts(genes, settings)


def _demand_target(table: pd.DataFrame, disease: DiseaseSettings) -> None:
    """Raise unless a target tissue ran."""
    targets = table[table["role"] == TARGET]
    if not (targets["status"] == RAN).any():
        most = targets[DONORS].min(axis=1).max()
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
