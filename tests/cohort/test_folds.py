import random

import numpy as np
import pandas as pd
import pytest

from mtm.cohort.folds import (
    NEVER_HELD_OUT,
    balanced_folds,
    fold_counts,
    holdout_folds,
    make_folds,
    published_folds,
    read_folds,
)
from mtm.errors import InputError


@pytest.fixture
def samples():
    """103 donors, 41 tissues of 4 to 90 donors, 71 donors with blood, in random order."""
    rng = np.random.default_rng(2)
    donors = [f"GTEX-{i:03d}" for i in range(103)]
    rows = [(donor, "Whole Blood") for donor in rng.choice(donors, 71, replace=False)]
    for index, size in enumerate(np.geomspace(4, 90, 40).astype(int)):
        rows += [(donor, f"T{index}") for donor in rng.choice(donors, size, replace=False)]
    rng.shuffle(rows)
    return pd.DataFrame(rows, columns=["donor", "tissue"])


def test_published_folds_are_those_of_the_published_code(samples):
    folds = published_folds(samples["donor"])
    expected = sorted(set(samples["donor"]))
    assert list(folds["donor"]) == expected
    random.seed(666)
    assert list(folds["fold"]) == random.choices(range(5), k=len(expected))


@pytest.mark.parametrize("n_folds", [2, 4, 5, 10])
@pytest.mark.parametrize("seed", [0, 1])
def test_balanced_folds_are_equal_and_stratified(samples, n_folds, seed):
    folds = balanced_folds(samples["donor"], samples["tissue"], n_folds, seed, "Whole Blood")
    has = pd.crosstab(samples["donor"], samples["tissue"]).loc[folds["donor"]]
    sizes = np.bincount(folds["fold"], minlength=n_folds)
    assert np.ptp(sizes) <= 1
    per_fold = has.groupby(folds["fold"].to_numpy()).sum()
    assert np.ptp(per_fold["Whole Blood"]) <= 1
    rare = has.sum()[has.sum() <= 12].index
    assert len(rare) > 5
    assert (np.abs(per_fold[rare] - has[rare].sum() / n_folds) < 2).all(axis=None)
    drawn = published_folds(samples["donor"], n_folds, seed)["fold"].to_numpy()
    assert per_fold.std().mean() < has.groupby(drawn).sum().std().mean()


def test_folds_do_not_depend_on_the_order_of_samples(samples):
    shuffled = samples.sample(frac=1, random_state=1)
    for scheme, n_folds in (("published", 5), ("balanced", 5), ("holdout", 1)):
        tables = [
            make_folds(
                scheme,
                table["donor"],
                table["tissue"],
                n_folds=n_folds,
                seed=3,
                source="Whole Blood",
            )
            for table in (samples, shuffled)
        ]
        for first, second in zip(*tables, strict=True):
            pd.testing.assert_frame_equal(first, second)


def test_seeds_differ(samples):
    one, two = (
        balanced_folds(samples["donor"], samples["tissue"], 5, seed, "Whole Blood")
        for seed in (1, 2)
    )
    assert (one["fold"] != two["fold"]).any()


def test_holdout_holds_out_a_fifth_once(samples):
    folds = holdout_folds(samples["donor"], seed=4)
    assert (folds["fold"] == 0).sum() == 21
    assert (folds["fold"] == NEVER_HELD_OUT).sum() == 82
    assert (holdout_folds(samples["donor"], seed=5)["fold"] != folds["fold"]).any()
    assert (holdout_folds(["a", "b"])["fold"] == 0).sum() == 1


def test_fold_counts_by_brute_force(samples):
    folds = published_folds(samples["donor"], 4, 1)
    counts = fold_counts(folds, samples["donor"], samples["tissue"], "Whole Blood")
    fold_of = dict(zip(folds["donor"], folds["fold"], strict=True))
    rows = list(samples.itertuples(index=False))
    for fold in range(4):
        training = [row for row in rows if fold_of[row.donor] != fold]
        pairs = sum(a.donor == b.donor and a is not b for a in training for b in training)
        blood = {r.donor for r in rows if r.tissue == "Whole Blood" and fold_of[r.donor] == fold}
        smallest = pd.Series([row.tissue for row in training]).value_counts().min()
        held_out = sum(value == fold for value in fold_of.values())
        assert counts.loc[fold].tolist() == [fold, held_out, len(blood), pairs, smallest]


