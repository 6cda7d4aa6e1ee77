"""Baselines without a file of their own, and what every per-tissue model does at the edges."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from marks import some_slow

from mtm.errors import InputError
from mtm.models.base import Requests, Training
from mtm.models.registry import build

PER_TISSUE = {
    "bgex": {"n_features": 4, "top_fraction": 0.5},
    "covariates": {},
    "nearest_donors": {"n_neighbours": 3},
    "ridge": {},
    "ridge covariates": {"covariates": "separate"},
    "ridge own_penalty": {"covariates": "own_penalty"},
    "ridge together": {"covariates": "together"},
    "ridge rank": {"rank": 3},
    "teebot": {"n_components": 30, "covariate_columns": ("sex", "hardy")},
}


def _build(name, **more):
    return build(name.split()[0], PER_TISSUE[name] | more)


def _sources(cohort):
    """Row of each donor's blood sample, by donor."""
    rows = np.flatnonzero(cohort.tissue == cohort.tissue_index("Whole Blood"))
    return rows[np.argsort(cohort.donor[rows])]


def _all_requests(cohort):
    sources = _sources(cohort)
    targets = np.repeat(np.arange(len(cohort.tissues)), len(sources))
    return Requests(np.tile(sources, len(cohort.tissues))[:, None], targets)


def test_same_gene_is_the_z_score_in_the_source(cohort):
    blood = cohort.tissue_index("Whole Blood")
    model = build("same_gene")
    model.fit(Training(cohort, source=blood))
    sources = _sources(cohort)
    predicted = model.predict(cohort, Requests(sources[:, None], np.zeros(len(sources), int)))
    values = np.log2(1 + cohort.expr_tpm[sources].astype(float))
    expected = np.clip((values - values.mean(0)) / values.std(0), -5, 5)
    np.testing.assert_allclose(predicted, expected, atol=1e-4)


def test_tissue_average_is_the_mean_z_over_sources(cohort):
    model = build("tissue_average")
    assert model.several_sources
    model.fit(Training(cohort, source=0))
    rows = [np.flatnonzero(cohort.donor == donor) for donor in range(5)]
    width = max(map(len, rows)) + 1
    padded = np.full((6, width), -1)
    for index, given in enumerate(rows):
        padded[index, : len(given)] = given
    predicted = model.predict(cohort, Requests(padded, np.zeros(6, int)))
    for index, given in enumerate(rows):
        expr_z = model.scaler.transform(cohort.expr_tpm[given], cohort.tissue[given])
        np.testing.assert_allclose(predicted[index], expr_z.mean(0), atol=1e-6)
    assert (predicted[5] == 0).all()


def test_tissue_average_leaves_out_tissues_that_training_never_saw(cohort):
    unseen = cohort.tissue_index("Liver")
    with_liver = np.unique(cohort.donor[cohort.tissue == unseen])
    training = cohort.of_donors(cohort.donors.index.delete(with_liver))
    model = build("tissue_average")
    model.fit(Training(training, source=0))
    donor = with_liver[0]
    rows = np.flatnonzero(cohort.donor == donor)
    known = rows[cohort.tissue[rows] != unseen]
    predicted = model.predict(cohort, Requests(rows[None], np.zeros(1, int)))
    alone = model.predict(cohort, Requests(known[None], np.zeros(1, int)))
    np.testing.assert_array_equal(predicted, alone)
    assert np.isfinite(predicted).all()


def test_nearest_donors_equals_brute_force(cohort):
    blood, lung = cohort.tissue_index("Whole Blood"), cohort.tissue_index("Lung")
    model = build("nearest_donors", {"n_neighbours": 4})
    model.fit(Training(cohort, source=blood))
    sources = _sources(cohort)
    requests = Requests(sources[:, None], np.full(len(sources), lung))
    predicted = model.predict(cohort, requests)
    source_z = model.scaler.transform(cohort.expr_tpm[sources], cohort.tissue[sources])
    lung_rows = np.flatnonzero(cohort.tissue == lung)
    lung_z = model.scaler.transform(cohort.expr_tpm[lung_rows], cohort.tissue[lung_rows])
    correlation = np.corrcoef(source_z)[:, cohort.donor[lung_rows]]
    for donor in range(len(sources)):
        nearest = np.argsort(-correlation[donor])[:4]
        np.testing.assert_allclose(predicted[donor], lung_z[nearest].mean(0), atol=2e-3)


def test_nearest_donors_refuses_no_neighbour():
    with pytest.raises(InputError, match="n_neighbours"):
        build("nearest_donors", {"n_neighbours": 0})


