"""Degrees of freedom of means over tissues."""

import numpy as np

from mtm.analyses.accuracy.counted import Counted
from mtm.analyses.accuracy.tables import _intervals


def test_a_tissue_without_a_correlation_lends_the_mean_no_degrees_of_freedom():
    draws = np.random.default_rng(0).normal(0, 0.1, 50)
    liver, lung = (
        Counted(frozenset((i % 3, f"{name}{i}") for i in range(n)))
        for name, n in (("a", 9), ("b", 4))
    )
    alone = _intervals(0.3, [draws], [liver], draws)
    assert _intervals(0.3, [draws, np.full(50, np.nan)], [liver, lung], draws) == alone
    assert _intervals(0.3, [draws, draws], [liver, lung], draws) != alone
