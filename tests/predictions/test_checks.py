from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from cohorts import simulated_cohort, with_sex_genes

from mtm.errors import InputError
from mtm.models.base import Training
from mtm.models.registry import build
from mtm.predictions.checks import PASSED, UNCHECKED, WARNED, check_samples, in_words

SOURCE = "Whole Blood"
COLUMNS = [
    "sample_id", "source", "status", "warnings", "genes_found", "rank_correlation", "best_other",
    "best_other_correlation", "tpm_sum", "clipped", "distance", "sex_given", "sex_found",
    "training_donor", "says",
]  # fmt: skip


@pytest.fixture(scope="module")
def everyone():
    """Two hundred donors, one gene of males and one of females among 150."""
    return with_sex_genes(simulated_cohort(n_donors=200, n_genes=150, keep=1.0))


@pytest.fixture(scope="module")
def model(everyone):
    fitted = build("same_gene")
    training = everyone.of_donors(everyone.donors.index[:120])
    fitted.fit(Training(training, source=everyone.tissue_index(SOURCE), device="cpu"))
    return fitted


@pytest.fixture(scope="module")
def new(everyone):
    return everyone.of_donors(everyone.donors.index[120:])


def blood(new, tissue=SOURCE):
    """Return samples of a tissue, their names and sexes."""
    rows = np.flatnonzero(new.tissue == new.tissue_index(tissue))
    sex = new.donors["sex"].to_numpy()[new.donor[rows]]
    return new.expr_tpm[rows], list(new.samples.index[rows]), sex


def codes(table):
    """Return the share of samples with each warning."""
    return table["warnings"].str.split(";").explode().value_counts() / len(table)


def test_people_like_the_training_donors_pass(model, new):
    expr_tpm, names, sex = blood(new)
    table = check_samples(model, expr_tpm, names, SOURCE, sex=sex)
    assert list(table.columns) == COLUMNS
    assert list(table["sample_id"]) == names
    assert (table["status"] == PASSED).mean() >= 0.95
    assert (table["sex_given"] == table["sex_found"]).all()
    passed = table[table["status"] == PASSED]
    assert passed["says"].str.startswith("fits Whole Blood (rank correlation 0.").all()


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (lambda v: v[:, ::-1], "genes", "has not the order of genes of Whole Blood"),
        (lambda v: v / 100, "units", "times too small; are they TPM"),
        (lambda v: v * 100, "units", "times too large; are they TPM?"),
        (lambda v: np.round(v * 50), "units", "times too large; are they TPM, or counts?"),
        (lambda v: np.log2(1 + v), "units", "times too small; are they TPM, or logarithms?"),
        (lambda v: np.exp2(np.minimum(v, 60)) - 1, "units", "times too large"),
        (lambda v: 0 * v, "genes", "has not the order of genes"),
        (lambda v: 0 * v, "units", "times too small; are they TPM, or logarithms?"),
        (
            lambda v: v * np.exp(4 * np.random.default_rng(0).normal(size=150)),
            "distance",
            "farther",
        ),
    ],
)
def test_what_is_wrong_is_warned_of_with_its_figures(model, new, change, code, says):
    expr_tpm, names, sex = blood(new)
    table = check_samples(model, change(expr_tpm).astype(np.float32), names, SOURCE, sex=sex)
    assert codes(table)[code] == 1
    assert (table["status"] == WARNED).all()
    assert table["says"].str.contains(says, regex=False).all()


def test_another_tissue_is_named(model, new):
    expr_tpm, names, _ = blood(new, "Liver")
    table = check_samples(model, expr_tpm, names, SOURCE)
    assert codes(table)["tissue"] == 1
    assert (table["best_other"] == "Liver").all()
    row = table.iloc[0]
    figures = (
        f"Liver ({row.best_other_correlation:.3f}), not Whole Blood ({row.rank_correlation:.3f}"
    )
    assert row.says.startswith(f"looks like {figures}, typically 0.9")


def test_a_sample_of_a_person_of_the_other_sex_is_seen(model, new):
    expr_tpm, names, sex = blood(new)
    given = sex.copy()
    given[:3] = 3 - given[:3]
    table = check_samples(model, expr_tpm, names, SOURCE, sex=pd.Series(given))
    assert table["warnings"].str.contains("sex").tolist() == [True] * 3 + [False] * (len(sex) - 3)
    word = {1: "male", 2: "female"}
    says = f"has the sex genes of a {word[sex[0]]} but is said to be {word[given[0]]}"
    assert says in table["says"][0]
    # A sex that is not given, or no code, says nothing.
    unknown = check_samples(model, expr_tpm, names, SOURCE, sex=pd.Series([np.nan] * len(sex)))
    assert not unknown["warnings"].str.contains("sex").any()
    assert (unknown["sex_given"] == "").all()


