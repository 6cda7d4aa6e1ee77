"""Log-likelihoods of counts and divergences of codes, against slow references."""

import numpy as np
import pytest
import torch
from scipy import stats

from mtm.analyses.imputation.autoencoder import divergence, log_sizes, mean_divergence
from mtm.analyses.imputation.likelihoods import nb_log_likelihood, zinb_log_likelihood

COUNTS = np.array([0, 1, 3, 40, 1000.0])
MEAN, SIZE, SHARE = 12.0, 0.7, 0.3


def tensor(value):
    return torch.tensor(value, dtype=torch.float64)


@pytest.mark.parametrize(("mean", "size"), [(12.0, 0.7), (0.01, 3.0), (5e4, 200.0), (7.0, 1e-3)])
def test_negative_binomial_is_scipys(mean, size):
    ours = nb_log_likelihood(tensor(COUNTS), tensor(mean), tensor(np.log(size)))
    np.testing.assert_allclose(
        ours, stats.nbinom.logpmf(COUNTS, size, size / (size + mean)), rtol=1e-6
    )


def test_zero_inflation_adds_zeros_and_takes_them_from_all_other_counts():
    logit = tensor(np.log(SHARE / (1 - SHARE)))
    ours = zinb_log_likelihood(tensor(COUNTS), tensor(MEAN), tensor(np.log(SIZE)), logit)
    chance = (1 - SHARE) * stats.nbinom.pmf(COUNTS, SIZE, SIZE / (SIZE + MEAN))
    np.testing.assert_allclose(ours.exp(), chance + SHARE * (COUNTS == 0), rtol=1e-9)


def test_divergences_are_those_of_gaussians_pair_by_pair():
    torch.manual_seed(0)
    mean, log_variance = torch.randn(6, 3).double(), torch.randn(6, 3).double()
    each = [
        torch.distributions.Normal(m, (v / 2).exp())
        for m, v in zip(mean, log_variance, strict=True)
    ]
    kl = torch.distributions.kl_divergence
    pairs = torch.stack([kl(one, other).sum() for one in each for other in each])
    torch.testing.assert_close(mean_divergence(mean, log_variance), pairs.mean())
    standard = torch.distributions.Normal(torch.zeros(3).double(), 1.0)
    ours = torch.stack([kl(one, standard).sum() for one in each])
    torch.testing.assert_close(divergence(mean, log_variance), ours)


def test_sizes_are_those_that_make_genes_as_spread_as_they_are_in_the_tissue():
    size = np.array([[4.0, 40.0], [25.0, 1000.0]])
    expr_tpm = np.random.default_rng(0).gamma(size, 200 / size, (20_000, 2, 2))
    expr_log2 = np.log2(1 + expr_tpm)
    ours = log_sizes(tensor(expr_log2.mean(0)), tensor(expr_log2.std(0)))
    # Logarithms of gammas of small sizes have a little more than 1 / size.
    np.testing.assert_allclose(ours.exp() / size, 1, atol=0.15)


def test_likelihoods_are_those_of_scvi():
    scvi = pytest.importorskip("scvi.distributions", reason="scvi-tools is not installed")
    mean, size, logit = (tensor(value) for value in (MEAN, SIZE, np.log(SHARE / (1 - SHARE))))
    counts = tensor(COUNTS)
    theirs = scvi.NegativeBinomial(mu=mean, theta=size, validate_args=False)
    ours = nb_log_likelihood(counts, mean, size.log())
    torch.testing.assert_close(ours, theirs.log_prob(counts), rtol=1e-6, atol=1e-6)
    theirs = scvi.ZeroInflatedNegativeBinomial(
        mu=mean, theta=size, zi_logits=logit, validate_args=False
    )
    ours = zinb_log_likelihood(counts, mean, size.log(), logit)
    torch.testing.assert_close(ours, theirs.log_prob(counts), rtol=1e-6, atol=1e-6)
