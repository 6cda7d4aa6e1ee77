import numpy as np
import pandas as pd
import pytest

from mtm.analyses.disease.contrasts import (
    contrast_table,
    contrasts,
    held_out_samples,
    history_columns,
    noted,
)
from mtm.cohort.cohort import Cohort
from mtm.errors import InputError
from mtm.settings.disease import DISEASES, DiseaseSettings, contrast_label

BLOOD = "Whole Blood"


EVERY = DiseaseSettings(medical_history=None)


def make_cohort(n_donors=120, **columns):
    """Every donor has blood and lung; liver is missing from every third one."""
    donors = pd.DataFrame(index=[f"D{i:03d}" for i in range(n_donors)], data=columns)
    rows = [
        (donor, tissue)
        for donor in range(n_donors)
        for tissue in ("Liver", "Lung", BLOOD)
        if tissue != "Liver" or donor % 3
    ]
    tissues = ("Liver", "Lung", BLOOD)
    samples = pd.DataFrame(index=[f"D{d:03d}-{t}" for d, t in rows])
    return Cohort(
        expr_tpm=np.zeros((len(rows), 1), np.float32),
        samples=samples,
        donor=np.array([donor for donor, _ in rows]),
        tissue=np.array([tissues.index(tissue) for _, tissue in rows]),
        donors=donors,
        tissues=tissues,
        genes=pd.DataFrame({"symbol": ["g"]}, index=["ENSG1.1"]),
    )


def folds_of(cohort, left_out=()):
    fold = [-1 if name in left_out else i % 5 for i, name in enumerate(cohort.donors.index)]
    return pd.Series(fold, cohort.donors.index)


def table_of(cohort, settings, left_out=()):
    samples = held_out_samples(cohort, folds_of(cohort, left_out), BLOOD)
    return contrast_table(cohort, samples, settings)


@pytest.mark.parametrize(
    ("note", "status"),
    [
        ("2 pieces, moderate Fibrosis", 1),
        ("fibrotic", 0),
        ("no fibrosis", 0),
        ("no significant fibrosis, congestion", 0),
        ("no congestion; patchy fibrosis", 1),
        ("no necrosis, fibrosis", 1),
        ("myelofibrosis", 0),
        ("without fibrosis; another piece with fibrosis", 1),
        (None, np.nan),
    ],
)
def test_a_note_makes_a_case_where_it_has_the_term_unnegated(note, status):
    np.testing.assert_array_equal(noted(pd.Series([note]), "fibrosis"), [status])


def test_a_disease_with_49_cases_is_listed_with_its_counts_and_the_others_run():
    cohort = make_cohort(MHRARE=[1] * 49 + [0] * 71, MHCOMMON=[0, 1] * 60)
    labels, table = table_of(cohort, EVERY)
    lung = table[table["tissue"] == "Lung"].set_index("contrast")
    assert lung.loc["MHRARE", ["n_cases", "n_controls", "status"]].tolist() == [49, 71, "skipped"]
    assert lung.loc["MHRARE", "reason"] == "49 cases, fewer than 50"
    assert lung.loc["MHCOMMON", "status"] == "ran"
    assert set(labels["contrast"]) == {"MHCOMMON"}
    assert set(labels["tissue"]) == {"Lung"}
    assert len(labels) == 120


def test_counts_are_of_held_out_donors_with_the_source():
    cohort = make_cohort(MHX=[1, 0] * 60)
    blood_of_first = (cohort.donor == 0) & (cohort.tissue == 2)
    kept = ~blood_of_first
    cohort = Cohort(
        cohort.expr_tpm[kept], cohort.samples[kept], cohort.donor[kept], cohort.tissue[kept],
        cohort.donors, cohort.tissues, cohort.genes,
    )  # fmt: skip
    _, table = table_of(cohort, EVERY, left_out={"D001", "D003"})
    lung = table[table["tissue"] == "Lung"].iloc[0]
    assert (lung["n_cases"], lung["n_controls"]) == (59, 58)


def test_unknown_codes_are_neither_cases_nor_controls():
    cohort = make_cohort(MHX=[1.0, 0.0, 99.0, np.nan] * 30)
    labels = contrasts(cohort, EVERY)
    lung = labels[labels["tissue"] == "Lung"]
    assert lung["case"].value_counts().to_dict() == {0: 30, 1: 30}
    assert list(labels.columns) == ["contrast", "kind", "tissue", "sample_id", "donor", "case"]


def test_open_data_take_notes_and_the_class_of_death():
    cohort = make_cohort(hardy=[0, 2, np.nan] * 40)
    notes = np.where(cohort.tissue == 0, "steatosis", "2 pieces")
    cohort.samples["pathology_notes"] = notes
    settings = DiseaseSettings(pathology_terms=["Steatosis"], min_cases=30, min_controls=30)
    labels, table = table_of(cohort, settings)
    assert set(table["kind"]) == {"medical_history", "pathology", "hardy"}
    by_tissue = table.set_index(["contrast", "tissue"])
    assert by_tissue.loc[("Steatosis", "Liver"), ["n_cases", "n_controls"]].tolist() == [80, 0]
    assert by_tissue.loc[("Steatosis", "Lung"), ["n_cases", "n_controls"]].tolist() == [0, 120]
    assert by_tissue.loc[("hardy_0", "Lung"), ["n_cases", "n_controls"]].tolist() == [40, 40]
    history = table[table["kind"] == "medical_history"].iloc[0]
    assert (history["status"], history["tissue"]) == ("skipped", "")
    assert "no columns of medical history" in history["reason"]
    assert set(labels["contrast"]) == {"hardy_0"}


