import pandas as pd

from mtm.errors import CannotDo
from mtm.io import write_note, write_parquet, write_tsv
from mtm.pipeline.skipped import skipped_analyses
from mtm.vocabulary import RAN, SKIPPED

PLANNED = {"analysis": "trait BMI", "reason": "no file", "remedy": "set one"}


def rows_of(table):
    return [tuple(row) for row in table.drop(columns="remedy").to_numpy()]


def test_planned_rows_come_first_and_a_note_is_listed_once(tmp_path):
    paths = [tmp_path / "a.tsv", tmp_path / "b.parquet", tmp_path / "good.tsv"]
    for path in paths[:2]:
        write_note(CannotDo("decoding paths", "2 target tissues", "add tissues"), path)
    write_tsv(pd.DataFrame({"rho": [1.0]}), paths[2])
    table = skipped_analyses([PLANNED], [*paths, paths[0]], {})
    assert rows_of(table) == [
        ("trait BMI", "", "", "no file"),
        ("decoding paths", "", "", "2 target tissues"),
    ]
    assert list(table["remedy"]) == ["set one", "add tissues"]


def test_a_model_of_which_nothing_ran_is_listed_with_its_usual_reason(tmp_path):
    table = pd.DataFrame(
        {
            "model": ["a", "a", "b", "b", "b"],
            "status": [SKIPPED, RAN, SKIPPED, SKIPPED, SKIPPED],
            "reason": ["few", "", "rare", "few", "few"],
        }
    )
    write_tsv(table, tmp_path / "traits/agreement.tsv")
    write_parquet(table[table["model"] == "b"], tmp_path / "disease/status/b.parquet")
    listed = skipped_analyses([], sorted(tmp_path.rglob("*.*")), {})
    usual = "nothing ran; most often: few"
    assert rows_of(listed) == [
        ("disease/status", "b", "", usual),
        ("traits/agreement", "b", "", usual),
    ]
    assert "traits/agreement.tsv" in listed["remedy"][1]


def test_a_choice_of_genes_of_which_nothing_ran_is_listed_where_another_ran(tmp_path):
    table = pd.DataFrame(
        {
            "model": "m",
            "definition": ["predictable"] * 3 + ["predictable_paper"] * 4,
            "selection": ["all_folds", "all_folds", "nested"] + ["nested"] * 4,
            "trait": ["age", "sex", "age", "age", "age", "sex", "sex"],
            "status": [SKIPPED, SKIPPED, RAN, RAN, SKIPPED, SKIPPED, SKIPPED],
            "reason": ["few genes", "few genes", "", "", "few genes", "one level", "one level"],
        }
    )
    write_tsv(table.drop(columns="trait"), tmp_path / "disease/agreement.tsv")
    write_tsv(table.drop(columns="selection"), tmp_path / "traits/agreement.tsv")
    write_tsv(table, tmp_path / "traits/both.tsv")
    listed = skipped_analyses([], sorted(tmp_path.rglob("*.*")), {})
    few, one = (f"nothing ran; most often: {reason}" for reason in ("few genes", "one level"))
    assert rows_of(listed) == [
        ("disease/agreement of predictable, all_folds", "m", "", few),
        ("traits/agreement of sex", "m", "", one),
        ("traits/both of predictable, all_folds", "m", "", few),
        ("traits/both of sex", "m", "", one),
    ]


def test_what_covariates_leave_is_listed_where_no_tissue_has_donors_enough(tmp_path):
    whole = "(mean of tissues)"
    table = pd.DataFrame(
        {
            "model": "m",
            "scale": ["log2_z", "tpm_z", "log2_z", "log2_z", "log2_z"],
            "adjustment": ["covariates"] * 2 + ["ventilator"] + ["other_deaths"] * 2,
            "tissue": [whole, whole, whole, whole, "Lung"],
            "mean_rho": [None, None, 0.1, 0.2, None],
        }
    )
    write_tsv(table, tmp_path / "accuracy/partial/m.tsv")
    listed = skipped_analyses([], [tmp_path / "accuracy/partial/m.tsv"], {})
    reason = "no fold of a tissue has enough held-out donors"
    assert rows_of(listed) == [("accuracy/partial of covariates", "m", "", reason)]


def test_a_ceiling_that_no_tissue_has_is_listed(tmp_path):
    path = tmp_path / "accuracy/ceiling.tsv"
    table = pd.DataFrame({"tissue": ["Lung", "Skin"], "kind": "floor", "assumption": "none"})
    for rows in (table, table[:0]):
        write_tsv(rows, path)
        ((analysis, *_, reason),) = rows_of(skipped_analyses([], [path], {}))
        assert (analysis, reason[:27]) == ("noise ceiling", "no tissue has another of it")
    write_tsv(table.assign(kind=["ceiling", "floor"]), path)
    assert skipped_analyses([], [path], {}).empty


def test_people_from_elsewhere_of_whom_nothing_was_scored_are_listed_by_name(tmp_path):
    table = pd.DataFrame(
        {"cohort": ["lab", "site", "site"], "status": [SKIPPED, RAN, SKIPPED], "reason": "few"}
    )
    write_tsv(table, tmp_path / "external/tissues.tsv")
    listed = skipped_analyses([], [tmp_path / "external/tissues.tsv"], {})
    assert rows_of(listed) == [("external/tissues of lab", "", "", "nothing ran; most often: few")]


def test_tissues_that_were_not_fitted_are_listed_with_their_folds(tmp_path):
    def training(name, **columns):
        write_tsv(pd.DataFrame(columns), tmp_path / name)
        return tmp_path / name

    tissues = ["Liver", "Lung"]
    files = {
        "ridge": [
            training("r0.tsv", tissue=tissues, reason=["", "few pairs"]),
            training("r1.tsv", tissue=tissues, reason=["", ""]),
        ],
        "covariates": [training("c.tsv", tissue=tissues, reason=["none varies"] * 2)],
        "mlp": [training("m.tsv", epoch=[1, 2], n_tissues_not_fitted=[3, 3])],
        "mtm": [training("t.tsv", epoch=[1])],
    }
    assert rows_of(skipped_analyses([], [], files)) == [
        ("fit of a model", "ridge", "Lung", "few pairs (in 1 of 2 folds)"),
        ("fit of a model", "covariates", "", "none varies"),
        ("fit of a model", "mlp", "", "too few training pairs in 3 tissues"),
    ]
