import matplotlib as mpl
import numpy as np
import pytest

from mtm.figures import marks, style


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


def test_dots_far_apart_are_named_and_crowded_ones_are_not():
    regions = [name for name in style.gtex_tissues().index if name.startswith("Brain - ")][:3]
    with mpl.rc_context(style.RC):
        ax = style.new_figure(80, 80).subplots()
        ax.set(xlim=(0, 1), ylim=(0, 1))
        marks.name_dots(ax, [0.1, 0.9, 0.11], [0.1, 0.9, 0.1], regions, np.array([3, 2, 1]))
    written = [text.get_text() for text in ax.texts]
    assert written == [style.abbreviation(name) for name in regions[:2]]
    assert len(set(written)) == 2


def test_the_ends_of_a_row_are_named_unless_several_share_them():
    tissues = ["Lung", "Liver", "Brain - Cortex", "Brain - Amygdala"]
    with mpl.rc_context(style.RC):
        ax = style.new_figure(80, 80).subplots()
        marks.swarm(ax, np.array([0.4, 0.1, 0.5, 0.5]), tissues, 0, 80, 6)
    assert [text.get_text() for text in ax.texts] == ["LIVER"]
