"""The Gaussian conditional, against its definition."""

import numpy as np
import pytest
import torch

from mtm.analyses.imputation.gaussian import (
    impute_gaussian,
    told_by_samples,
    weights_by_genes,
)


@pytest.mark.parametrize("n_samples", [4, 30])
def test_conditional_is_the_most_likely_value_of_what_failed(n_samples):
    rng = np.random.default_rng(0)
    train, values = rng.standard_normal((n_samples, 7)), rng.standard_normal((4, 7))
    covariance = train.T @ train
    known = ~np.isin(np.arange(7), [1, 4, 5])
    precision = np.linalg.inv(covariance + 0.3 * np.eye(7))
    by_genes = weights_by_genes(*map(torch.from_numpy, (covariance, known)), 0.3)
    weights = rng.uniform(0.5, 2, n_samples)
    root = train / weights[:, None] ** 0.5
    by_samples = told_by_samples(
        *map(
            torch.from_numpy,
            (root[:, known] @ root[:, known].T, values[:, known] @ root[:, known].T),
        ),
        *map(torch.from_numpy, (root[:, ~known], weights)),
        0.3,
    )
    for told in (values[:, known] @ by_genes.numpy(), by_samples.numpy()):
        whole = values.copy()
        whole[:, ~known] = told
        # Where the density is highest, its gradient by the failed genes is 0.
        np.testing.assert_allclose((whole @ precision)[:, ~known], 0, atol=1e-12)


@pytest.mark.parametrize("pooled_samples", [0, 3])
@pytest.mark.parametrize("n_genes", [8, 30])
def test_imputed_is_the_conditional_by_its_formula(n_genes, pooled_samples):
    """Fewer genes than samples, and more: the formula of methods 6.24 tissue by tissue."""
    rng = np.random.default_rng(4)
    z, asked = (rng.standard_normal((n, n_genes)).astype(np.float32) for n in (12, 5))
    tissue, asked_tissue = np.arange(12) % 2, np.array([0, 1, 1, 0, 1])
    blocks = [np.arange(0, n_genes, 2), np.arange(1, n_genes, 2)]
    told = impute_gaussian(z, tissue, asked, asked_tissue, blocks, 0.2, pooled_samples, "cpu")
    for row, which in enumerate(asked_tissue):
        own = z[tissue == which].astype(float)
        product = own.T @ own + pooled_samples * z.T.astype(float) @ z / len(z)
        matrix = 0.8 * product / (len(own) + pooled_samples) + 0.2 * np.eye(n_genes)
        for failed, known in (blocks, blocks[::-1]):
            solved = np.linalg.solve(matrix[np.ix_(known, known)], matrix[np.ix_(known, failed)])
            np.testing.assert_allclose(
                told[row, failed], asked[row, known] @ solved, rtol=1e-4, atol=1e-5
            )


def test_tissue_has_its_own_correlations_drawn_to_those_of_all():
    rng = np.random.default_rng(1)
    shared = rng.standard_normal((400, 1))
    tissue = np.repeat([0, 1], 200)
    sign = np.where(tissue == 1, -1, 1)[:, None]
    z = np.hstack([shared, sign * shared + 0.1 * rng.standard_normal((400, 1))])
    z = z.astype(np.float32)
    blocks = [np.array([0]), np.array([1])]
    own, pooled = (
        impute_gaussian(z, tissue, z, tissue, blocks, 0.01, n, "cpu")
        for n in (0, 1e6)
    )  # fmt: skip
    assert np.corrcoef(own[:, 1], z[:, 1])[0, 1] > 0.98
    assert np.abs(pooled).max() < 0.3
    np.testing.assert_allclose(
        own[tissue == 1, 1],
        z[tissue == 1, 0] * 0.99 * (z[200:, 0] * z[200:, 1]).mean()
        / (0.99 * (z[200:, 0] ** 2).mean() + 0.01),
        rtol=1e-4,
    )  # fmt: skip


def test_a_tissue_without_training_samples_has_the_correlations_of_all():
    z = np.random.default_rng(2).standard_normal((50, 4)).astype(np.float32)
    blocks = [np.arange(2), np.arange(2, 4)]
    told = impute_gaussian(z, np.zeros(50, int), z, np.ones(50, int), blocks, 0.1, 50, "cpu")
    assert np.isfinite(told).all()
    assert told.std() > 0
