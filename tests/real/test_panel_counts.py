"""Exact counts of the real GTEx v8 panel (59 genes of every sample)."""

import numpy as np
import pandas as pd
import pytest
from real_data import ANNOTATION, PANEL, needs_panel

from mtm.cohort.build import build_cohort
from mtm.cohort.cohort import Cohort
from mtm.cohort.filters import filter_samples
from mtm.cohort.folds import make_folds, read_samples
from mtm.cohort.genes import read_gene_list
from mtm.cohort.tables import read_sample_attributes
from mtm.errors import InputError

GENES = ANNOTATION / "gtex_v8_protein_coding_19291.tsv.gz"
pytestmark = needs_panel


def build(out, expression="gene_tpm_like.acmg_59.gct.gz"):
    return build_cohort(
        PANEL / expression,
        PANEL / "sample_attributes.txt.gz",
        PANEL / "subject_phenotypes.txt",
        gene_list=GENES,
        source="Whole Blood",
        out_expression=out / "expression.h5ad",
        out_donors=out / "donors.tsv",
        out_filtering=out / "filtering.tsv",
        progress=False,
    )


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    out = tmp_path_factory.mktemp("panel")
    return out, build(out).set_index("step")


def test_filters(cohort):
    _, table = cohort
    columns = ["n_samples", "n_donors", "n_tissues", "n_genes"]
    assert table.loc["expression file", columns].tolist() == [17382, 948, 54, 59]
    assert table.loc["samples per tissue", columns].tolist() == [17329, 948, 49, 59]
    assert table.loc["samples per donor", columns].tolist() == [17325, 944, 49, 59]
    assert table.loc["gene list", columns].tolist() == [17325, 944, 49, 59]


def test_pairs(cohort):
    samples = read_samples(cohort[0] / "expression.h5ad")
    has = pd.crosstab(samples["donor"], samples["tissue"]).to_numpy()
    pairs = has.T @ has
    np.fill_diagonal(pairs, 0)
    assert pairs.sum() == 340_588
    assert np.count_nonzero(pairs) == 2340
    blood = sorted(set(samples["tissue"])).index("Whole Blood")
    assert pairs[blood].sum() == 13_498
    assert has[:, blood].sum() == 753


def test_donors_with_blood_before_those_of_one_sample_are_dropped():
    attributes = read_sample_attributes(PANEL / "sample_attributes.txt.gz")
    samples, _ = filter_samples(attributes, min_samples_per_donor=1)
    assert samples["donor"].nunique() == 948
    assert (samples["tissue"] == "Whole Blood").sum() == 755


def test_published_folds(cohort):
    samples = read_samples(cohort[0] / "expression.h5ad")
    _, counts = make_folds(
        "published",
        samples["donor"],
        samples["tissue"],
        n_folds=5,
        seed=666,
        source="Whole Blood",
    )
    assert counts["n_held_out_donors"].tolist() == [174, 202, 198, 180, 190]
    assert counts["n_held_out_source_donors"].tolist() == [138, 166, 160, 141, 148]
    pairs = [275_462, 266_966, 273_192, 274_924, 271_808]
    assert counts["n_training_pairs"].tolist() == pairs
    smallest = counts["smallest_tissue_training_samples"]
    assert (smallest.min(), smallest.max()) == (65, 71)


def test_balanced_folds(cohort):
    samples = read_samples(cohort[0] / "expression.h5ad")
    _, counts = make_folds(
        "balanced",
        samples["donor"],
        samples["tissue"],
        n_folds=5,
        seed=0,
        source="Whole Blood",
    )
    assert np.ptp(counts["n_held_out_donors"]) == 1
    assert np.ptp(counts["n_held_out_source_donors"]) <= 1
    assert counts["smallest_tissue_training_samples"].min() >= 67


def test_values_stand_with_their_samples(cohort):
    out, _ = cohort
    data = Cohort.read(out / "expression.h5ad", out / "donors.tsv")
    raw = pd.read_csv(PANEL / "gene_tpm_like.acmg_59.gct.gz", sep="\t", skiprows=2, index_col=0)
    expected = raw[data.samples.index].T.to_numpy(np.float32)
    np.testing.assert_allclose(data.expr_tpm, expected, rtol=1e-6)
    assert list(data.genes.index) == list(raw.index)
    assert list(data.genes["symbol"]) == list(raw["Description"])


def test_a_header_that_promises_other_genes_is_refused(tmp_path):
    with pytest.raises(InputError, match="header of 56200 genes over 59 rows"):
        build(tmp_path, "gene_reads.acmg_59.gct.gz")
    assert not list(tmp_path.iterdir())


def test_published_gene_list():
    gene_ids = read_gene_list(GENES)
    assert len(gene_ids) == 19_291
    assert gene_ids.str.endswith("_PAR_Y").sum() == 18
    assert gene_ids.str.removesuffix("_PAR_Y").nunique() == 19_273
