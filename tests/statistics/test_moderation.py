import numpy as np
import pytest
from scipy.special import polygamma

from mtm.statistics.moderation import MOST_DEGREES, VariancePrior, inverse_trigamma


def measured(rng, degrees, prior_degrees, n_genes=20_000, variance=0.7):
    """Return true variances and sums of squares of so many values."""
    true = np.full(n_genes, variance)
    if prior_degrees is not None:
        true = variance * prior_degrees / rng.chisquare(prior_degrees, n_genes)
    return true, true * rng.chisquare(degrees, n_genes)


@pytest.mark.parametrize("value", [1e-6, 0.03, 1.0, 40.0])
def test_inverse_trigamma(value):
    assert polygamma(1, inverse_trigamma(value)) == pytest.approx(value, rel=1e-8)


@pytest.mark.parametrize(("degrees", "prior_degrees"), [(4, 8), (20, 8), (20, 60)])
def test_the_planted_prior_is_found_and_helps(degrees, prior_degrees):
    true, squares = measured(np.random.default_rng(1), degrees, prior_degrees)
    prior = VariancePrior.of(squares / degrees, degrees)
    assert prior.variance == pytest.approx(0.7, rel=0.03)
    assert prior.degrees == pytest.approx(prior_degrees, rel=0.15)

    def error(variance):
        return np.square(np.log(variance / true)).mean()

    moderated = error(prior.moderated(squares, degrees))
    assert moderated < 0.9 * error(squares / degrees)
    assert moderated < 0.9 * error(np.full(len(true), prior.variance))


def test_variances_that_differ_by_chance_alone_become_one():
    _, squares = measured(np.random.default_rng(2), 20, None, n_genes=500)
    # By chance the spread is below or barely above what 20 degrees of freedom give.
    prior = VariancePrior.of(squares / 20, 20)
    assert prior.degrees > 200
    assert np.ptp(prior.moderated(squares, 20)) < 0.15 * 0.7
    equal = VariancePrior.of(np.full(9, 0.3), 20)
    assert equal.degrees == MOST_DEGREES
    assert equal.variance == pytest.approx(0.3 * 1.05, rel=0.03)


@pytest.mark.parametrize(("found", "variance"), [([], 1.0), ([0.0, 0.0], 1.0), ([0.0, 4.0], 4.0)])
def test_too_few_to_learn_from(found, variance):
    assert VariancePrior.of(np.array(found), 5) == VariancePrior(variance, MOST_DEGREES)
