import numpy as np
import pytest
import torch

from mtm.models.joint.em import Priors, State, add_up, expect, iterate
from mtm.models.joint.loadings import Loadings, Samples

ORGANS = torch.tensor([0, 0, 1, 2])
PRIORS = Priors(5, 5, 5, 10)


def drawn(n_donors=40, n_genes=12, seed=0):
    rng = np.random.default_rng(seed)
    factors, loadings = rng.normal(size=(n_donors, 3)), rng.normal(size=(4, n_genes, 3))
    own = rng.normal(size=(n_donors, n_genes))
    donor, tissue = np.nonzero(rng.random((n_donors, 4)) < 0.7)
    expr_z = np.einsum("nk,ngk->ng", factors[donor], 0.7 * loadings[tissue])
    expr_z += 0.6 * own[donor] + 0.5 * rng.normal(size=expr_z.shape)
    covariates = factors[:, :2] + rng.normal(size=(n_donors, 2))
    return expr_z, donor, tissue, covariates


def started(with_own=True):
    samples = Samples.of(*drawn(), 4, dtype=torch.float64)
    own = 0.4 if with_own else 0.0
    generator = torch.Generator().manual_seed(0)
    return State.start(Loadings.start(samples, ORGANS, 3, 2, own, generator), samples), samples


@pytest.mark.parametrize(("with_own", "freedom"), [(True, 0), (False, 0), (True, 4)])
def test_every_iteration_raises_the_bound(with_own, freedom):
    state, samples = started(with_own)
    bounds = []
    for _ in range(40):
        state = iterate(state, samples, ORGANS, PRIORS, with_own, freedom)
        bounds.append(state.bound)
    assert (np.diff(bounds) > 0).all()
    assert bounds[-1] > bounds[0] + 500
    assert (state.loadings.own >= 0).all()


def test_shards_of_donors_add_up():
    state, samples = started()
    for _ in range(3):
        state = iterate(state, samples, ORGANS, PRIORS, True)
    expr_z, donor, tissue, covariates = drawn()
    drawn_weight = torch.linspace(0.5, 1.5, len(donor), dtype=torch.float64)
    weight = drawn_weight[np.argsort(tissue, kind="stable")]
    whole = expect(state.loadings, samples, state.own, weight, True)
    parts = []
    for shard in range(4):
        kept = donor % 4 == shard
        part = Samples.of(
            expr_z[kept], donor[kept] // 4, tissue[kept], covariates[shard::4], 4,
            dtype=torch.float64,
        )  # fmt: skip
        of_part = drawn_weight[kept][np.argsort(tissue[kept], kind="stable")]
        seen = expect(state.loadings, part, state.own[shard::4], of_part, True)
        parts.append((part, seen, of_part))
    assert sum(expected.bound for _, expected, _ in parts) == pytest.approx(whole.bound, rel=1e-12)
    for index in range(4):
        one = add_up(samples, whole, weight, index)
        first, *others = (add_up(*pair, index) for pair in parts)
        total = first
        for other in others:
            total = total + other
        for name, value in vars(one).items():
            np.testing.assert_allclose(vars(total)[name], value, rtol=1e-10, atol=1e-10)


def test_an_odd_sample_weighs_less():
    expr_z, donor, tissue, covariates = drawn()
    expr_z[7] *= 5
    samples = Samples.of(expr_z, donor, tissue, covariates, 4, dtype=torch.float64)
    state = State.start(
        Loadings.start(samples, ORGANS, 3, 2, 0.4, torch.Generator().manual_seed(0)), samples
    )
    for _ in range(20):
        state = iterate(state, samples, ORGANS, PRIORS, True, 4.0)
    place = int(np.flatnonzero(np.argsort(tissue, kind="stable") == 7)[0])
    assert state.weight.argmin() == place
    assert state.weight[place] < 0.2 < 0.7 < state.weight.median()