def test_holdout_counts(samples):
    folds, counts = make_folds(
        "holdout", samples["donor"], samples["tissue"], n_folds=1, seed=0, source="T39"
    )
    assert counts["fold"].tolist() == [0]
    assert counts["n_held_out_donors"].tolist() == [21]


def test_a_fold_that_holds_out_nobody_is_an_error():
    folds = pd.DataFrame({"donor": ["a", "b", "c"], "fold": [0, 2, 2]})
    with pytest.raises(InputError, match="fold 1: found no held-out donor"):
        fold_counts(folds, ["a", "b", "c"], ["Lung"] * 3, "Lung")


def test_a_fold_of_which_nobody_can_be_told_is_an_error():
    folds = pd.DataFrame({"donor": list("abcd"), "fold": [0, 0, 1, 1]})
    donor, tissue = list("aabbccda"), ["Blood", "Lung"] * 2 + ["Lung", "Skin", "Blood", "Skin"]
    with pytest.raises(InputError, match="fold 1: found none of 2 .* Blood and another"):
        fold_counts(folds, donor, tissue, "Blood")
    counts = fold_counts(folds, [*donor, "d"], [*tissue, "Skin"], "Blood")
    assert counts["n_held_out_source_donors"].tolist() == [2, 1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scheme": "random"}, "one of published, balanced, holdout"),
        ({"scheme": "published", "n_folds": 1}, "folds.n_folds: found 1; expected 2 or more"),
        ({"scheme": "holdout", "n_folds": 5}, "expected 1 with the scheme holdout"),
        ({"scheme": "balanced", "source": "Blood"}, "Did you mean 'Whole Blood'"),
        ({"scheme": "published", "source": "Blood"}, "Did you mean 'Whole Blood'"),
        ({"scheme": "balanced", "n_folds": 104}, "103 donors for 104 folds"),
    ],
)
def test_choices_that_cannot_be(samples, options, words):
    options = {"n_folds": 5, "seed": 0, "source": "Whole Blood"} | options
    with pytest.raises(InputError, match=words):
        make_folds(donor=samples["donor"], tissue=samples["tissue"], **options)


def test_folds_come_back_as_they_were_written(tmp_path):
    path = tmp_path / "folds.tsv"
    path.write_text("fold\tdonor\n1\tb\n-1\t007\n0\tNA\n")
    folds = read_folds(path)
    assert folds.to_dict() == {"b": 1, "007": -1, "NA": 0}
    assert folds.dtype == np.int64
    assert (folds.name, folds.index.name) == ("fold", "donor")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("b\tone", "row 2, column fold: found 'one'; expected an integer, 0 or more"),
        ("b\t3.5", "row 2, column fold: found '3.5'"),
        ("b\t-2", "row 2, column fold: found '-2'"),
        ("b\tinf", "row 2, column fold: found 'inf'"),
        ("b\t", "row 2, column fold: found ''"),
        ("a\t1", "row 2, column donor: found 'a'; expected every donor once"),
        ("\t1", "row 2, column donor: found ''"),
    ],
)
def test_folds_that_cannot_be_are_named(tmp_path, row, words):
    path = tmp_path / "folds.tsv"
    path.write_text(f"donor\tfold\na\t0\n{row}\n")
    with pytest.raises(InputError, match=f"folds.tsv, {words}"):
        read_folds(path)


@pytest.mark.parametrize("n_folds", [1, 3])
def test_other_folds_than_those_of_the_run_are_refused(tmp_path, n_folds):
    path = tmp_path / "folds.tsv"
    path.write_text("donor\tfold\na\t0\nb\t1\nc\t-1\n")
    assert read_folds(path, n_folds=2).max() == 1
    with pytest.raises(InputError, match=f"row 2, column fold: found 1 .* 0 to {n_folds - 1}"):
        read_folds(path, n_folds=n_folds)
