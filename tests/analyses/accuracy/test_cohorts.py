import pandas as pd
import pytest

from mtm import cli
from mtm.analyses.accuracy.cohorts import compare_cohorts
from mtm.errors import CannotDo, InputError
from mtm.io import read_table, write_note, write_tsv
from mtm.vocabulary import MEAN_OF_TISSUES


def results(folder, cohort, models, tissues, shift=0.0):
    rows = [
        {
            "cohort": cohort, "model": model, "scale": scale, "level": level,
            "convention": convention, "tissue": tissue, "n_samples": 30 + i,
            "mean_rho": 0.2 + shift + i / 100, "ci_low": 0.1 + shift, "ci_high": 0.3 + shift,
        }
        for model in models
        for scale, level, convention in (
            ("log2_z", "gene_wise", "per_fold"),
            ("log2_z", "sample_wise", "per_sample"),
            ("tpm_z", "gene_wise", "pooled_raw"),
        )
        for i, tissue in enumerate([*tissues, MEAN_OF_TISSUES])
    ]  # fmt: skip
    (folder / cohort / "accuracy").mkdir(parents=True)
    write_tsv(pd.DataFrame(rows), folder / cohort / "accuracy" / "summary.tsv")
    return folder / cohort


def test_the_same_models_and_tissues_stand_side_by_side(tmp_path, capsys):
    old = results(tmp_path, "old", ["ridge", "joint"], ["Liver", "Lung"])
    new = results(tmp_path, "new", ["joint", "mtm"], ["Lung", "Nerve"], 0.1)
    table = compare_cohorts([old, new])
    assert set(table["model"]) == {"joint"}
    assert list(table["tissue"]) == [MEAN_OF_TISSUES] * 2 + ["Lung"] * 2
    lung = table[(table["tissue"] == "Lung") & (table["level"] == "gene_wise")].iloc[0]
    assert (lung["old mean_rho"], lung["new mean_rho"]) == pytest.approx((0.21, 0.3))
    assert (lung["old n_samples"], lung["new n_samples"]) == (31, 30)
    out = tmp_path / "both.tsv"
    assert cli.main(["compare", str(old), str(new), "--out", str(out)]) == 0
    assert "gene-wise    joint  0.220 (0.100 to 0.300)  0.320 (0.200 to 0.400)" in (
        capsys.readouterr().out
    )
    pd.testing.assert_frame_equal(pd.read_csv(out, sep="\t"), table)
    before = out.read_bytes()
    assert cli.main(["compare", str(old), str(new), "--out", str(out)]) == 1
    assert out.read_bytes() == before


def test_all_that_cannot_be_compared_is_said_at_once(tmp_path):
    one = results(tmp_path, "one", ["ridge"], ["Lung"])
    other = results(tmp_path, "other", ["joint"], ["Lung"])
    with pytest.raises(
        InputError, match="no model and tissue in common.*one: ridge; other: joint"
    ):
        compare_cohorts([one, other])
    with pytest.raises(InputError, match="(?s)2 problems.*no accuracy.*a second time"):
        compare_cohorts([tmp_path / "none", one, one])


def test_accuracy_that_was_left_out_is_named_with_its_reason(tmp_path):
    one = results(tmp_path, "one", ["ridge"], ["Lung"])
    other = results(tmp_path, "other", ["ridge"], ["Lung"])
    why = CannotDo("accuracy", "2 donors have both tissues, 3 are needed", "add donors")
    write_note(why, other / "accuracy" / "summary.tsv")
    said = "(?s)2 problems.*other: found no accuracy.*2 donors have both.*To have it, add donors"
    with pytest.raises(InputError, match=said):
        compare_cohorts([one, other, tmp_path / "none"])


def changed(path, change):
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(change(lines)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: [*lines, lines[1]], "row 8: found 'other' 'ridge' .* a second time"),
        (lambda lines: [*lines[:2], lines[2].replace("0.21", "much"), *lines[3:]],
         "row 3, column mean_rho: found 'much"),
        (lambda lines: [*lines, "other\tridge\n"], "row 8, column scale: found an empty field"),
        (lambda lines: [lines[0], lines[1].replace("Lung", ""), *lines[2:]],
         "row 2, column tissue: found an empty field"),
    ],
)  # fmt: skip
def test_a_damaged_summary_is_refused_with_its_row(tmp_path, change, said):
    one = results(tmp_path, "one", ["ridge"], ["Lung"])
    other = results(tmp_path, "other", ["ridge"], ["Lung"])
    changed(other / "accuracy" / "summary.tsv", change)
    with pytest.raises(InputError, match=f"summary.tsv, {said}"):
        compare_cohorts([one, other])


def test_names_that_are_numbers_stay_names(tmp_path):
    table = compare_cohorts([results(tmp_path, "01", ["1", "2"], ["7"]),
                             results(tmp_path, "1", ["1", "ridge"], ["7"])])  # fmt: skip
    assert set(table["model"]) == {"1"}
    assert {"01 mean_rho", "1 mean_rho"} <= set(table)


@pytest.mark.parametrize("name", ["o.tsv", "o.tsv.gz", "o.parquet"])
def test_the_table_is_what_its_name_says(tmp_path, name):
    one, other = (results(tmp_path, cohort, ["ridge"], ["Lung"]) for cohort in ("one", "other"))
    assert cli.main(["compare", str(one), str(other), "--out", str(tmp_path / name)]) == 0
    table = compare_cohorts([one, other])
    pd.testing.assert_frame_equal(read_table(tmp_path / name), table)


@pytest.mark.parametrize("name", ["o.csv", "o", "parquet"])
def test_a_table_of_another_kind_is_refused(tmp_path, name, capsys):
    one, other = (results(tmp_path, cohort, ["ridge"], ["Lung"]) for cohort in ("one", "other"))
    assert cli.main(["compare", str(one), str(other), "--out", str(tmp_path / name)]) == 1
    assert "one of .tsv, .tsv.gz, .parquet" in capsys.readouterr().err
    assert not (tmp_path / name).exists()
