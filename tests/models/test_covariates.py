import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from cohorts import simulated_cohort

from mtm.errors import InputError
from mtm.models.base import Requests, Training
from mtm.models.covariate_design import CovariateDesign, covariate_table
from mtm.models.registry import build, load


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "sex": [1, 2, 2, 1, 2, 2],
            "age": [25.0, 35, 45, 65, 65, np.nan],
            "hardy": [0.0, 2, np.nan, 2, 0, 4],
            "center": ["B1", "B1", "C1", "C1", "D1", "D1"],
            "rin": [7.0, 7, 7, 7, 7, 7],
        }
    )


def _z(values):
    return (values - values.mean()) / values.std()


def test_design_columns(table):
    design = CovariateDesign.fit(table)
    columns = design.transform(table)
    described = [(c["covariate"], c["kind"], c.get("level", "")) for c in design.columns]
    assert described == [
        ("sex", "level", "2"),
        ("age", "value", ""),
        ("age", "missing", ""),
        ("hardy", "level", "0"),
        ("hardy", "level", "2"),
        ("hardy", "level", "4"),
        ("hardy", "level", None),
        ("center", "level", "B1"),
        ("center", "level", "C1"),
        ("center", "level", "D1"),
    ]
    np.testing.assert_allclose(columns[:, 0], _z(np.array([0.0, 1, 1, 0, 1, 1])))
    np.testing.assert_allclose(columns[:, 1], _z(np.array([25.0, 35, 45, 65, 65, 47])))
    np.testing.assert_allclose(columns[:, 2], _z(np.array([0.0, 0, 0, 0, 0, 1])))
    np.testing.assert_allclose(columns[:, 6], _z(np.array([0.0, 0, 1, 0, 0, 0])))
    np.testing.assert_allclose(columns.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(columns.std(0), 1)


def test_dates_of_batches_are_a_level_each():
    batches = pd.DataFrame({"batch": ["20180312", "20180315", "20180312", "BP-1"]})
    design = CovariateDesign.fit(batches)
    assert [c["level"] for c in design.columns] == ["20180312", "20180315", "BP-1"]
    as_numbers = design.transform(pd.DataFrame({"batch": [20180312.0, 20180315.0]}))
    np.testing.assert_array_equal(as_numbers, design.transform(batches[:2]))


def test_what_training_did_not_see_stands_at_the_mean(table):
    design = CovariateDesign.fit(table.drop(index=[2, 5]))
    new = pd.DataFrame({"sex": [np.nan], "age": [np.nan], "hardy": [np.nan], "center": ["Z9"]})
    assert (design.transform(new) == 0).all()
    seen = pd.DataFrame({"sex": ["1"], "age": [30], "hardy": ["2"], "center": ["B1"]})
    assert (design.transform(seen) != 0).all()


def test_levels_do_not_depend_on_how_numbers_are_written(table):
    design = CovariateDesign.fit(table)
    other = table.assign(
        sex=table["sex"].astype(float), hardy=["0", "2", None, "2.0", 0, 4], age=table["age"]
    )
    np.testing.assert_array_equal(design.transform(other), design.transform(table))


def test_design_survives_the_bundle(table):
    design = CovariateDesign.fit(table)
    assert CovariateDesign.from_array(design.to_array()) == design


def test_a_level_that_is_not_named_is_no_column():
    column = {"covariate": "sex", "kind": "level", "known": ["1", "2"], "mean": 0.5, "sd": 0.5}
    for given in (column | {"level": "2"}, column | {"level": None}):
        assert len(CovariateDesign.from_array(as_array([given]))) == 1
    with pytest.raises(InputError, match="array design"):
        CovariateDesign.from_array(as_array([column]))


def as_array(columns):
    return np.frombuffer(json.dumps(columns).encode(), np.uint8)


def test_design_refuses_bad_input(table):
    design = CovariateDesign.fit(table)
    with pytest.raises(InputError, match="no column age"):
        design.transform(table.drop(columns="age"))
    with pytest.raises(InputError, match="'old'"):
        design.transform(table.assign(age=["old"] + [40] * 5))


def test_covariates_of_donor_and_source_sample(cohort):
    samples = cohort.samples.assign(rin=np.arange(cohort.n_samples) / 10)
    cohort = replace(cohort, samples=samples)
    rows = np.array([5, 0, 9])
    table = covariate_table(cohort, rows, ("age", "rin", "center"))
    assert list(table) == ["age", "rin"]
    assert table["rin"].tolist() == [0.5, 0.0, 0.9]
    assert table["age"].tolist() == cohort.donors["age"].iloc[cohort.donor[rows]].tolist()


def test_model_learns_from_traits_and_sample_quality_alone(cohort, tmp_path):
    rng = np.random.default_rng(0)
    blood, lung = cohort.tissue_index("Whole Blood"), cohort.tissue_index("Lung")
    rin = np.where(cohort.tissue == blood, rng.uniform(5, 9, cohort.n_samples), np.nan)
    source_rin = np.zeros(len(cohort.donors))
    source_rin[cohort.donor[cohort.tissue == blood]] = rin[cohort.tissue == blood]
    expr_tpm = np.full_like(cohort.expr_tpm, 3)
    female = (cohort.donors["sex"] == 2).to_numpy(float)
    expr_tpm[:, 0] = 2 ** (3 + 2 * female[cohort.donor]) - 1
    expr_tpm[:, 1] = 2 ** source_rin[cohort.donor] - 1
    cohort = replace(cohort, expr_tpm=expr_tpm, samples=cohort.samples.assign(rin=rin))
    model = build("covariates", {"penalties": (1e-6,)})
    model.fit(Training(cohort, source=blood))
    assert model.provenance.notes["covariates"] == ["sex", "age", "hardy", "rin"]
    model.save(tmp_path / "bundle.safetensors")
    rows = np.flatnonzero(cohort.tissue == lung)
    source_of = np.zeros(len(cohort.donors), int)
    source_of[cohort.donor[cohort.tissue == blood]] = np.flatnonzero(cohort.tissue == blood)
    requests = Requests(source_of[cohort.donor[rows]][:, None], np.full(len(rows), lung))
    # Expression of the input plays no part.
    hidden = replace(cohort, expr_tpm=np.zeros_like(expr_tpm))
    predicted = load(tmp_path / "bundle.safetensors").predict(hidden, requests)
    observed = model.scaler.transform(expr_tpm[rows], cohort.tissue[rows])
    np.testing.assert_allclose(predicted, observed, atol=0.01)


@pytest.mark.parametrize("kept", [[], ["constant"]], ids=["no_column", "one_value"])
def test_without_a_covariate_that_varies_the_training_mean_is_predicted(cohort, tmp_path, kept):
    donors = cohort.donors.assign(constant=1)[kept].rename(columns={"constant": "sex"})
    bare = replace(cohort, donors=donors)
    source = cohort.tissue_index("Whole Blood")
    model = build("covariates")
    table = model.fit(Training(bare, source=source))
    assert set(table["reason"]) == {"no covariate varies between training donors"}
    model.save(tmp_path / "bundle.safetensors")
    rows = np.flatnonzero(cohort.tissue == source)
    for target in set(range(len(cohort.tissues))) - {source}:
        requests = Requests(rows[:, None], np.full(len(rows), target))
        assert not load(tmp_path / "bundle.safetensors").predict(bare, requests).any()


@pytest.mark.parametrize("n_donors", [46, 70, 88])
def test_a_tissue_of_one_sex_gets_its_mean_where_sex_is_all_that_is_known(n_donors):
    cohort = simulated_cohort(n_donors=n_donors)
    donors = cohort.donors[["sex"]]
    blood, lung = cohort.tissue_index("Whole Blood"), cohort.tissue_index("Lung")
    men = (donors["sex"] == 1).to_numpy()[cohort.donor]
    kept = (cohort.tissue != lung) | men
    cohort = replace(
        cohort, expr_tpm=cohort.expr_tpm[kept], samples=cohort.samples[kept], donors=donors,
        donor=cohort.donor[kept], tissue=cohort.tissue[kept],
    )  # fmt: skip
    model = build("covariates")
    model.fit(Training(cohort, source=blood, device="cpu"))
    assert lung in model.fits
    rows = np.flatnonzero(cohort.tissue == blood)
    told = model.predict(cohort, Requests(rows[:, None], np.full(len(rows), lung)))
    lungs = cohort.expr_tpm[cohort.tissue == lung]
    pairs = np.isin(cohort.donor[cohort.tissue == lung], cohort.donor[rows])
    mean_z = model.scaler.transform(lungs[pairs], np.full(pairs.sum(), lung)).mean(0)
    np.testing.assert_allclose(told, np.tile(mean_z, (len(rows), 1)), atol=1e-3)


def test_what_training_did_not_see_is_unknown_unless_a_column_says_so():
    """Age was missing in training and is marked; weight was not; a third sex is none of two."""
    training = pd.DataFrame(
        {"sex": [1.0, 2, 1, 2], "age": [30.0, np.nan, 50, 60], "weight": [1.0, 2, 3, 4]}
    )
    design = CovariateDesign.fit(training)
    new = pd.DataFrame({"sex": [1.0, np.nan, 3], "age": [np.nan] * 3, "weight": [1.0, np.nan, 2]})
    columns = [f"{c['covariate']} {c['kind']}" for c in design.columns]
    found = pd.DataFrame(np.isnan(design.known(new)), columns=columns)
    assert list(found["sex level"]) == [False, True, True]
    assert not found[["age value", "age missing"]].to_numpy().any()
    assert list(found["weight value"]) == [False, True, False]
    assert not np.isnan(design.known(training)).any()
