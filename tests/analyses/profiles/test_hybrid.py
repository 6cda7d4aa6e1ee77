import numpy as np
import pytest
import torch
from tests.analyses.profiles.made_up import table

from mtm.analyses.profiles.features import Shapes
from mtm.analyses.profiles.holes import KINDS, NOTHING
from mtm.analyses.profiles.hybrid import Hybrid, fit_hybrid, tokens
from mtm.settings.profiles import HybridSettings

SETTINGS = HybridSettings(
    width=16, layers=1, neighbours=1, epochs=8, learning_rate=2e-2, batch_size=32, dropout=0
)


def made(promoters=None):
    genes = table(240, alike=0.95)
    centred = genes.expr_log2 - genes.expr_log2.mean(0)
    promoters = promoters or [""] * genes.n_genes
    return centred, tokens(genes, Shapes.of(centred), promoters, SETTINGS)


@pytest.mark.slow
def test_network_learns_the_shape_of_the_gene_beside():
    centred, genes = made()
    left_out = np.arange(240) >= 200
    net = fit_hybrid(genes, centred, left_out, SETTINGS, 7, "cpu")[NOTHING]
    told = net.predict(genes.of(np.arange(200, 240)), np.full((40, 6), np.nan), "cpu")
    shapes = [one - one.mean(1, keepdims=True) for one in (told, centred[200:])]
    assert np.corrcoef(*(one.ravel() for one in shapes))[0, 1] > 0.35


@pytest.mark.slow
def test_a_kind_that_no_gene_left_out_is_of_is_told_by_a_trained_network():
    centred, genes = made()
    nets = fit_hybrid(genes, centred, np.arange(240) == 239, SETTINGS, 7, "cpu")
    assert len(nets) == len(KINDS)
    for net in nets:
        assert net.tell[1].weight.abs().max() > 0
        torch.testing.assert_close(net.state_dict(), nets[0].state_dict())


def test_promoter_and_absent_neighbours_count_as_they_should():
    rng = np.random.default_rng(0)
    sequences = ["".join(rng.choice(list("ACGT"), 40)) for _ in range(240)]
    centred, genes = made(sequences)
    net = Hybrid(6, SETTINGS).eval()
    torch.nn.init.normal_(net.tell[1].weight)
    seen = torch.full((240, 6), torch.nan)
    before = net(genes, seen)
    # Where there is no gene, nothing that stands in its place is read.
    assert not genes.there.all()
    genes.neighbours[~genes.there] = 9.0
    torch.testing.assert_close(net(genes, seen), before)
    genes.promoter[0] = genes.promoter[0].flip(1)
    after = net(genes, seen)
    assert (after[0] - before[0]).abs().max() > 1e-4
    torch.testing.assert_close(after[1:], before[1:])
