import pytest


def slow(*values):
    """Return the values of a parametrised test that takes more than some seconds with them."""
    return pytest.param(*values, marks=pytest.mark.slow)


def some_slow(values, *names):
    """Return values of a parametrised test, of which those named take more than some seconds."""
    return [slow(value) if value in names else value for value in values]