def test_a_training_donor_is_known_by_name(model, new):
    expr_tpm, names, _ = blood(new)
    donor = model.provenance.training_donors.names[0]
    names = [donor, f"{donor}-0006-SM-1", f"{donor}1", *names[3:]]
    table = check_samples(model, expr_tpm, names, SOURCE)
    assert table["training_donor"].tolist() == [donor, donor] + [""] * (len(names) - 2)
    assert f"is of '{donor}', a training donor" in table["says"][1]
    assert table["status"][1] == WARNED


def test_genes_that_the_data_lack_do_not_count(model, new):
    expr_tpm, names, sex = blood(new)
    found = np.ones(150, bool)
    found[100:] = False
    filled = expr_tpm.copy()
    filled[:, ~found] = 2 ** model.scaler.mean[new.tissue_index(SOURCE), ~found] - 1
    table = check_samples(model, filled, names, SOURCE, found, sex)
    assert (table["genes_found"] == 100 / 150).all()
    assert (table["status"] == PASSED).mean() > 0.9
    # What stands where nothing was found is not looked at, but for the sum.
    other = filled.copy()
    other[:, ~found] = filled[:, ~found][:, ::-1]
    same = check_samples(model, other, names, SOURCE, found, sex)
    pd.testing.assert_frame_equal(same, table)


def test_blocks_and_one_sample_give_the_same(model, new):
    expr_tpm, names, sex = blood(new)
    whole = check_samples(model, np.tile(expr_tpm, (5, 1)), names * 5, SOURCE, sex=np.tile(sex, 5))
    assert len(whole) == 400
    for place in (0, 79, 256, 399):
        i = place % 80
        one = check_samples(model, expr_tpm[[i]], names[i : i + 1], SOURCE, sex=sex[[i]])
        pd.testing.assert_frame_equal(
            one, whole.iloc[[place]].reset_index(drop=True), check_exact=False, rtol=1e-5
        )


def test_what_cannot_be_checked_says_so(model, new):
    expr_tpm, names, _ = blood(new)
    older = build("same_gene")
    older.tissues, older.genes, older.scaler = model.tissues, model.genes, model.scaler
    table = check_samples(older, expr_tpm, names, SOURCE)
    assert (table["status"] == UNCHECKED).all()
    assert table["says"].str.startswith("not checked, the bundle has no limits").all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(model, new, value):
    expr_tpm, names, _ = blood(new)
    expr_tpm = expr_tpm.copy()
    expr_tpm[2, 5] = value
    with pytest.raises(InputError, match=f"sample {names[2]}, gene {model.genes.index[5]}"):
        check_samples(model, expr_tpm, names, SOURCE)
    with pytest.raises(InputError, match="'Brain'"):
        check_samples(model, expr_tpm[:1], names[:1], "Brain")


def test_twenty_lines_and_a_count(model, new):
    expr_tpm, names, _ = blood(new)
    expr_tpm = expr_tpm.copy()
    expr_tpm[30:60] /= 100
    table = check_samples(model, expr_tpm, ["\x1b[2J", *names[1:]], SOURCE)
    lines = in_words(table)
    assert len(lines) == 21
    assert all(line.startswith("warning: sample ") for line in lines[:20])
    left = (table["status"] == WARNED).sum() - 20
    assert lines[20] == f"60 further samples, {left} of them with a warning"
    assert "\x1b" not in "".join(in_words(table, most=80))
    assert (
        in_words(table.iloc[:2])[0].endswith(table["says"][0])
        or len(in_words(table.iloc[:2])) == 2
    )


def test_people_whose_sum_is_that_of_all_to_the_last_digits_fit(everyone):
    # TPM or CPM of a cohort whose genes are all that its files have: a million, but for rounding.
    million = 1e6 / everyone.expr_tpm.sum(1, keepdims=True)
    everyone = replace(everyone, expr_tpm=everyone.expr_tpm * million.astype(np.float32))
    fitted = build("same_gene")
    training = everyone.of_donors(everyone.donors.index[:120])
    fitted.fit(Training(training, source=everyone.tissue_index(SOURCE), device="cpu"))
    expr_tpm, names, sex = blood(everyone.of_donors(everyone.donors.index[120:]))
    # As text with six digits has them.
    rounded = expr_tpm * np.linspace(0.999, 1.001, len(names), dtype=np.float32)[:, None]
    for values in (expr_tpm, rounded):
        table = check_samples(fitted, values, names, SOURCE, sex=sex)
        assert not table["warnings"].str.contains("units").any()
        assert (table["status"] == PASSED).mean() >= 0.95
    table = check_samples(fitted, 0.9 * expr_tpm, names, SOURCE, sex=sex)
    assert table["warnings"].str.contains("units").all()
