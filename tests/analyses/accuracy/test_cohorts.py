import pandas as pd
import pytest

from mtm import cli
from mtm.analyses.accuracy.cohorts import compare_cohorts
from mtm.errors import InputError
from mtm.io import write_tsv
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
