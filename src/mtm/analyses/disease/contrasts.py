"""Cases and controls: who has a disease, from medical history or from what open data offer.

Four kinds of contrast. ``medical_history``: columns ``MH*`` of the donors (controlled access),
1 a case, 0 a control, GTEx's 96 to 99 unknown. ``pathology``: a term in the pathologist's note of
the very sample, so cases differ from tissue to tissue. ``hardy``: classes of death, in open data
the contrast with the most donors; it is no disease, but shows whether dysregulation is kept.
``status``: columns of the cohort's own, of donors or samples.
"""

import difflib
import logging
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from mtm.cohort.cohort import Cohort
from mtm.errors import InputError
from mtm.settings.disease import DISEASES, KINDS, DiseaseSettings
from mtm.vocabulary import RAN, SKIPPED

log = logging.getLogger(__name__)

LABELS = ["contrast", "kind", "tissue", "sample_id", "donor", "case"]
HISTORY_PREFIX = "MH"
UNKNOWN_CODES = (96, 97, 98, 99)
# "no significant fibrosis", "without necrosis": the word and its term in one clause.
NEGATED = r"\b(?:no|not|without|absent|negative for)\b[^,;.:]*"


def contrasts(cohort: Cohort, settings: DiseaseSettings) -> pd.DataFrame:
    """Label every sample of the cohort as case or control of every contrast.

    Returns
    -------
    pd.DataFrame
        ``contrast`` (column of donors, term, or "hardy_0"), ``kind`` (one of `KINDS`),
        ``tissue``, ``sample_id``, ``donor``, ``case`` (1 a case, 0 a control). Samples whose
        status is unknown have no row.

    Raises
    ------
    InputError
        The settings name a column that donors do not have, or one that is not coded 0 and 1.
    """
    labelled, _ = _label(cohort, settings)
    return labelled


def _label(
    cohort: Cohort, settings: DiseaseSettings
) -> tuple[pd.DataFrame, list[dict[str, object]]]:
    """Return the labels, and what could not be labelled at all, with its reason."""
    history = history_columns(cohort.donors, settings.medical_history)
    kinds = settings.kinds
    if kinds is None:
        kinds = ("status", "medical_history") if history else KINDS[1:]
    parts, left_out = {}, []

    def leave_out(contrast: str, kind: str, reason: str) -> None:
        left_out.append({"contrast": contrast, "kind": kind, "tissue": "", "reason": reason})
        log.info("no contrast %s (%s): %s", contrast, kind, reason)

    def add(contrast: str, kind: str, status: np.ndarray) -> None:
        if contrast in parts:
            leave_out(contrast, kind, "another kind has a contrast of this name")
        else:
            parts[contrast] = _of_samples(cohort, contrast, kind, status)

    for column, reason in _without_history(cohort.donors, history, kinds, settings).items():
        leave_out(column, "medical_history", reason)
    for column in history if "medical_history" in kinds else ():
        status = pd.to_numeric(cohort.donors[column], errors="coerce")
        add(column, "medical_history", _of_donors(cohort, status))
    for name in settings.statuses if "status" in kinds else ():
        status = _own_status(cohort, name)
        if status is None:
            leave_out(name, "status", "neither donors nor samples have such a column")
        elif not _coded(status):
            leave_out(name, "status", "not coded 0 and 1")
        else:
            add(name, "status", status)
    if "pathology" in kinds:
        notes = cohort.samples.get("pathology_notes")
        if notes is None:
            leave_out("(all)", "pathology", "samples have no pathology notes")
        elif not settings.pathology_terms:
            leave_out("(all)", "pathology", "the config names no term (disease.pathology_terms)")
        else:
            for term in settings.pathology_terms:
                add(term, "pathology", noted(notes, term))
    else:
        leave_out("(all)", "pathology", _not_used(history, settings))
    if "hardy" in kinds:
        name = f"hardy_{'_'.join(str(code) for code in settings.hardy_cases)}"
        if "hardy" not in cohort.donors:
            leave_out(name, "hardy", "donors have no Hardy class")
        elif not settings.hardy_cases:
            leave_out("(all)", "hardy", "the config names no class (disease.hardy_cases)")
        else:
            hardy = pd.to_numeric(cohort.donors["hardy"], errors="coerce")
            status = hardy.isin(settings.hardy_cases).astype(float).where(hardy.notna())
            add(name, "hardy", _of_donors(cohort, status))
    else:
        leave_out("(all)", "hardy", _not_used(history, settings))
    if not parts:
        return pd.DataFrame(columns=LABELS), left_out
    return pd.concat(parts.values(), ignore_index=True), left_out


