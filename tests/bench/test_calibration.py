"""The simulations of intervals and tests, which are run by hand."""

import importlib

import numpy as np
import pytest
from bench.calibration.__main__ import areas, one_simulation


@pytest.mark.parametrize("area", areas())
def test_every_area_simulates_something(area):
    assert callable(importlib.import_module(f"bench.calibration.{area}").simulate)


@pytest.mark.slow
def test_intervals_of_a_cohort_are_judged(monkeypatch):
    # Threads of the other tests stay as they are.
    monkeypatch.setattr("torch.set_num_threads", lambda n: None)
    rows = one_simulation("intervals", 60, 0)
    assert len({row["name"] for row in rows}) == len(rows) == 10
    assert np.isfinite([row["hit"] for row in rows]).all()
