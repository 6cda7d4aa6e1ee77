import logging
from dataclasses import dataclass

import anndata
import numpy as np
import pandas as pd
import pytest

from mtm.cohort.cohort import Cohort
from mtm.cohort.scaling import TissueScaler
from mtm.cohort.units import to_tpm
from mtm.errors import InputError
from mtm.models.base import Predictor, Requests, Training
from mtm.predictions.files import read_predictions, write_predictions
from mtm.predictions.gene_overlap import match_genes
from mtm.predictions.new_people import (
    align_expression,
    new_inputs,
    predict_new,
    targets_of,
    tissue_of,
)
from mtm.predictions.requests import held_out_requests, predict_in_blocks

TISSUES = ("Artery - Aorta", "Lung", "Testis", "Whole Blood")
BLOOD = "Whole Blood"


def ids(n, version=1):
    return [f"ENSG{i:011d}.{version}" for i in range(n - 1)] + [f"ENSG{0:011d}.{version}_PAR_Y"]


def make_cohort(presence, n_genes=7, seed=0):
    """One donor a row of `presence`, one sample where it is true."""
    donor, tissue = np.nonzero(np.asarray(presence))
    expr_tpm = np.random.default_rng(seed).gamma(1, 40, (len(donor), n_genes))
    return Cohort(
        expr_tpm=expr_tpm.astype(np.float32),
        samples=pd.DataFrame(
            index=pd.Index([f"D{d}-{t}" for d, t in zip(donor, tissue, strict=True)])
        ),
        donor=donor,
        tissue=tissue,
        donors=pd.DataFrame(index=[f"D{i}" for i in range(len(presence))]),
        tissues=TISSUES,
        genes=pd.DataFrame({"symbol": [f"SYM{i}" for i in range(n_genes)]}, index=ids(n_genes)),
    )


@pytest.fixture
def cohort():
    return make_cohort(
        [
            [1, 1, 1, 1],
            [1, 1, 0, 0],  # no blood: never predicted
            [0, 0, 0, 1],  # blood alone: nothing to predict
            [0, 1, 0, 1],
            [1, 0, 1, 1],
        ]
    )


class SameGene(Predictor):
    """Predicts the source sample's own z, summed over sources: shows what it was given."""

    @dataclass(frozen=True)
    class Parameters:
        pass

    name = "same_gene_of_this_test"
    scale = "log2_z"
    several_sources = True

    def _fit(self, training):
        return pd.DataFrame()

    def predict(self, inputs, requests):
        expr_z = self.scaler.transform(inputs.expr_tpm, inputs.tissue)
        padded = np.vstack([expr_z, np.zeros((1, expr_z.shape[1]), np.float32)])
        return padded[requests.source_rows].sum(1)

    def state(self):
        return {}

    def restore(self, state):
        pass


@pytest.fixture
def model(cohort):
    fitted = SameGene()
    fitted.fit(Training(cohort, source=3))
    return fitted


def brute_force(cohort, donors, choose):
    """Requests by plain loops: {target row: source rows}."""
    row = {
        (cohort.donors.index[d], cohort.tissues[t]): i
        for i, (d, t) in enumerate(zip(cohort.donor, cohort.tissue, strict=True))
    }
    asked = {}
    for (donor, tissue), i in row.items():
        if donor in donors and tissue != BLOOD and (donor, BLOOD) in row:
            asked[i] = [
                row[donor, name] for name in choose if (donor, name) in row and name != tissue
            ]
    return asked


@pytest.mark.parametrize(
    ("sources", "choose"),
    [
        ("source", [BLOOD]),
        ("others", TISSUES),
        (["Lung", BLOOD], ["Lung", BLOOD]),
        ([BLOOD, "Lung", BLOOD], [BLOOD, "Lung"]),
    ],
)
def test_requests_equal_brute_force(cohort, sources, choose):
    donors = ["D0", "D1", "D2", "D4"]
    requests, target_rows = held_out_requests(cohort, donors, BLOOD, sources)
    expected = brute_force(cohort, donors, choose)
    asked = {
        int(row): list(sources[sources >= 0])
        for row, sources in zip(target_rows, requests.source_rows, strict=True)
    }
    assert asked == expected
    assert (requests.target == cohort.tissue[target_rows]).all()