def _own_status(cohort: Cohort, name: str) -> np.ndarray | None:
    """Values of a column of donors or samples, one a sample, NaN for text; None without it."""
    if name in cohort.donors:
        return _of_donors(cohort, pd.to_numeric(cohort.donors[name], errors="coerce"))
    if name in cohort.samples:
        return pd.to_numeric(cohort.samples[name], errors="coerce").to_numpy(float)
    return None


def _coded(status: np.ndarray) -> bool:
    """Whether a status is coded 0 and 1; what is below 0, and GTEx's codes, are unknown."""
    known = status[status >= 0]
    return bool(np.isin(known, (0, 1)).any() and np.isin(known, (0, 1, *UNKNOWN_CODES)).all())


def _not_used(history: Sequence[str], settings: DiseaseSettings) -> str:
    """Say why a substitute contrast is not in use."""
    if settings.kinds is None and history:
        return "medical history is known, which it would stand in for"
    return "not among the kinds in use (disease.kinds)"


def _without_history(
    donors: pd.DataFrame, history: Sequence[str], kinds: Sequence[str], settings: DiseaseSettings
) -> dict[str, str]:
    """Why diseases have no contrast, by column; "(all)" where none has one."""
    candidates = [column for column in donors if column.startswith(HISTORY_PREFIX)]
    if not candidates:
        return {"(all)": "no columns of medical history (MH...)"}
    if history and "medical_history" not in kinds:
        return {"(all)": "not among the kinds in use (disease.kinds)"}
    wanted = candidates if settings.medical_history is None else settings.medical_history
    reasons = {
        column: "not coded 0 and 1" if column in donors else "donors have no such column"
        for column in wanted
        if column not in history
    }
    if not history and settings.medical_history is not None:
        reasons["(all)"] = "donors have other columns of MH*, which null would take"
    return reasons


def history_columns(donors: pd.DataFrame, named: Sequence[str] | None) -> list[str]:
    """Columns of medical history that are coded 0 and 1: those named, or all of MH*.

    Of the default list the cohort may lack some.

    Raises
    ------
    InputError
        A column named by the user is missing (the nearest is named) or holds other values.
    """
    candidates = [c for c in donors.columns if c.startswith(HISTORY_PREFIX)]
    if named is None:
        return [c for c in candidates if _binary(donors[c])]
    if tuple(named) == tuple(DISEASES):
        return [c for c in named if c in donors and _binary(donors[c])]
    for column in named:
        if column not in donors:
            near = difflib.get_close_matches(column, donors.columns, n=1)
            raise InputError(
                "config key disease.medical_history",
                repr(column),
                f"a column of cohort/donors.tsv ({', '.join(candidates) or 'it has none of MH*'})",
                f"Did you mean {near[0]!r}?" if near else "",
            )
        if not _binary(donors[column]):
            raise InputError(
                f"cohort/donors.tsv, column {column}",
                f"values such as {donors[column].dropna().iloc[0]!r}"
                if donors[column].notna().any()
                else "no value",
                "0 (no), 1 (yes) and GTEx's codes for unknown, 96 to 99",
            )
    return list(named)


def _binary(values: pd.Series) -> bool:
    """Whether a column is coded 0 and 1, GTEx's codes for unknown aside."""
    known = values.dropna()
    numbers = pd.to_numeric(known, errors="coerce")
    return bool(numbers.isin((0, 1)).any() and numbers.isin((0, 1, *UNKNOWN_CODES)).all())


