"""Rows of few people leave no building."""

import pandas as pd
import pytest

from mtm.statistics.small_counts import of_enough_people, without_small_counts

TABLE = pd.DataFrame(
    {
        "tissue": ["Lung", "Liver", "Ovary", "Testis", "(mean of tissues)"],
        "n_samples": [30, 4, 5, 0, 39],
        "n_cases": [12, 2, None, None, None],
        "n_controls": [4, 2, 5, 0, None],
        "rho": [0.1, 0.2, 0.3, 0.4, 0.5],
    }
)


@pytest.mark.parametrize(
    ("fewest", "kept"),
    [
        (1, ["Lung", "Liver", "Ovary", "Testis", "(mean of tissues)"]),
        (4, ["Lung", "Ovary", "Testis", "(mean of tissues)"]),
        (5, ["Ovary", "Testis", "(mean of tissues)"]),
        (10, ["Testis", "(mean of tissues)"]),
    ],
)
def test_a_row_of_some_but_few_people_goes(fewest, kept):
    assert of_enough_people(TABLE, fewest)["tissue"].tolist() == kept


def test_people_of_the_reference_are_people():
    table = pd.DataFrame(
        {
            "tissue": ["Lung", "Liver"], "n_reference_cases": [6, 30],
            "n_reference_controls": [40, 30], "n_cases": [25, 25], "n_controls": [33, 33],
        }
    )  # fmt: skip
    assert of_enough_people(table, 10)["tissue"].tolist() == ["Liver"]


def test_counts_of_other_things_are_none_of_people():
    genes = pd.DataFrame({"step": ["matched", "duplicated"], "n": [900, 2]})
    assert len(of_enough_people(genes, 10)) == 2
    of_tissue = genes.rename(columns={"step": "tissue"})
    assert of_enough_people(of_tissue, 10)["n"].tolist() == [900]
    assert len(of_enough_people(pd.DataFrame({"n_genes": [1, 2]}), 10)) == 2


def test_counts_of_genes_and_of_pairs_of_tissues_are_none_of_people():
    reliability = pd.DataFrame({"n_samples": [90], "n_high": [2], "n_moderate": [4], "n_low": [7]})
    traits = pd.DataFrame({"n_donors": [90], "n_high": [2], "n_low": [88]})
    assert [len(of_enough_people(table, 10)) for table in (reliability, traits)] == [1, 0]
    status = pd.DataFrame({"pairs": ["informative"], "n_pairs": [3]})
    decoding = pd.DataFrame({"subset": ["all tissues"], "n_donors": [90], "n_pairs": [3]})
    elsewhere = pd.DataFrame({"tissue": ["Lung"], "n_samples": [90], "n_pairs": [3]})
    kept = [len(of_enough_people(table, 10)) for table in (status, decoding, elsewhere)]
    assert kept == [1, 1, 0]


def test_people_of_a_reference_are_people():
    table = pd.DataFrame({"n_cases": [50, 50], "n_reference_cases": [4, 60]})
    assert of_enough_people(table, 10)["n_reference_cases"].tolist() == [60]


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        (
            "at most 2 cases and as many controls",
            "at most fewer than 5 cases and as many controls",
        ),
        ("3 held-out donors with blood", "fewer than 5 held-out donors with blood"),
        ("12 donors, fewer than 20", "12 donors, fewer than 20"),
        ("2 target tissues, fewer than 3", "2 target tissues, fewer than 3"),
        ("no donor has two", "no donor has two"),
    ],
)
def test_sentences_tell_no_small_count_of_people(sentence, told):
    assert without_small_counts(sentence, 5) == told
    assert without_small_counts(sentence, 1) == sentence