@pytest.fixture
def hard_cohort(cohort):
    """12 pairs in one tissue, 3 in another; constant, absent and duplicated genes; p > n."""
    rng = np.random.default_rng(5)
    blood = cohort.tissue_index("Whole Blood")
    few, fewer = cohort.tissue_index("Lung"), cohort.tissue_index("Liver")
    kept = np.ones(cohort.n_samples, bool)
    for tissue, n_pairs in ((few, 12), (fewer, 3)):
        kept[np.flatnonzero(cohort.tissue == tissue)[n_pairs:]] = False
    wide = np.repeat(cohort.expr_tpm[kept], 5, axis=1)
    wide *= np.exp2(0.4 * rng.normal(size=wide.shape)).astype(np.float32)
    tissue = cohort.tissue[kept]
    wide[:, 1] = wide[:, 0]
    wide[:, 2] = 4.0
    wide[:, 3] = 0.0
    wide[tissue == blood, 4] = 0.0
    wide[tissue == few, 5] = 0.0
    # Constant among the pairs of the small tissue but for one donor: an inner fold sees none.
    wide[tissue == few, 6] = 0.0
    wide[np.flatnonzero(tissue == few)[0], 6] = 50.0
    donors = cohort.donors.assign(hardy=cohort.donors["hardy"].where(cohort.donors["sex"] == 1))
    return replace(
        cohort,
        expr_tpm=wide,
        samples=cohort.samples[kept],
        donor=cohort.donor[kept],
        tissue=tissue,
        donors=donors,
        genes=pd.DataFrame(
            {"symbol": "G"},
            index=pd.Index([f"g{i}" for i in range(wide.shape[1])], name="gene_id"),
        ),
    )


@pytest.mark.parametrize("name", some_slow(PER_TISSUE, "teebot"))
@pytest.mark.parametrize("scale", ["log2_z", "tpm_z"])
def test_degenerate_input_gives_finite_predictions(hard_cohort, name, scale):
    cohort = hard_cohort
    model = _build(name, scale=scale)
    table = model.fit(Training(cohort, source=cohort.tissue_index("Whole Blood"), device="cpu"))
    requests = _all_requests(cohort)
    predicted = model.predict(cohort, requests)
    assert predicted.shape == (len(requests), cohort.n_genes)
    assert predicted.dtype == np.float32
    assert np.isfinite(predicted).all()
    table = table.set_index("tissue")
    assert list(table.index) == [name for name in cohort.tissues if name != "Whole Blood"]
    assert table.loc["Lung", "n_pairs"] == 12
    assert table.loc["Lung", "reason"] == ""
    assert 0 < table.loc["Lung", "n_genes_fitted"] <= cohort.n_genes - 3
    of = {tissue: requests.target == cohort.tissue_index(tissue) for tissue in cohort.tissues}
    np.testing.assert_allclose(predicted[of["Lung"]][:, [2, 3, 5]], 0, atol=1e-4)
    assert np.ptp(predicted[of["Lung"]], axis=0).max() > 0.1
    assert table.loc["Liver", "n_pairs"] == 3
    assert table.loc["Liver", "n_genes_fitted"] == 0
    assert "fewer than 10" in table.loc["Liver", "reason"]
    assert (predicted[of["Liver"]] == 0).all()


@pytest.mark.parametrize("name", some_slow(PER_TISSUE, "teebot"))
def test_min_pairs_is_a_parameter(hard_cohort, name):
    source = hard_cohort.tissue_index("Whole Blood")
    table = _build(name, min_pairs=13).fit(Training(hard_cohort, source=source))
    assert (table.set_index("tissue")["n_genes_fitted"] > 0).to_dict() == {
        "Liver": False,
        "Lung": False,
        "Nerve - Tibial": True,
    }


def test_refuses_another_source_tissue(cohort):
    model = build("ridge")
    model.fit(Training(cohort, source=cohort.tissue_index("Whole Blood")))
    row = np.flatnonzero(cohort.tissue == cohort.tissue_index("Lung"))[:1]
    with pytest.raises(InputError, match="sample of Lung"):
        model.predict(cohort, Requests(row[:, None], np.zeros(1, int)))


def test_refuses_several_sources(cohort):
    model = build("ridge")
    model.fit(Training(cohort, source=cohort.tissue_index("Whole Blood")))
    with pytest.raises(InputError, match="2 source tissues"):
        model.predict(cohort, Requests(_sources(cohort)[None, :2], np.zeros(1, int)))


def test_refuses_training_without_the_source_tissue(cohort):
    rows = cohort.tissue != cohort.tissue_index("Whole Blood")
    without = replace(
        cohort,
        expr_tpm=cohort.expr_tpm[rows],
        samples=cohort.samples[rows],
        donor=cohort.donor[rows],
        tissue=cohort.tissue[rows],
    )
    with pytest.raises(InputError, match="no training donor with Whole Blood"):
        build("ridge").fit(Training(without, source=cohort.tissue_index("Whole Blood")))


def test_refuses_two_samples_of_one_donor_and_tissue(cohort):
    tissue = cohort.tissue.copy()
    first, second = np.flatnonzero(cohort.donor == cohort.donor[1])[:2]
    tissue[second] = tissue[first]
    with pytest.raises(InputError, match="a second sample of donor"):
        build("ridge").fit(Training(replace(cohort, tissue=tissue), source=tissue[first]))


def test_no_request_gives_no_prediction(cohort):
    model = build("ridge")
    model.fit(Training(cohort, source=cohort.tissue_index("Whole Blood")))
    empty = Requests(np.empty((0, 1), int), np.empty(0, int))
    assert model.predict(cohort, empty).shape == (0, cohort.n_genes)
