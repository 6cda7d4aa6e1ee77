import numpy as np
import pytest
import torch
from scipy.stats import kstest

from mtm.analyses.accuracy.pooled_null import PooledNull
from mtm.analyses.accuracy.predictable_genes import is_predictable, is_predictable_paper

SAME = torch.zeros(400, dtype=torch.int64)


def test_definitions_of_predictable():
    rho = np.array([0.31, 0.31, 0.3, 0.9, np.nan])
    q = np.array([0.04, 0.05, 0.01, np.nan, 0.01])
    assert is_predictable(rho, q, rho=0.3, q_below=0.05).tolist() == [
        True,
        False,
        False,
        False,
        False,
    ]
    assert is_predictable(rho, q, rho=0.2, q_below=0.1).tolist() == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert is_predictable_paper(rho).tolist() == [True, True, False, True, False]


@pytest.fixture
def null_case():
    rng = np.random.default_rng(1)
    n_genes, n_folds, n_permutations = 40, 3, 50
    informative = rng.random((n_genes, n_folds)) < 0.8
    informative[0], informative[1] = False, [True, False, False]
    z = rng.normal(0, 0.3, (n_folds, n_genes)) * informative.T
    weights = np.array([4.0, 9.0, 6.0])
    permuted_z = rng.normal(0, 0.3, (n_folds, n_genes, n_permutations)).astype(np.float32)
    permuted_z *= informative.T[:, :, None]
    return informative, weights @ z, weights, permuted_z


def test_p_values_are_counts(null_case):
    informative, statistic, weights, permuted_z = null_case
    flags = torch.from_numpy(informative)
    null = PooledNull(
        torch.from_numpy(statistic), flags, torch.from_numpy(weights.astype(np.float32)), SAME[:40]
    )
    pool = np.arange(2, 40, 2)
    for genes in (pool[:7], pool[7:]):
        null.add(torch.from_numpy(permuted_z[:, genes]), flags[genes], SAME[genes])
    p = null.p_values().numpy()
    for gene in range(40):
        folds = informative[gene]
        if not folds.any():
            assert p[gene] == 1
            continue
        covering = pool[informative[pool][:, folds].all(1)]
        pooled = np.tensordot(weights[folds], permuted_z[folds][:, covering], 1)
        expected = (1 + (pooled >= statistic[gene]).sum()) / (1 + pooled.size)
        assert p[gene] == pytest.approx(expected, abs=1.01 / pooled.size)


def test_a_null_value_that_ties_counts():
    flags = torch.ones(2, 1, dtype=torch.bool)
    null = PooledNull(torch.tensor([0.5, 0.25]), flags, torch.ones(1), SAME[:2])
    null.add(torch.tensor([[[0.5, 0.25, 0.0]]]), flags[:1], SAME[:1])
    assert null.p_values().tolist() == [2 / 4, 3 / 4]


def test_rare_patterns_get_null_genes():
    flags = torch.ones(30, 2, dtype=torch.bool)
    flags[20:] = torch.tensor([True, False])
    flags[25:] = False
    flags[:20] = torch.tensor([False, True])
    null = PooledNull(torch.zeros(30), flags, torch.ones(2), SAME[:30])
    chosen = torch.arange(10)
    further = null.top_up(chosen, least=3)
    assert len(further) == 3
    assert flags[further].tolist() == [[True, False]] * 3
    assert null.top_up(chosen, least=12).tolist() == [10, 11, 20, 21, 22, 23, 24]


def test_null_p_values_are_uniform():
    rng = np.random.default_rng(2)
    flags = torch.ones(400, 2, dtype=torch.bool)
    z = torch.from_numpy(rng.normal(size=(2, 400)))
    weights = torch.tensor([10.0, 7.0])
    null = PooledNull(weights.double() @ z, flags, weights, SAME)
    permuted_z = torch.from_numpy(rng.normal(size=(2, 60, 200)).astype(np.float32))
    null.add(permuted_z, flags[:60], SAME[:60])
    assert kstest(null.p_values().numpy(), "uniform").pvalue > 1e-3


def test_without_folds_every_p_is_one():
    null = PooledNull(
        torch.zeros(4), torch.zeros(4, 0, dtype=torch.bool), torch.zeros(0), SAME[:4]
    )
    assert null.p_values().tolist() == [1, 1, 1, 1]
