import pytest


def slow(*values):
    """Return the values of a parametrised test that takes more than some seconds with them."""
    return pytest.param(*values, marks=pytest.mark.slow)
