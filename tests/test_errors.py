"""Errors that come out of another process as they went in."""

import pickle

import pytest

from mtm.errors import CannotDo, InputError, not_installed, numbered

PLAIN = InputError("a.tsv", "nothing", "a table", "Make one.")


@pytest.mark.parametrize(
    "error",
    [
        PLAIN,
        InputError.together([PLAIN, InputError("b.tsv", "text", "a number")]),
        CannotDo("decoding paths", "2 tissues", "add tissues"),
    ],
)
def test_an_error_survives_pickling(error):
    found = pickle.loads(pickle.dumps(error))
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert vars(found) == vars(error)


def test_a_file_of_a_model_that_is_not_there_is_no_missing_package():
    error = ModuleNotFoundError(name="mtm.settings.models.own")
    said = str(not_installed(error, "model own"))
    assert "expected the file src/mtm/settings/models/own.py" in said
    assert "pip" not in said
    assert "pip install" in str(not_installed(ModuleNotFoundError(name="torch"), "model own"))


@pytest.mark.parametrize(
    ("n", "words"), [(0, "0 people"), (1, "1 person"), (2, "2 people"), (-1, "-1 people")]
)
def test_one_is_no_plural(n, words):
    assert numbered(n, "person", "people") == words
    assert numbered(n, "gene") == words.replace("person", "gene").replace("people", "genes")
