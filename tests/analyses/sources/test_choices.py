import logging

import numpy as np
import pytest

from mtm.analyses.sources.choices import Chooser
from mtm.settings.any_sources import AnySources
from mtm.vocabulary import (
    ALL_OTHERS,
    AND,
    CHOICES,
    NO_TISSUE,
    ONE_ADDED,
    ONE_TISSUE,
    SOME_ADDED,
    SOME_DRAWN,
)

TISSUES = ("Blood", "Fat", "Lung", "Nerve", "Skin")
# Rows of the cohort: four donors, who all have blood and the target, lung.
OWN = np.array([[0, 1, 2, 3, 4], [5, -1, 6, 7, -1], [8, 9, 10, -1, 11], [12, -1, 13, -1, -1]])
SETTINGS = AnySources(accessible=("Skin", "Vein", "Fat"), random=(1, 3))


@pytest.fixture
def found():
    chooser = Chooser(TISSUES, 0, SETTINGS, without_samples=True)
    return {(c.kind, c.given): c for c in chooser.choices(OWN, 2)}


def test_every_kind_is_there_and_the_target_never_given(found):
    assert {kind for kind, _ in found} == set(CHOICES)
    for choice in found.values():
        assert not np.isin(choice.source_rows, OWN[:, 2]).any()
        assert len(choice.source_rows) == len(choice.kept)


def test_named_tissues_go_to_those_who_have_them_all(found):
    assert found[ONE_TISSUE, "Blood"].kept.tolist() == [0, 1, 2, 3]
    assert found[ONE_TISSUE, "Nerve"].source_rows.tolist() == [[3], [7]]
    assert found[ONE_ADDED, f"Blood{AND}Fat"].source_rows.tolist() == [[0, 1], [8, 9]]
    assert (ONE_ADDED, f"Blood{AND}Blood") not in found
    added = [given for kind, given in found if kind == SOME_ADDED]
    assert added == [f"Blood{AND}Skin", AND.join(["Blood", "Skin", "Fat"])]
    assert found[SOME_ADDED, added[1]].source_rows.tolist() == [[0, 4, 1], [8, 11, 9]]


def test_an_accessible_target_is_told_from_what_stands_before_it():
    chooser = Chooser(TISSUES, 0, SETTINGS, without_samples=False)
    kinds = [(c.kind, c.given) for c in chooser.choices(OWN, 1)]
    assert [given for kind, given in kinds if kind == SOME_ADDED] == [f"Blood{AND}Skin"]
    assert not any(kind == NO_TISSUE for kind, _ in kinds)


def test_a_source_that_is_accessible_too_is_given_once():
    chooser = Chooser(TISSUES, 4, SETTINGS, without_samples=False)
    added = [c for c in chooser.choices(OWN[[0, 2]], 2) if c.kind == SOME_ADDED]
    assert [c.given for c in added] == [f"Skin{AND}Fat"]
    assert added[0].source_rows.tolist() == [[4, 1], [11, 9]]


def test_larger_draws_hold_the_smaller_ones_and_all_hold_everything(found):
    one, three = found[SOME_DRAWN, "1"], found[SOME_DRAWN, "3"]
    assert one.kept.tolist() == [0, 1, 2, 3]
    assert three.kept.tolist() == [0, 2]
    assert (three.source_rows[:, 0] == one.source_rows[three.kept, 0]).all()
    everything = found[ALL_OTHERS, ""].source_rows
    for own, given in zip(OWN, everything, strict=True):
        assert sorted(given[given >= 0]) == sorted(np.delete(own, 2)[np.delete(own, 2) >= 0])
        assert (np.diff((given >= 0).astype(int)) <= 0).all()
    assert found[ALL_OTHERS, ""].n_given == np.mean([4, 2, 3, 1])
    assert (found[NO_TISSUE, ""].source_rows == -1).all()
    assert found[NO_TISSUE, ""].n_given == 0


def test_draws_differ_by_seed_and_not_otherwise():
    def drawn(seed):
        own = np.arange(200).reshape(40, 5)
        chooser = Chooser(TISSUES, 0, SETTINGS.with_(seed=seed), False)
        return next(c for c in chooser.choices(own, 2) if c.kind == SOME_DRAWN).source_rows

    assert (drawn(0) == drawn(0)).all()
    assert (drawn(0) != drawn(1)).any()
    counts = np.bincount(drawn(0).ravel() % 5, minlength=5)
    assert counts[2] == 0
    assert (counts[[0, 1, 3, 4]] > 3).all()


def test_names_that_the_cohort_lacks_are_told(caplog):
    with caplog.at_level(logging.WARNING):
        Chooser(TISSUES, 0, SETTINGS, False).tell_lacking()
    assert "Vein" in caplog.text
    assert "Skin" not in caplog.text