def noted(notes: pd.Series, term: str) -> np.ndarray:
    """Whether notes contain a term: 1 or 0, NaN without a note; "no fibrosis" is 0.

    Parameters
    ----------
    notes
        Free text of the pathologist, one a sample.
    term
        Found at the start of a word, whatever its case: "fibros" finds "fibrosis".
    """
    text = notes.astype("string").str.lower()
    word = rf"\b{re.escape(term.lower())}"
    positive = text.str.replace(NEGATED + word, " ", regex=True)
    found = positive.str.contains(word, regex=True)
    return found.astype("Float64").to_numpy(float, na_value=np.nan)


def _of_donors(cohort: Cohort, status: pd.Series) -> np.ndarray:
    """Bring a value of donors to their samples."""
    return status.to_numpy(float)[cohort.donor]


def _of_samples(cohort: Cohort, contrast: str, kind: str, status: np.ndarray) -> pd.DataFrame:
    """Rows of one contrast; status other than 0 and 1 is unknown."""
    known = np.flatnonzero(np.isin(status, (0, 1)))
    return pd.DataFrame(
        {
            "contrast": contrast,
            "kind": kind,
            "tissue": np.array(cohort.tissues)[cohort.tissue[known]],
            "sample_id": cohort.samples.index.astype(str)[known],
            "donor": cohort.donors.index.to_numpy()[cohort.donor[known]],
            "case": status[known].astype(np.int8),
        }
    )


def held_out_samples(cohort: Cohort, folds: pd.Series, source: str) -> pd.Index:
    """Ids of samples that a model sees held out: other tissues of held-out donors with `source`.

    Parameters
    ----------
    folds
        Fold by donor id, from `mtm.cohort.folds.read_folds`.
    """
    index = cohort.tissue_index(source)
    has_source = np.zeros(len(cohort.donors), bool)
    has_source[cohort.donor[cohort.tissue == index]] = True
    fold = folds.reindex(cohort.donors.index).to_numpy()
    kept = (has_source & (fold >= 0))[cohort.donor] & (cohort.tissue != index)
    return cohort.samples.index.astype(str)[kept]


def contrast_table(
    cohort: Cohort, samples: pd.Index, settings: DiseaseSettings
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Count cases and controls of every contrast and tissue, and say which run.

    Parameters
    ----------
    samples
        Ids of the samples to count, from `held_out_samples`.

    Returns
    -------
    pd.DataFrame
        Labels, as from `contrasts`, of the samples and contrasts that run.
    pd.DataFrame
        One row a contrast and tissue: ``contrast``, ``kind``, ``tissue`` (empty where a contrast
        cannot be made at all), ``n_cases``, ``n_controls``, ``status`` ("ran" or "skipped"),
        ``reason``.
    """
    labels, left_out = _label(cohort, settings)
    labels = labels[labels["sample_id"].isin(samples)]
    group = ["contrast", "kind", "tissue"]
    counts = labels.groupby(group, sort=False)["case"].agg(n_cases="sum", n="size").reset_index()
    counts["n_controls"] = counts.pop("n") - counts["n_cases"]
    counts["reason"] = [
        too_few(cases, controls, settings)
        for cases, controls in zip(counts["n_cases"], counts["n_controls"], strict=True)
    ]
    table = pd.concat([counts, pd.DataFrame(left_out)], ignore_index=True)
    table["reason"] = table["reason"].fillna("")
    for column in ("n_cases", "n_controls"):
        table[column] = pd.to_numeric(table[column]).fillna(0).astype(int)
    ran = (table["n_cases"] >= settings.min_cases) & (table["n_controls"] >= settings.min_controls)
    table["status"] = np.where(ran, RAN, SKIPPED)
    kept = labels.merge(table.loc[ran, group], on=group)
    columns = [*group, "n_cases", "n_controls", "status", "reason"]
    return kept, table[columns].sort_values(group, kind="stable", ignore_index=True)


def too_few(n_cases: int, n_controls: int, settings: DiseaseSettings) -> str:
    """Say what a contrast has too few of; empty where it has enough."""
    lacking = [
        f"{n} {name}, fewer than {least}"
        for n, name, least in (
            (n_cases, "cases", settings.min_cases),
            (n_controls, "controls", settings.min_controls),
        )
        if n < least
    ]
    return "; ".join(lacking)
