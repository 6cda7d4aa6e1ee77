import numpy as np
import pytest
import torch
from scipy.stats import pearsonr

from mtm.statistics.correlation import centre, fisher_z, row_correlation
from mtm.statistics.kernels import (
    pearson,
    permuted_correlations,
    standardise,
    weighted_correlations,
)
from mtm.statistics.resampling import donor_permutations, donor_weights


def pair(n: int, n_genes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    predicted, observed = rng.standard_normal((2, n, n_genes))
    return torch.from_numpy(predicted), torch.from_numpy(predicted + observed)


@pytest.mark.parametrize("dim", [0, 1])
def test_pearson_is_scipys(dim):
    predicted, observed = pair(7, 9)
    predicted = predicted * 1e-3 + 40
    rho = pearson(predicted, observed, dim).numpy()
    columns = zip(predicted.movedim(dim, 1).numpy(), observed.movedim(dim, 1).numpy(), strict=True)
    np.testing.assert_allclose(rho, [pearsonr(x, y).statistic for x, y in columns], atol=1e-10)


def test_constants_and_rounding():
    predicted, observed = pair(40, 5)
    predicted[:, 0] = 3.7
    predicted[:, 1] = torch.nextafter(torch.tensor(3.7), torch.tensor(4.0)).double()
    predicted[::2, 1] = 3.7
    predicted[:, 2] = 3.7 + 1e-4 * predicted[:, 2]
    observed[:, 3] = -2.2
    predicted[:, 4], observed[:, 4] = 0, 0
    rho = pearson(predicted, observed, 0)
    assert rho[:2].tolist() == [0, 0]
    assert rho[2] == pytest.approx(pearsonr(predicted[:, 2], observed[:, 2]).statistic)
    assert rho[2].abs() > 0.3
    assert rho[3:].isnan().all()
    assert standardise(predicted, 0)[1].tolist() == [True, True, False, False, True]


def test_fisher_z_of_perfect_correlation_is_finite():
    perfect = [1.0, -1.0, 1.0000001]
    z = fisher_z(torch.tensor(perfect))
    assert torch.isfinite(z).all()
    np.testing.assert_allclose(z, fisher_z(np.array(perfect)), rtol=1e-6)


def test_permuted_correlations_are_those_of_permuted_donors():
    predicted, observed = pair(8, 3)
    rng = np.random.default_rng(1)
    left, right = donor_permutations(8, 11, rng)
    assert len(left) * len(right) >= 11
    assert (np.sort(left, 1) == np.arange(8)).all()
    assert (np.sort(right, 1) == np.arange(8)).all()
    unit_predicted, unit_observed = standardise(predicted, 0)[0], standardise(observed, 0)[0]
    rho = permuted_correlations(
        unit_predicted, unit_observed, torch.from_numpy(left), torch.from_numpy(right), 11
    )
    assert rho.shape == (3, 11)
    for number in range(11):
        a, b = divmod(number, len(right))
        for gene in range(3):
            x, y = predicted[left[a], gene], observed[right[b], gene]
            assert rho[gene, number] == pytest.approx(pearsonr(x, y).statistic)


def test_weighted_correlations_are_those_of_repeated_donors():
    predicted, observed = pair(12, 4)
    predicted[2:, 1] = predicted[2, 1]
    observed[2:, 2] = observed[2, 2]
    weights = donor_weights(12, 60, np.random.default_rng(4))
    assert weights.shape == (60, 12)
    assert (weights.sum(1) == 12).all()
    weights[0] = 0
    unit = [standardise(values, 0)[0].float() for values in (predicted, observed)]
    rho = weighted_correlations(*unit, torch.from_numpy(weights)).numpy()
    assert np.isnan(rho[0]).all()
    seen_constant = 0
    for row, counts in enumerate(weights[1:].astype(int), start=1):
        x, y = (values.numpy().repeat(counts, axis=0) for values in (predicted, observed))
        for gene in range(4):
            if np.ptp(y[:, gene]) == 0:
                assert np.isnan(rho[row, gene])
            elif np.ptp(x[:, gene]) == 0:
                assert rho[row, gene] == 0
                seen_constant += 1
            else:
                expected = pearsonr(x[:, gene], y[:, gene]).statistic
                assert rho[row, gene] == pytest.approx(expected, abs=2e-5)
    assert seen_constant > 3


def test_fisher_z_of_arrays_is_that_of_tensors():
    rho = np.array([-1.0, -0.4, 0.0, 0.97, 1.0, np.nan])
    np.testing.assert_allclose(fisher_z(rho), fisher_z(torch.from_numpy(rho)), rtol=1e-12)
    np.testing.assert_allclose(fisher_z(rho)[1:4], np.arctanh(rho[1:4]))


@pytest.mark.parametrize("number", [0.4, np.float32(0.4), np.float64(0.4), 0, 1, np.int64(-1)])
def test_fisher_z_of_a_number_is_that_of_an_array(number):
    assert fisher_z(number) == pytest.approx(fisher_z(np.array([float(number)]))[0], rel=1e-6)


def test_row_correlation_is_scipys_with_one_row_for_all():
    rng = np.random.default_rng(6)
    a, b = rng.normal(size=(2, 4, 9))
    a[3] = 2.5
    rho = row_correlation(a, b)
    expected = [pearsonr(x, y).statistic for x, y in zip(a[:3], b[:3], strict=True)]
    np.testing.assert_allclose(rho[:3], expected)
    assert np.isnan(rho[3])
    against_one = [pearsonr(x, b[0]).statistic for x in a[:3]]
    np.testing.assert_allclose(row_correlation(a[:3], b[0]), against_one)
    np.testing.assert_allclose(row_correlation(b[0], a[:3]), against_one)


def test_centre_takes_out_the_mean_of_each_part():
    values = np.array([[1.0, 10], [3, 30], [7, 70], [8, 90], [9, 50]])
    parts = [slice(0, 2), slice(2, 5)]
    expected = [[-1, -10], [1, 10], [-1, 0], [0, 20], [1, -20]]
    np.testing.assert_allclose(centre(values, parts), expected)


def test_centre_leaves_nothing_of_what_is_constant():
    """Residues of float32 would tell the part, and a classifier takes them for a feature."""
    values = np.random.default_rng(0).uniform(1, 15, (2, 40)).astype(np.float32)
    centred = centre(values[np.repeat([0, 1], [37, 23])], [slice(0, 37), slice(37, 60)])
    assert centred.dtype == np.float32
    assert (centred == 0).all()
