"""Groups compared in many genes beside covariates, against statsmodels and by simulation."""

import numpy as np
import pytest
import statsmodels.api as sm

from mtm.statistics.adjusted_groups import AdjustedGroups

N, N_GENES = 40, 30


def people(seed=0, n=N):
    rng = np.random.default_rng(seed)
    sex = rng.integers(1, 3, n)
    case = rng.permutation(np.arange(n) < 0.4 * n)
    return rng, case, np.column_stack([sex, rng.normal(50, 9, n)]), sex


def test_differences_are_those_of_a_linear_model():
    rng, case, covariates, sex = people()
    values = rng.normal(size=(N, N_GENES)) + 0.05 * covariates[:, 1:] + 0.3 * case[:, None]
    found = AdjustedGroups(case, covariates, sex, 10, 0).differences(values)
    design = np.column_stack([case, np.ones(N), covariates])
    for gene in (0, 7):
        model = sm.OLS(values[:, gene], design).fit()
        low, high = model.conf_int()[0]
        np.testing.assert_allclose(
            [found.difference[gene], found.se[gene], found.p[gene]],
            [model.params[0], model.bse[0], model.pvalues[0]],
        )
        np.testing.assert_allclose([limits[gene] for limits in found.limits], [low, high])


def test_explained_is_the_mean_partial_r_squared_and_permuting_stays_within_strata():
    rng, case, covariates, sex = people()
    values = rng.normal(size=(N, N_GENES)) + 5.0 * covariates[:, :1]
    groups = AdjustedGroups(case, covariates, sex, 300, 0)
    found = groups.differences(values)
    t2 = np.square(found.difference / found.se)
    explained, null = groups.explained(values)
    assert explained == pytest.approx((t2 / (t2 + found.degrees)).mean(), rel=1e-4)
    assert null.shape == (300,)
    # What one more column explains of noise, on average.
    assert null.mean() == pytest.approx(1 / (found.degrees + 1), rel=0.1)
    assert (sex[groups.order] == sex).all()


def test_size_takes_chance_off_and_is_the_same_however_computed():
    rng, case, covariates, sex = people(1)
    truth = rng.normal(0, 0.5, N_GENES)
    values = rng.normal(size=(N, N_GENES)) + truth * case[:, None]
    groups = AdjustedGroups(case, covariates, sex, 10, 0)
    size, low, high = groups.size(values)
    found = groups.differences(values)
    expected = np.sqrt((np.square(found.difference) - np.square(found.se)).mean())
    assert size == pytest.approx(expected)
    assert low < np.sqrt(np.square(truth).mean()) < high
    nothing = groups.size(rng.normal(size=(N, N_GENES)))
    assert nothing[1] == 0


def test_a_group_that_is_a_covariate_cannot_be_told():
    _, case, covariates, sex = people()
    assert AdjustedGroups(case, covariates, sex, 10, 0).can_tell
    covariates[:, 0] = case
    assert not AdjustedGroups(case, covariates, sex, 10, 0).can_tell
    few = AdjustedGroups(case[:4], covariates[:4], sex[:4], 10, 0)
    assert not few.can_tell


@pytest.mark.parametrize("n", [10, 25, 60])
def test_permuted_groups_reject_as_often_as_they_should(n):
    p = []
    for seed in range(200):
        rng, case, covariates, sex = people(seed, n)
        shared = rng.normal(size=(n, 3)) @ rng.normal(size=(3, 20))
        values = shared + rng.normal(size=(n, 20)) + 0.1 * covariates[:, 1:]
        groups = AdjustedGroups(case, covariates, sex, 99, seed)
        explained, null = groups.explained(values)
        p.append((1 + (null >= explained).sum()) / 100)
    # 200 draws of 5% lie within these limits in 99.9% of cases.
    assert 0.005 < np.mean(np.array(p) <= 0.05) < 0.11