def test_medical_history_is_used_alone_where_it_is_known():
    cohort = make_cohort(MHX=[1, 0] * 60, MHTEXT=["a", "b"] * 60, hardy=[0, 1] * 60)
    _, table = table_of(cohort, EVERY)
    reasons = table.set_index("kind")["reason"]
    assert "stand in" in reasons["hardy"]
    assert table.set_index("contrast").loc["MHTEXT", "reason"] == "not coded 0 and 1"
    assert set(table.loc[table["status"] == "ran", "contrast"]) == {"MHX"}


def test_a_contrast_stands_once_whatever_kinds_name_it():
    cohort = make_cohort(MHT2D=[1, 0] * 60, fibrosis=[0, 1] * 60)
    cohort.samples["pathology_notes"] = "fibrosis"
    kinds = ("medical_history", "status", "pathology")
    settings = DiseaseSettings(
        kinds=kinds, statuses=("MHT2D", "fibrosis"), pathology_terms=("fibrosis",)
    )
    labels, table = table_of(cohort, settings)
    assert not labels.duplicated(["contrast", "sample_id"]).any()
    assert dict(zip(labels["contrast"], labels["kind"], strict=True)) == {
        "MHT2D": "medical_history", "fibrosis": "status"
    }  # fmt: skip
    left_out = table[table["reason"].str.startswith("another kind")]
    assert set(zip(left_out["contrast"], left_out["kind"], strict=True)) == {
        ("MHT2D", "status"), ("fibrosis", "pathology")
    }  # fmt: skip


@pytest.mark.parametrize("values", [["yes", "no"], [1, 2], [0, 1, 2], [0.0, 0.5, 1.0]])
def test_a_status_of_another_coding_is_listed_with_the_reason(values):
    # Of 0, 1 and 2 those that are 0 may be unknown, and 1 the controls.
    cohort = make_cohort(ill=values * (120 // len(values)))
    _, table = table_of(cohort, DiseaseSettings(kinds=("status",), statuses=("ill",)))
    row = table.set_index("contrast").loc["ill", ["kind", "status", "reason"]]
    assert row.tolist() == ["status", "skipped", "not coded 0 and 1"]


def test_a_status_may_be_unknown():
    cohort = make_cohort(ill=[0, 1, -9, 99, np.nan] * 24)
    labels, _ = table_of(
        cohort, DiseaseSettings(kinds=("status",), statuses=("ill",), min_cases=9, min_controls=9)
    )
    lung = labels[labels["tissue"] == "Lung"]
    assert lung["case"].value_counts().to_dict() == {0: 24, 1: 24}


def test_a_cohort_without_any_label_gives_tables_that_say_so():
    labels, table = table_of(make_cohort(), DiseaseSettings())
    assert labels.empty
    assert table["status"].eq("skipped").all()
    assert table["reason"].str.len().gt(0).all()


BAD = [
    ({"medical_history": ["MHT2"]}, ["MHT2'", "Did you mean 'MHT2D'"]),
    ({"medical_history": ["MHTEXT"]}, ["MHTEXT", "'yes'", "0 (no), 1 (yes)"]),
    ({"kinds": ["notes"]}, ["disease.kinds", "'notes'", "pathology"]),
    ({"min_cases": 0}, ["disease.min_cases", "at least 5"]),
    ({"pseudo_count": 0}, ["disease.pseudo_count", "above 0"]),
]


@pytest.mark.parametrize(("values", "words"), BAD)
def test_bad_settings_are_named(values, words):
    donors = make_cohort(MHT2D=[0, 1] * 60, MHTEXT=["yes", "no"] * 60).donors
    with pytest.raises(InputError) as caught:
        history_columns(donors, DiseaseSettings.of(values).medical_history)
    for word in words:
        assert word in str(caught.value)


def test_the_papers_diseases_are_taken_and_those_the_cohort_lacks_are_listed():
    history = {"MHT2D": [1, 0] * 60, "MHCOPD": ["yes", "no"] * 60, "MHOTHER": [0, 1] * 60}
    labels, table = table_of(make_cohort(**history), DiseaseSettings())
    assert set(labels["contrast"]) == {"MHT2D"}
    reasons = table[table["tissue"] == ""].set_index("contrast")["reason"]
    assert set(DISEASES) - {"MHT2D"} <= set(reasons.index)
    assert reasons["MHHTN"] == "donors have no such column"
    assert reasons["MHCOPD"] == "not coded 0 and 1"
    assert (table.set_index("contrast").loc["MHHTN", ["n_cases", "n_controls"]] == 0).all()
    assert "MHOTHER" not in set(table["contrast"])
    labels, table = table_of(make_cohort(MHOTHER=[0, 1] * 60), DiseaseSettings())
    assert labels.empty
    assert table["reason"].str.contains("which null would take").any()


def test_a_contrast_is_named_in_words():
    assert [contrast_label(name) for name in ("MHT2D", "MHX", "hardy_0")] == [
        "Type 2 diabetes", "MHX", "hardy 0"
    ]  # fmt: skip


def test_keys_of_other_analyses_are_left_alone():
    assert DiseaseSettings.of({"min_cases": 7, "models": ["mtm"]}).min_cases == 7
