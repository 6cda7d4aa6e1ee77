import numpy as np
import pytest

from mtm.cohort.units import to_tpm
from mtm.errors import InputError


def test_log2_values_become_tpm():
    expr_tpm = np.array([[0.0, 3.0, 1000.0]])
    np.testing.assert_allclose(to_tpm(np.log2(1 + expr_tpm), "log2"), expr_tpm, rtol=1e-5)
    assert to_tpm(expr_tpm).dtype == np.float32


@pytest.mark.parametrize(
    ("values", "units", "message"),
    [
        ([[0.5, 12.0]], None, "looks log-scaled.*--units log2"),
        ([[0.5, 2e6]], None, "looks like counts"),
        ([[0.5, 50.0]], "log2", "up to 50"),
        ([[-0.5, 50.0]], None, "negative"),
        ([[-0.5, 5.0]], "log2", "negative"),
        ([[np.nan, 50.0]], None, "sample 1, gene 1"),
        ([[1.0, np.inf]], "tpm", "sample 1, gene 2"),
        (np.zeros((0, 3)), None, "shape"),
        ([[1.0, 50.0]], "fpkm", "'fpkm'"),
    ],
)
def test_values_that_are_not_what_they_should_be(values, units, message):
    with pytest.raises(InputError, match=message):
        to_tpm(np.asarray(values), units)


def test_a_stated_unit_is_believed():
    assert to_tpm(np.array([[0.5, 12.0]]), "tpm").max() == 12
