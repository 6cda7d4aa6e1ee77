"""A planted perturbation is found by an encoder made for it, and is not where there is none."""

import numpy as np
import pandas as pd
import pytest
import torch
from cohorts import SOURCE, simulated_cohort
from marks import slow

from mtm.analyses.ranks import perturb
from mtm.analyses.ranks.encoder import Encoder, codes, save
from mtm.analyses.ranks.perturb import COLUMNS, Way, _mean_ranks, perturb_genes, shifts_of
from mtm.analyses.ranks.sentences import NO_GENE
from mtm.errors import CannotDo
from mtm.settings.ranks import Perturbation, Ranks
from mtm.statistics.testing import benjamini_hochberg

# In men the gene is beyond the end of the sentence.
N_DONORS, N_GENES, LENGTH = 320, 60, 20
SETTINGS = Ranks(
    epochs=1, layers=1, width=16, heads=2, length=LENGTH,
    perturbation=Perturbation(genes=("HIGH",), null_genes=40),
)  # fmt: skip


@pytest.fixture
def cohort():
    """One gene is high in women; nothing else differs."""
    cohort = simulated_cohort(N_DONORS, N_GENES, 2, keep=1.0)
    cohort.genes["symbol"] = ["HIGH", *(f"S{i}" for i in range(1, N_GENES))]
    sex = np.tile([1, 2], N_DONORS // 2)
    cohort.donors["sex"] = sex
    rng = np.random.default_rng(3)
    cohort.expr_tpm[:] = np.exp2(rng.normal(5, 1, cohort.expr_tpm.shape))
    cohort.expr_tpm[:, 0] = np.where(sex[cohort.donor] == 2, 2.0**9, 2.0)
    return cohort


@pytest.fixture
def encoders(cohort, tmp_path):
    """Encoders without training: whether a gene is in a sentence is in its mean vector."""
    paths = {}
    for fold in (0, 1):
        torch.manual_seed(fold)
        encoder = Encoder(N_GENES, LENGTH, SETTINGS)
        paths[fold] = tmp_path / f"{fold}.safetensors"
        save(encoder, list(cohort.genes.index), paths[fold])
    return paths


@pytest.fixture
def folds(cohort):
    return pd.Series(np.arange(N_DONORS) // 2 % 2, cohort.donors.index)


def test_a_planted_gene_moves_codes_towards_the_other_sex(cohort, folds, encoders):
    table = perturb_genes(cohort, folds, encoders, SOURCE, SETTINGS, "cpu")
    assert list(table.columns) == COLUMNS
    assert set(table["symbol"]) == {"HIGH"}
    by = table.set_index(["perturbation", "from_state"])
    towards = by.loc[[("overexpress", "sex 1"), ("delete", "sex 2")]]
    assert (towards["shift_to_goal"] > 0.5).all()
    assert (towards["p"] < 0.05).all()
    assert (towards["n"] == 50).all()
    # It is first already, or not there.
    there = by.loc[[("overexpress", "sex 2"), ("delete", "sex 1")]]
    np.testing.assert_allclose(there[["shift", "shift_to_goal"]], 0, atol=1e-5)
    # Where no sentence changes nothing is tested, and no other test pays for it.
    assert there[["p", "q"]].isna().all(axis=None)
    np.testing.assert_allclose(towards["q"], benjamini_hochberg(towards["p"].to_numpy()))


def test_genes_move_as_far_alone_as_many_at_a_time(cohort, folds, encoders, monkeypatch):
    found = perturb_genes(cohort, folds, encoders, SOURCE, SETTINGS, "cpu")
    # Three genes at a time of 25 sentences in a fold; the last time two.
    monkeypatch.setattr(perturb, "AT_A_TIME", 3 * 25 * (LENGTH + 1))
    pd.testing.assert_frame_equal(
        perturb_genes(cohort, folds, encoders, SOURCE, SETTINGS, "cpu"), found, atol=1e-6
    )


def test_genes_of_like_rank_are_in_as_many_sentences():
    sentences = np.array([[2, 0, 1], [0, 1, NO_GENE], [0, NO_GENE, NO_GENE]], np.int32)
    found = _mean_ranks([sentences[:2], sentences[2:]], 4)
    np.testing.assert_allclose(found, [0.5 / 3, 1, 2 / 3, 1])


def rarely_shown(seed, n_genes=200, n_samples=6):
    """Long tails of genes that few sentences hold, and an encoder that learned nothing."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    encoder = Encoder(n_genes, LENGTH, SETTINGS).eval()
    values = np.arange(n_genes) + rng.normal(0, 25, (n_samples, n_genes))
    sentences = np.argsort(values, axis=1).astype(np.int32)[:, : LENGTH + 1]
    axis = rng.standard_normal(SETTINGS.width)
    return encoder, Way(sentences, codes(encoder, sentences[:, :LENGTH]), axis)


def test_a_gene_is_held_against_genes_that_change_a_sentence():
    encoder, way = rarely_shown(0)
    shown = np.unique(way.sentences[:, :LENGTH])
    gene = int(way.sentences[0, LENGTH - 1])
    table = shifts_of([(encoder, way)], np.array([gene]), 200, 150).set_index("perturbation")
    assert table.loc["delete", "n_null"] == len(shown) - 1
    assert table.loc["overexpress", "n_null"] == 150


@slow
def test_genes_that_few_sentences_hold_have_fair_p_values():
    p = []
    for seed in range(12):
        encoder, way = rarely_shown(seed)
        shown, times = np.unique(way.sentences[:, :LENGTH], return_counts=True)
        for gene in shown[times == 1]:
            table = shifts_of([(encoder, way)], np.array([gene]), 200, 99)
            p.append(table["p"][table["perturbation"] == "delete"].item())
    assert len(p) > 100
    # Five in a hundred are expected at most, and far more against genes in no sentence.
    assert np.mean(np.array(p) < 0.05) < 0.1


def test_what_cannot_be_perturbed_is_said(cohort, folds, encoders):
    def with_(**changes):
        how = SETTINGS.perturbation.model_copy(update=changes)
        settings = SETTINGS.model_copy(update={"perturbation": how})
        return perturb_genes(cohort, folds, encoders, SOURCE, settings, "cpu")

    with pytest.raises(CannotDo, match="none of the genes"):
        with_(genes=("NONE",))
    with pytest.raises(CannotDo, match="0 values of 'height'"):
        with_(goal="height")
    with pytest.raises(CannotDo, match="held-out samples"):
        with_(tissues=("Nowhere",))
