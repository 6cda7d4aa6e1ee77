import numpy as np
import pytest

from mtm.figures import marks


@pytest.mark.parametrize("seed", range(3))
def test_swarm_dots_do_not_cover_one_another(seed):
    x = np.random.default_rng(seed).normal(0, 4, 40)
    y = marks.swarm_offsets(x, 1.0, 4.0)
    distance = np.hypot(x[:, None] - x, y[:, None] - y)[~np.eye(40, dtype=bool)]
    assert distance.min() >= 1 - 1e-9
    assert np.abs(y).max() <= 4
    np.testing.assert_array_equal(y, marks.swarm_offsets(x, 1.0, 4.0))


def test_a_swarm_without_room_still_places_every_dot():
    y = marks.swarm_offsets(np.zeros(20), 1.0, 1.0)
    assert np.isfinite(y).all()
    assert np.abs(y).max() <= 1
    assert marks.swarm_offsets(np.zeros(0), 1.0, 1.0).shape == (0,)