def test_padding_stands_at_the_end_and_is_no_wider_than_needed(cohort):
    requests, _ = held_out_requests(cohort, ["D0", "D3"], BLOOD, "others")
    padding = requests.source_rows < 0
    assert (np.diff(padding.astype(int), axis=1) >= 0).all()
    assert requests.source_rows.shape == (4, 3)


def test_sources_that_a_donor_lacks_are_dropped_and_counted(cohort, caplog):
    with caplog.at_level(logging.WARNING):
        requests, target_rows = held_out_requests(cohort, ["D0", "D3", "D4"], BLOOD, ["Lung"])
    assert list(cohort.samples.index[target_rows]) == ["D0-0", "D0-2"]
    assert len(requests) == 2
    assert "4 of 6 samples" in caplog.text


def test_requests_refuse_what_they_cannot_use(cohort):
    with pytest.raises(InputError, match="nobody"):
        held_out_requests(cohort, ["nobody"], BLOOD)
    with pytest.raises(InputError, match="Spleen"):
        held_out_requests(cohort, ["D0"], BLOOD, ["Spleen"])
    with pytest.raises(InputError, match="'all'"):
        held_out_requests(cohort, ["D0"], BLOOD, "all")
    twice = Cohort(**{**vars(cohort), "tissue": np.where(cohort.tissue == 0, 1, cohort.tissue)})
    with pytest.raises(InputError, match="second sample of donor D0 in Lung"):
        held_out_requests(twice, ["D0"], BLOOD)


@pytest.mark.parametrize("block", [1, 2, 100])
def test_prediction_file_round_trip(tmp_path, cohort, model, block):
    requests, rows = held_out_requests(cohort, ["D0", "D4"], BLOOD, "others")
    path = tmp_path / "fold1.h5ad"
    write_predictions(
        path,
        predict_in_blocks(model, cohort, requests, block),
        cohort,
        requests,
        rows,
        model=model.name,
        scale=model.scale,
        fold=1,
    )
    data = read_predictions(path)
    assert data.X.dtype == np.float32
    np.testing.assert_array_equal(data.X, model.predict(cohort, requests))
    assert list(data.obs_names) == ["D0-0", "D0-1", "D0-2", "D4-0", "D4-2"]
    assert list(data.obs["donor"]) == ["D0", "D0", "D0", "D4", "D4"]
    assert list(data.obs["target"]) == [TISSUES[t] for t in (0, 1, 2, 0, 2)]
    assert data.obs["sources"].iloc[1] == "Artery - Aorta;Testis;Whole Blood"
    assert set(data.obs["fold"]) == {1}
    assert list(data.var_names) == list(cohort.genes.index)
    assert (data.uns["scale"], data.uns["model"]) == ("log2_z", model.name)
    assert "log2(1+TPM)" in data.uns["units"]
    assert [p.name for p in tmp_path.iterdir()] == ["fold1.h5ad"]


