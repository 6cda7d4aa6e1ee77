"""Counts read, their depth, and their zeros."""

import numpy as np
import pandas as pd
import pytest
from elsewhere import Elsewhere

from mtm.analyses.imputation.counts import exposures, read_counts
from mtm.analyses.imputation.zeros import count_zeros, say_zeros
from mtm.cohort.cohort import Cohort
from mtm.errors import InputError


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    people = Elsewhere(tmp_path_factory.mktemp("counts"), "A", 40, seed=1)
    return Cohort.read(*people.files)


def drawn(cohort, rng, size=5.0, inflated=0.0):
    """Counts of the cohort: negative binomial, some set to 0."""
    depth, length = np.exp(rng.normal(0, 0.3, cohort.n_samples)), np.exp(rng.normal(0, 1, 40))
    mean = cohort.expr_tpm * depth[:, None] * length + 1e-9
    counts = rng.negative_binomial(size, size / (size + mean))
    return np.where(rng.random(mean.shape) < inflated, 0, counts).astype(np.float32), depth, length


def write(path, cohort, counts, digits="%d"):
    table = pd.DataFrame(counts.T, cohort.genes.index, cohort.samples.index)
    table.insert(0, "symbol", "S")
    table.rename_axis("gene_id").to_csv(path, sep="\t", float_format=digits)
    return path


def test_counts_are_read_in_the_cohorts_order(tmp_path, cohort):
    counts = drawn(cohort, np.random.default_rng(0))[0]
    path = write(tmp_path / "counts.tsv", cohort, counts)
    np.testing.assert_array_equal(read_counts(path, cohort), counts)
    table = pd.read_csv(path, sep="\t")
    shuffled = table.iloc[::-1][["gene_id", *table.columns[:1:-1]]]
    shuffled.to_csv(tmp_path / "turned.tsv", sep="\t", index=False)
    np.testing.assert_array_equal(read_counts(tmp_path / "turned.tsv", cohort), counts)


def test_values_that_are_no_counts_are_refused_by_place_and_value(tmp_path, cohort):
    counts = drawn(cohort, np.random.default_rng(0))[0]
    counts[3, 5] = 17.25
    path = write(tmp_path / "expected.tsv", cohort, counts, "%.2f")
    with pytest.raises(InputError, match="17.25; expected read counts: whole") as error:
        read_counts(path, cohort)
    assert cohort.samples.index[3] in str(error.value)
    assert cohort.genes.index[5] in str(error.value)
    counts[3, 5] = 2.0**24 + 2
    with pytest.raises(InputError, match="16777218"):
        read_counts(write(tmp_path / "large.tsv", cohort, counts), cohort)


def test_a_sample_or_gene_without_counts_is_named(tmp_path, cohort):
    counts = drawn(cohort, np.random.default_rng(0))[0]
    path = write(tmp_path / "counts.tsv", cohort, counts)
    table = pd.read_csv(path, sep="\t", index_col=0)
    table.drop(columns=cohort.samples.index[7]).to_csv(tmp_path / "few.tsv", sep="\t")
    with pytest.raises(InputError, match="no column for 1 of the cohort's") as error:
        read_counts(tmp_path / "few.tsv", cohort)
    assert cohort.samples.index[7] in str(error.value)
    table.drop(index=cohort.genes.index[2]).to_csv(tmp_path / "few.tsv", sep="\t")
    with pytest.raises(InputError, match="no row for 1 of the cohort's 40 genes"):
        read_counts(tmp_path / "few.tsv", cohort)


def test_exposure_is_depth_times_length_and_lengths_are_the_training_samples(cohort):
    rng = np.random.default_rng(3)
    counts, depth, length = drawn(cohort, rng, size=1e4)
    train = np.arange(cohort.n_samples) % 4 > 0
    of_sample, of_gene = exposures(counts, cohort.expr_tpm, train)
    np.testing.assert_allclose(of_sample[:, None] * of_gene, np.outer(depth, length), rtol=0.3)
    spoiled = np.where(train[:, None], counts, 3 * counts + 1)
    np.testing.assert_array_equal(exposures(spoiled, cohort.expr_tpm, train)[1], of_gene)
    assert np.isfinite(exposures(0 * counts, cohort.expr_tpm, train)[0]).all()


def test_zeros_are_those_of_negative_binomials_unless_planted(cohort):
    rng = np.random.default_rng(4)
    for size in (0.8, 50.0):
        plain = count_zeros(drawn(cohort, rng, size)[0], cohort)
        assert say_zeros(plain).startswith("no zero inflation")
    row = plain.iloc[-1]
    assert (row["tissue"], row["n_values"]) == ("all tissues", plain["n_values"][:-1].sum())
    inflated = count_zeros(drawn(cohort, rng, 50.0, 0.05)[0], cohort)
    assert say_zeros(inflated).startswith("zero inflation")
    none = count_zeros(np.zeros_like(cohort.expr_tpm), cohort)
    assert say_zeros(none).startswith("no zero inflation")


def test_a_few_large_counts_do_not_hide_inflation(cohort):
    rng = np.random.default_rng(5)
    for inflated, said in ((0.0, "no zero inflation"), (0.05, "zero inflation")):
        counts = drawn(cohort, rng, 20.0, inflated)[0]
        counts[rng.random(counts.shape) < 0.01] *= 20
        assert say_zeros(count_zeros(counts, cohort)).startswith(said)
