"""Sentences, the loss by hand, weights from a file, and what counts tell."""

import json

import numpy as np
import pytest
import torch
from cohorts import simulated_cohort
from safetensors.torch import load_file, save_file

from mtm.analyses.ranks.baselines import counted_losses
from mtm.analyses.ranks.encoder import (
    Encoder,
    codes,
    draw_masks,
    elimination_loss,
    masked_losses,
    save,
    train,
    weights_for,
)
from mtm.analyses.ranks.sentences import NO_GENE, sentences_of, with_first, without
from mtm.cohort.ranks import tissue_medians
from mtm.errors import InputError
from mtm.settings.ranks import Ranks

TINY = Ranks(epochs=1, layers=1, width=8, heads=2, batch_size=16)


def test_sentences_run_from_the_highest_value_on():
    cohort = simulated_cohort(10, 7, 2)
    cohort.expr_tpm[0, 3] = 0
    medians = tissue_medians(cohort.expr_tpm, cohort.tissue, 2)
    found = sentences_of(cohort, np.array([0, 1]), medians, 5)
    for row, sentence in enumerate(found):
        value = np.log2(1 + cohort.expr_tpm[row]) - medians[cohort.tissue[row]]
        there = [gene for gene in range(7) if cohort.expr_tpm[row, gene] > 0]
        assert sentence.tolist() == sorted(there, key=lambda gene: -value[gene])[:5]
    assert 3 not in found[0]
    longer = sentences_of(cohort, np.array([0]), medians, 99)
    assert longer.shape == (1, 7)
    assert longer[0, -1] == NO_GENE


def test_a_gene_is_taken_out_or_put_first():
    sentences = np.array([[4, 2, 1], [2, 0, NO_GENE], [3, 1, 0]], np.int32)
    np.testing.assert_array_equal(
        without(sentences, 2), [[4, 1, NO_GENE], [0, NO_GENE, NO_GENE], [3, 1, 0]]
    )
    np.testing.assert_array_equal(
        with_first(sentences, 2), [[2, 4, 1], [2, 0, NO_GENE], [2, 3, 1]]
    )


def test_the_loss_is_that_of_three_genes_by_hand():
    # Gene 2 is shown: the first masked gene is 0 or 1, and the model says 1 to 3 for 1.
    logits = torch.log(torch.tensor([[1.0, 3.0, 9.0], [2.0, 2.0, 9.0]]))
    sentences = torch.tensor([[1, 2, 0]])
    masked = torch.tensor([[True, False, True]])
    losses = elimination_loss(logits, sentences, masked, 3)
    np.testing.assert_allclose(losses, -np.log([3 / 4, 2 / 4]), rtol=1e-6)


def test_an_encoder_hides_what_is_masked_and_knows_what_is_shown():
    torch.manual_seed(0)
    encoder = Encoder(6, 5, TINY).eval()
    sentences = np.array([[0, 1, 2, 3, 4], [3, 1, 5, NO_GENE, NO_GENE]], np.int32)
    masks = np.zeros_like(sentences, bool)
    masks[:, 1] = True
    first = masked_losses(encoder, sentences, masks)
    other = sentences.copy()
    other[0, 1] = 5
    second = masked_losses(encoder, other, masks)
    # Of the first sentence 1 and 5 are not shown: their probabilities add up to 1.
    np.testing.assert_allclose(np.exp(-first[0]) + np.exp(-second[0]), 1, rtol=1e-5)
    # What stands after the end, and how sentences are put together, changes no code.
    alone = codes(encoder, sentences[1:, :3])
    np.testing.assert_allclose(codes(encoder, sentences)[1:], alone, atol=1e-6)


def test_masks_are_a_share_of_each_sentence_and_one_at_least():
    sentences = np.where(np.arange(40) < [[40], [20], [2]], np.arange(40), NO_GENE)
    masks = draw_masks(sentences, 0.15, 3)
    assert masks.sum(1).tolist() == [6, 3, 1]
    assert not masks[sentences == NO_GENE].any()
    assert (masks == draw_masks(sentences, 0.15, 3)).all()


def ordered(n, n_genes, seed):
    """Sentences in which genes stand near their number."""
    rng = np.random.default_rng(seed)
    return np.argsort(np.arange(n_genes) + rng.normal(0, 1, (n, n_genes))).astype(np.int32)


def test_counts_over_genes_not_shown_and_a_trained_encoder_below_them():
    known, asked = ordered(256, 12, 0), ordered(100, 12, 1)
    masks = draw_masks(asked, 0.3, 2)
    by_gene = counted_losses(known, asked, masks, 12, 1)
    # Every gene is in every sentence: one is as likely as another among the four masked.
    np.testing.assert_allclose(by_gene, np.log(4))
    by_place = counted_losses(known, asked, masks, 12, 12)
    more = {"epochs": 20, "width": 16, "learning_rate": 2e-2, "batch_size": 64}
    settings = TINY.model_copy(update=more)
    encoder, table = train(known, 12, settings, 0, "cpu")
    losses = masked_losses(encoder, asked, masks)
    assert by_place.mean() < 0.7 * np.log(4)
    assert losses.mean() < 0.75 * np.log(4)
    assert table[-1]["loss"] < 0.75 * table[0]["loss"]


@pytest.fixture
def file(tmp_path):
    torch.manual_seed(1)
    encoder = Encoder(5, 5, TINY).eval()
    save(encoder, list("abcde"), tmp_path / "encoder.safetensors")
    return encoder, tmp_path / "encoder.safetensors"


def test_weights_are_taken_by_gene(file):
    encoder, path = file
    weights = weights_for(path, ["c", "new", "a"], 3, TINY)
    theirs = encoder.state_dict()["genes.weight"]
    np.testing.assert_array_equal(weights["genes.weight"][[0, 2]], theirs[[2, 0]])
    np.testing.assert_array_equal(weights["genes.weight"][3:], theirs[5:])
    whole = Encoder(5, 5, TINY).eval()
    whole.load_state_dict(weights_for(path, list("abcde"), 5, TINY))
    sentences = np.array([[0, 3, 1, 4, 2]], np.int32)
    np.testing.assert_array_equal(codes(whole, sentences), codes(encoder, sentences))


def spoiled(path, how):
    """Write the file with something wrong in it."""
    weights, genes = load_file(path), list("abcde")
    if how == "no weights":
        path.write_bytes(b"PK\x03\x04 a pickle")
        return
    if how == "not finite":
        weights["bias"][0] = torch.nan
    elif how == "wider":
        weights["genes.weight"] = torch.zeros(7, 9)
    elif how == "half precision":
        weights["bias"] = weights["bias"].half()
    elif how == "an array more":
        weights["more"] = torch.zeros(1)
    elif how == "other genes":
        genes = list("vwxyz")
    metadata = {} if how == "no genes" else {"genes": json.dumps(genes)}
    save_file(weights, path, metadata=metadata)


@pytest.mark.parametrize(
    "how",
    ["no weights", "not finite", "wider", "half precision", "an array more", "other genes",
     "no genes"],
)  # fmt: skip
def test_weights_that_are_none_are_refused_by_name(file, how):
    spoiled(file[1], how)
    with pytest.raises(InputError, match="encoder.safetensors"):
        weights_for(file[1], list("abcde"), 5, TINY)