@pytest.mark.parametrize("n_rows", [4, 6])
def test_a_wrong_number_of_predictions_leaves_no_file(tmp_path, cohort, n_rows):
    requests, rows = held_out_requests(cohort, ["D0", "D4"], BLOOD)
    with pytest.raises(ValueError, match="announced"):
        write_predictions(
            tmp_path / "x.h5ad", np.zeros((n_rows, 7), np.float32), cohort, requests, rows,
            model="m", scale="log2_z", fold=0,
        )  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_read_predictions_refuses_other_files(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_predictions(tmp_path / "none.h5ad")
    (tmp_path / "text.h5ad").write_text("text")
    with pytest.raises(InputError, match="unreadable"):
        read_predictions(tmp_path / "text.h5ad")
    anndata.AnnData(np.zeros((2, 2))).write_h5ad(tmp_path / "other.h5ad")
    with pytest.raises(InputError, match="scale None"):
        read_predictions(tmp_path / "other.h5ad")


def test_predictions_refuse_other_genes_and_non_finite_values(cohort, model):
    requests, _ = held_out_requests(cohort, ["D0"], BLOOD)
    other = make_cohort([[1, 1, 1, 1]], n_genes=6)
    with pytest.raises(InputError, match="6 genes"):
        next(predict_in_blocks(model, other, requests))
    model.scaler.mean[3] = np.nan
    with pytest.raises(InputError, match="not finite, for Artery"):
        next(predict_in_blocks(model, cohort, requests))


def test_genes_match_by_version_then_without(cohort):
    genes = cohort.genes
    given = ["ENSG00000000005.9", genes.index[1], "ENSG00000000000", "ENSG00000000000_PAR_Y"]
    columns, overlap = match_genes(genes, [*given, "ENSG00000099999.1"], 0.5)
    np.testing.assert_array_equal(columns, [2, 1, -1, -1, -1, 0, 3])
    assert (overlap.n_exact, overlap.n_unversioned, overlap.n_model) == (1, 3, 7)
    assert overlap.fraction == pytest.approx(4 / 7)
    assert "57.1%" in str(overlap)
    assert "1 genes of the data are not used" in str(overlap)


def test_the_exact_version_wins(cohort):
    columns, overlap = match_genes(
        cohort.genes, [*cohort.genes.index[1:], "ENSG00000000000.1"], 1.0
    )
    np.testing.assert_array_equal(columns, [6, 0, 1, 2, 3, 4, 5])
    assert overlap.n_exact == 7


def test_poor_overlap_is_refused_with_the_reason(cohort):
    genes = cohort.genes
    with pytest.raises(InputError, match=r"3 of the model's 7 genes \(42.9%\).*--min-overlap"):
        match_genes(genes, list(genes.index[:3]))
    with pytest.raises(InputError, match="no gene of the model.*gene symbols"):
        match_genes(genes, list(genes["symbol"]))
    with pytest.raises(InputError, match="no gene of the model.*Use Ensembl gene ids") as caught:
        match_genes(genes, ["7157", "672"], 0.0)
    assert "7157" in str(caught.value)
    assert "ENSG00000000000.1" in str(caught.value)
    with pytest.raises(InputError, match="2 times"):
        match_genes(genes, [*genes.index, genes.index[0]])
    with pytest.raises(InputError, match=r"ENSG00000000001\.2, ENSG00000000001\.3"):
        match_genes(genes, ["ENSG00000000001.2", "ENSG00000000001.3"], 0.1)


def test_missing_genes_get_the_training_mean_of_the_source(cohort, model):
    expr_tpm = np.full((2, 6), 5.0, np.float32)
    aligned, overlap = align_expression(model, expr_tpm, ids(7)[:6], BLOOD)
    assert overlap.n_found == 6
    expr_z = model.scaler.transform(aligned, np.array([3, 3]))
    np.testing.assert_allclose(expr_z[:, 6], 0, atol=1e-5)
    blood = np.log2(1 + cohort.expr_tpm[cohort.tissue == 3, 6].astype(float)).mean()
    np.testing.assert_allclose(np.log2(1 + aligned[:, 6]), blood, rtol=1e-5)
    assert (aligned[:, :6] == 5).all()


def test_log2_values_become_tpm():
    expr_tpm = np.array([[0.0, 3.0, 1000.0]])
    np.testing.assert_allclose(to_tpm(np.log2(1 + expr_tpm), "log2"), expr_tpm, rtol=1e-5)
    assert to_tpm(expr_tpm).dtype == np.float32


@pytest.mark.parametrize(
    ("values", "units", "message"),
    [
        ([[0.5, 12.0]], None, "looks log-scaled.*--units log2"),
        ([[0.5, 2e6]], None, "looks like counts"),
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


def test_new_people_are_predicted_as_cohort_members(cohort, model):
    blood = np.flatnonzero(cohort.tissue == 3)
    names = ["zeta", "alpha", "mid", "beta"]
    inputs = new_inputs(model, cohort.expr_tpm[blood], names, BLOOD)
    assert list(inputs.donors.index) == sorted(names)
    assert list(inputs.donors.index[inputs.donor]) == names
    got = list(predict_new(model, inputs, ["Testis", "Lung"], block=3))
    assert [(name, rows.start, rows.stop) for name, rows, _ in got] == [
        ("Testis", 0, 3),
        ("Testis", 3, 4),
        ("Lung", 0, 3),
        ("Lung", 3, 4),
    ]
    expected = model.predict(cohort, Requests(blood[:, None], np.full(4, 2)))
    np.testing.assert_array_equal(np.concatenate([got[0][2], got[1][2]]), expected)


@pytest.mark.parametrize("scale", ["log2", "tpm"])
def test_predictions_come_back_in_expression_units(cohort, model, scale):
    blood = np.flatnonzero(cohort.tissue == 3)
    inputs = new_inputs(model, cohort.expr_tpm[blood], list("abcd"), BLOOD)
    ((_, _, expr_z),) = predict_new(model, inputs, ["Lung"])
    ((_, _, values),) = predict_new(model, inputs, ["Lung"], scale)
    lung = np.log2(1 + cohort.expr_tpm[cohort.tissue == 1].astype(float))
    expr_log2 = np.clip(expr_z * lung.std(0) + lung.mean(0), 0, None)
    expected = expr_log2 if scale == "log2" else 2**expr_log2 - 1
    np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-3)


def test_new_people_refusals(cohort, model):
    one = cohort.expr_tpm[:1]
    inputs = new_inputs(model, one, ["a"], BLOOD)
    with pytest.raises(InputError, match="Spleen"):
        next(predict_new(model, inputs, ["Spleen"]))
    with pytest.raises(InputError, match="other than the source"):
        next(predict_new(model, inputs, [BLOOD]))
    with pytest.raises(InputError, match="'counts'"):
        next(predict_new(model, inputs, ["Lung"], "counts"))
    with pytest.raises(InputError, match="a twice"):
        new_inputs(model, np.repeat(one, 2, axis=0), ["a", "a"], BLOOD)
    with pytest.raises(InputError, match="no row for sample a"):
        new_inputs(model, one, ["a"], BLOOD, pd.DataFrame({"sex": [1]}, index=["b"]))
    model.several_sources = False
    with pytest.raises(InputError, match="'Lung'.*'Whole Blood', the tissue it was trained"):
        new_inputs(model, one, ["a"], "Lung")


def test_a_tissue_without_training_samples_is_no_target(cohort, model):
    model.scaler = TissueScaler(
        model.scale,
        np.where(np.arange(4)[:, None] == 2, np.nan, model.scaler.mean),
        model.scaler.sd,
    )
    assert targets_of(model, BLOOD) == ["Artery - Aorta", "Lung"]
    with pytest.raises(InputError, match="'Testis', of which the training had no sample"):
        tissue_of(model, "Testis")


def test_traits_reach_the_model(cohort, model):
    traits = pd.DataFrame({"sex": [2, 1]}, index=["b", "a"])
    inputs = new_inputs(model, cohort.expr_tpm[:2], ["b", "a"], BLOOD, traits)
    assert list(inputs.donors["sex"]) == [1, 2]
    assert list(inputs.donors["sex"].to_numpy()[inputs.donor]) == [2, 1]
    assert list(inputs.samples["sex"]) == [2, 1]
