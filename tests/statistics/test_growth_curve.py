import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mtm.statistics.growth_curve import fit_growth, read_growth

SIZES = np.array([30, 60, 120, 240])


@given(limit=st.floats(0.05, 1), half=st.floats(0, 2000))
def test_points_of_a_curve_give_it_back(limit, half):
    def truth(n):
        return limit * np.sqrt(n / (n + half))

    curve = fit_growth(SIZES, truth(SIZES))
    if truth(SIZES[0]) > 0.011:
        np.testing.assert_allclose(read_growth(curve, 1000), truth(1000), rtol=1e-6)


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4))
def test_a_curve_never_falls_nor_leaves_the_possible(rho):
    curve = fit_growth(SIZES, np.array(rho))
    read = np.array([read_growth(curve, n) for n in (30, 300, 3000, 1e9)])
    if min(rho) <= 0.01:
        assert np.isnan(read).all()
    else:
        assert (np.diff(read) >= 0).all()
        assert (read > 0).all()
        assert (read <= 1).all()


def test_the_curve_is_nearly_that_of_least_squares_in_rho():
    rng = np.random.default_rng(0)
    rho = 0.5 * np.sqrt(SIZES / (SIZES + 200)) + rng.normal(0, 0.005, 4)
    mine = read_growth(fit_growth(SIZES, rho), SIZES)
    limits, halves = np.meshgrid(np.linspace(0.3, 0.9, 601), np.linspace(1, 800, 800))
    grid = limits[..., None] * np.sqrt(SIZES / (SIZES + halves[..., None]))
    best = ((grid - rho) ** 2).sum(-1).min()
    assert ((mine - rho) ** 2).sum() <= 1.1 * best + 1e-9


def test_many_curves_at_once_are_each_alone():
    rho = np.random.default_rng(1).uniform(0.05, 0.5, (4, 7))
    together = read_growth(fit_growth(SIZES, rho), 500)
    alone = [read_growth(fit_growth(SIZES, rho[:, i]), 500) for i in range(7)]
    np.testing.assert_allclose(together, alone)
