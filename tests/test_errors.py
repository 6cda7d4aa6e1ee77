"""Errors that come out of another process as they went in."""

import pickle

import pytest

from mtm.errors import CannotDo, InputError

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
