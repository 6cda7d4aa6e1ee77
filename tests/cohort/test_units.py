import numpy as np
import pytest

from mtm.cohort.units import SampleTotals, to_tpm
from mtm.errors import InputError


def test_log2_values_become_tpm():
    expr_tpm = np.array([[0.0, 3.0, 1000.0]])
    np.testing.assert_allclose(to_tpm(np.log2(1 + expr_tpm), "log2"), expr_tpm, rtol=1e-5)
    assert to_tpm(expr_tpm).dtype == np.float32


@pytest.mark.parametrize(
    ("values", "units", "message"),
    [
        ([[0.5, 12.0]], None, "looks log-scaled.*--units log2"),
        ([[0.5, 2e6]], None, "looks like counts.*Make counts TPM first .*, or say --units tpm if"),
        ([[1.0, 2e6]], "counts", "Make counts TPM first"),
        ([[0.5, 50.0]], "log2", "up to 50"),
        ([[-0.5, 50.0]], None, "negative"),
        ([[-0.5, 5.0]], "log2", "negative"),
        ([[np.nan, 50.0]], None, "sample 1, gene 1"),
        ([[1.0, np.inf]], "tpm", "sample 1, gene 2"),
        (np.zeros((0, 3)), None, "shape"),
        ([[1.0, 50.0]], "fpkm", "'fpkm'"),
    ],
)
def test_values_that_are_not_what_they_should_be(values, units, message):
    with pytest.raises(InputError, match=message):
        to_tpm(np.asarray(values), units)


def test_a_stated_unit_is_believed():
    assert to_tpm(np.array([[0.5, 12.0]]), "tpm").max() == 12


def block(n_samples=3, n_genes=40, seed=0):
    return np.random.default_rng(seed).lognormal(3, 2, (n_samples, n_genes))


@pytest.mark.parametrize(
    ("of_sample", "message"),
    [
        (lambda tpm: 0 * tpm, "b: found 0 for every gene"),
        (lambda tpm: 0 * tpm + 1, "b: found 1 for every gene"),
        (lambda tpm: np.log2(1 + tpm), "b: found no value above .* looks log-scaled"),
        (np.round, "b: found .* whole numbers"),
        (lambda tpm: 1e5 * tpm, "b: found values that add up"),
    ],
)
def test_one_sample_of_another_kind_is_named(of_sample, message):
    values = block()
    to_tpm(values, sample_ids="abc")
    values[1] = of_sample(values[1])
    with pytest.raises(InputError, match=message):
        to_tpm(values, sample_ids="abc")


def test_sums_say_something_of_whole_samples_alone():
    whole = block(2, 12_000)
    whole *= 3e4 / whole.sum(1, keepdims=True)
    to_tpm(whole[:, :9000])
    with pytest.raises(InputError, match="12000 genes that add up to"):
        to_tpm(whole)
    to_tpm(whole, "tpm")


@pytest.mark.parametrize("block_genes", [1, 7, 60])
def test_copies_are_told_by_their_genes_however_these_are_read(block_genes, caplog):
    """Arrays made alike by quantiles have the same values, each in other genes."""
    rng = np.random.default_rng(0)
    of_all = rng.normal(8, 2, 60).astype(np.float32)
    values = np.stack([rng.permutation(of_all) for _ in range(4)], axis=1)
    # In the first gene two samples have one value.
    other = np.flatnonzero(values[:, 1] == values[0, 0])[0]
    values[[0, other], 1] = values[[other, 0], 1]
    values[:, 3] = values[:, 2]
    totals = SampleTotals(["a", "b", "c", "c copied"])
    for start in range(0, 60, block_genes):
        totals.add(values[start : start + block_genes])
    totals.warn_of_copies("arrays.h5ad")
    assert "samples c and c copied have one value in every gene:" in caplog.text
