import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from people import BLOOD, SameGene, five_donors, ids

from mtm.errors import InputError
from mtm.models.base import Training
from mtm.predictions.sample_tables import absent_covariates, check_table_columns, unused_columns
from mtm.predictions.samples import (
    checks_of,
    fill_missing,
    read_samples,
    samples_of_matrix,
    with_traits,
)

NAMES = ["p", "q", "r"]


@pytest.fixture
def model():
    fitted = SameGene()
    fitted.fit(Training(five_donors(), source=3))
    return fitted


@pytest.fixture
def expr_tpm():
    return np.random.default_rng(1).gamma(1, 40, (3, 7)).astype(np.float32) + 0.5


def write(path, values, gene_ids, obs=None):
    gene_ids = list(gene_ids)
    if path.suffix.lower() == ".h5ad":
        obs = pd.DataFrame(obs or {}, index=NAMES)
        anndata.AnnData(values, obs=obs, var=pd.DataFrame(index=gene_ids)).write_h5ad(path)
    else:
        index = pd.Index(gene_ids, name="gene_id")
        pd.DataFrame(values.T, index=index, columns=NAMES).to_csv(path, sep="\t")
    return path


@pytest.mark.parametrize("name", ["x.tsv", "x.h5ad"])
def test_genes_are_lined_up_and_missing_ones_stay_missing(tmp_path, model, expr_tpm, name):
    kept = [5, 0, 3, 4, 1, 2]
    other = ids(7, version=9)
    path = write(tmp_path / name, expr_tpm[:, kept], [other[i] for i in kept])
    samples = read_samples(model, [(path, BLOOD)])
    assert samples.sources[0].overlap.n_unversioned == 6
    np.testing.assert_allclose(samples.expr_tpm[:, :6], expr_tpm[:, :6], rtol=1e-6)
    assert np.isnan(samples.expr_tpm[:, 6]).all()
    assert list(samples.table["donor"]) == NAMES
    assert fill_missing(model, samples) == 1
    mean_z = model.scaler.transform(samples.expr_tpm, np.full(3, 3))[:, 6]
    np.testing.assert_allclose(mean_z, 0, atol=1e-4)


def test_a_model_that_can_leaves_missing_genes_out(tmp_path, model, expr_tpm):
    model.takes_missing = True
    path = write(tmp_path / "x.tsv", expr_tpm[:, :6], ids(7)[:6])
    samples = read_samples(model, [(path, BLOOD)])
    assert fill_missing(model, samples) == 0
    assert np.isnan(samples.expr_tpm[:, 6]).all()
    # Checks see what was measured alone.
    table = checks_of(model, samples)
    np.testing.assert_allclose(table["genes_found"], 6 / 7)


def test_obs_says_donor_and_tissue(tmp_path, model, expr_tpm):
    obs = {"donor": ["a", "a", "b"], "tissue": pd.Categorical(["Lung", BLOOD, BLOOD])}
    samples = read_samples(model, [(write(tmp_path / "x.h5ad", expr_tpm, ids(7), obs), None)])
    assert samples.table.to_numpy().tolist() == [
        ["p", "a", "Lung"], ["q", "a", BLOOD], ["r", "b", BLOOD]
    ]  # fmt: skip
    assert [(s.tissue, s.rows.tolist()) for s in samples.sources] == [
        ("Lung", [0]), (BLOOD, [1, 2])
    ]  # fmt: skip
    # Said in the command, it is that; donors stay those of obs.
    with pytest.raises(InputError, match="a second sample of donor a in Whole Blood"):
        read_samples(model, [(tmp_path / "x.h5ad", BLOOD)])
    obs["donor"] = ["a", "c", "b"]
    said = read_samples(model, [(write(tmp_path / "x.h5ad", expr_tpm, ids(7), obs), BLOOD)])
    assert set(said.table["tissue"]) == {BLOOD}
    assert list(said.table["donor"]) == ["a", "c", "b"]


def test_a_table_says_which_samples_are_whose(tmp_path, model, expr_tpm):
    path = write(tmp_path / "x.tsv", expr_tpm, ids(7))
    table = pd.DataFrame({"sample_id": ["r", "p", "elsewhere"], "donor": ["a", "a", "b"],
                          "tissue": ["Lung", BLOOD, BLOOD], "sex": [1, 1, 2]})  # fmt: skip
    samples = read_samples(model, [(path, None)], table)
    assert samples.table.to_numpy().tolist() == [["p", "a", BLOOD, 1], ["r", "a", "Lung", 1]]
    np.testing.assert_allclose(samples.expr_tpm, expr_tpm[[0, 2]], rtol=1e-6)
    traits = pd.DataFrame({"sex": [2, 2], "age": [30, 40]}, index=["p", "r"])
    assert list(with_traits(samples, traits).table["age"]) == [30, 40]
    assert list(with_traits(samples, traits).table["sex"]) == [2, 2]
    with pytest.raises(InputError, match="no row for sample r"):
        with_traits(samples, traits.iloc[:1])


def test_what_cannot_be(tmp_path, model, expr_tpm):
    path = write(tmp_path / "x.tsv", expr_tpm, ids(7))
    table = pd.DataFrame({"sample_id": NAMES, "donor": ["a", "a", "b"], "tissue": BLOOD})
    cases = {
        "a second sample of donor a in Whole Blood": (table, None),
        "no sample of .*x.tsv": (table.assign(sample_id=["x", "y", "z"]), None),
        "several rows for sample p": (table.assign(sample_id=["p", "p", "q"]), None),
        "no tissue of its samples": (table.drop(columns="tissue"), None),
        "one place that says them": (table, "Lung"),
        "'Spleen'": (table.assign(tissue="Spleen"), None),
        "names that can be printed": (table.assign(donor="\x1b[2J"), None),
    }
    for says, (given, tissue) in cases.items():
        with pytest.raises(InputError, match=says):
            read_samples(model, [(path, tissue)], given)
    obs = {"tissue": [BLOOD, BLOOD, "Nowhere"]}
    with pytest.raises(InputError, match="'Nowhere'"):
        read_samples(model, [(write(tmp_path / "x.h5ad", expr_tpm, ids(7), obs), None)])


def test_values_in_memory(model, expr_tpm):
    table = pd.DataFrame({"sample_id": NAMES, "donor": NAMES, "tissue": BLOOD})
    for values in (expr_tpm, scipy.sparse.csr_matrix(expr_tpm)):
        samples = samples_of_matrix(model, values, ids(7), table)
        np.testing.assert_array_equal(samples.expr_tpm, expr_tpm)
    with pytest.raises(InputError, match="negative"):
        samples_of_matrix(model, -expr_tpm, ids(7), table)


@pytest.mark.parametrize("names", [pd.Categorical(["a", None, None]), [1.0, np.nan, np.nan]])
def test_samples_of_unknown_donors_are_not_one_donors(tmp_path, model, expr_tpm, names):
    obs = {"donor": names, "tissue": ["Lung", BLOOD, "Lung"]}
    path = write(tmp_path / "x.h5ad", expr_tpm, ids(7), obs)
    with pytest.raises(InputError, match=r"x\.h5ad: found no donor of sample 'q'"):
        read_samples(model, [(path, None)])
    table = pd.DataFrame({"sample_id": NAMES} | obs)
    with pytest.raises(InputError, match="no donor of sample 'q'"):
        samples_of_matrix(model, expr_tpm, ids(7), table)


@pytest.mark.parametrize("word", ["NA", "nan", "n/a", "<NA>"])
def test_a_word_for_nothing_is_no_donor(tmp_path, model, expr_tpm, word):
    table = pd.DataFrame(
        {"sample_id": NAMES, "donor": ["a", word, word], "tissue": [BLOOD, BLOOD, "Lung"]}
    )
    path = write(tmp_path / "x.tsv", expr_tpm, ids(7))
    for read in (
        lambda: read_samples(model, [(path, None)], table),
        lambda: samples_of_matrix(model, expr_tpm, ids(7), table),
    ):
        with pytest.raises(InputError, match=f"no donor of sample 'q' but the word '{word}'"):
            read()
    # A sample of this name that nobody gave a donor is somebody's.
    alone = pd.DataFrame({"sample_id": ["p", "q", word], "tissue": BLOOD})
    alone["donor"] = alone["sample_id"]
    samples = samples_of_matrix(model, expr_tpm, ids(7), alone)
    assert list(samples.table["donor"]) == ["p", "q", word]


class WithAge(SameGene):
    used_covariates = ("sex", "age")


def aged():
    fitted = WithAge()
    fitted.fit(Training(five_donors(), source=3))
    return fitted


@pytest.mark.slow
@pytest.mark.parametrize("said", [True, False])
def test_obs_says_covariates_whether_or_not_the_tissue_is_said(tmp_path, expr_tpm, said):
    obs = {"sex": ["M", "female", ""], "age": [30.0, np.nan, 50.5], "site": ["x", "y", "z"]}
    obs |= {} if said else {"tissue": [BLOOD] * 3}
    path = write(tmp_path / "x.H5AD", expr_tpm, ids(7), obs)
    samples = read_samples(aged(), [(path, BLOOD if said else None)])
    assert list(samples.table.columns.difference(["sample_id", "donor", "tissue"])) == [
        "age", "sex"
    ]  # fmt: skip
    np.testing.assert_array_equal(samples.table["sex"], [1, 2, np.nan])
    np.testing.assert_array_equal(samples.table["age"], [30, np.nan, 50.5])
    # A table beside it adds what it lacks, and does not contradict it.
    traits = pd.DataFrame({"sex": [1, np.nan, 2], "age": [30, 40, 50.5]}, index=NAMES)
    both = with_traits(samples, traits, "traits.tsv").table
    np.testing.assert_array_equal(both["sex"], [1, 2, 2])
    np.testing.assert_array_equal(both["age"], [30, 40, 50.5])
    says = r"traits.tsv: found age '31' of sample 'p', which is '30' in obs"
    with pytest.raises(InputError, match=says):
        with_traits(samples, traits.assign(age=31), "traits.tsv")
    sheet = pd.DataFrame({"sample_id": NAMES, "sex": [1, 2, 1]}).assign(tissue=BLOOD)
    kept = read_samples(aged(), [(path, None)], sheet).table
    np.testing.assert_array_equal(kept["sex"], [1, 2, 1])
    np.testing.assert_array_equal(kept["age"], [30, np.nan, 50.5])
    with pytest.raises(InputError, match="found sex '2' of sample 'p', which is '1' in obs"):
        read_samples(aged(), [(path, None)], sheet.assign(sex=2))
    # As public atlases write it; what the model does not use may be anything.
    odd = {"sex": ["unknown", "nan", "F"], "hardy": ["Violent", "", "x"]}
    write(tmp_path / "x.H5AD", expr_tpm, ids(7), odd)
    kept = read_samples(aged(), [(path, BLOOD)]).table
    np.testing.assert_array_equal(kept["sex"], [np.nan, np.nan, 2])
    write(tmp_path / "x.H5AD", expr_tpm, ids(7), {"age": ["30", "487", "50"]})
    with pytest.raises(InputError, match=r"x\.H5AD, obs, row 2, column age of q: found '487'"):
        read_samples(aged(), [(path, BLOOD)])


def test_words_are_levels_of_a_models_own_covariate(tmp_path, expr_tpm):
    class OfDrug(SameGene):
        used_covariates = ("drug",)

    fitted = OfDrug()
    fitted.fit(Training(five_donors(), source=3))
    path = write(tmp_path / "x.h5ad", expr_tpm, ids(7), {"drug": ["None", "a", "unknown"]})
    assert list(read_samples(fitted, [(path, BLOOD)]).table["drug"]) == ["None", "a", "unknown"]


def test_columns_in_other_capitals_mean_nothing_and_are_refused(tmp_path, expr_tpm):
    for column, name in (("Sex", "sex"), ("AGE", "age"), ("Donor", "donor"), ("Rin", "rin")):
        with pytest.raises(
            InputError, match=f"x.tsv, header: found a column '{column}'; .* {name}"
        ):
            check_table_columns(aged(), ["sample_id", column], "x.tsv")
    check_table_columns(aged(), ["sample_id", "sex", "Sex", "gender"], "x.tsv")
    for obs, name in (({"Age": [1, 2, 3]}, "Age"), ({"Donor": NAMES}, "Donor")):
        path = write(tmp_path / "x.h5ad", expr_tpm, ids(7), obs)
        with pytest.raises(InputError, match=f"x.h5ad, obs, header: found a column '{name}'"):
            read_samples(aged(), [(path, BLOOD)])
    # Of what this model looks at alone.
    path = write(tmp_path / "x.h5ad", expr_tpm, ids(7), {"Tissue": NAMES, "RIN": [7, 8, 9]})
    assert len(read_samples(aged(), [(path, BLOOD)]).table) == 3
    with pytest.raises(InputError, match="found a column 'Tissue'; expected tissue"):
        read_samples(aged(), [(path, None)])


def test_what_becomes_of_columns():
    table = pd.DataFrame({"sample_id": NAMES, "sex": [1, 2, np.nan], "age": np.nan, "rin": 7})
    assert absent_covariates(aged(), table) == ["age"]
    assert unused_columns(aged(), table) == ["rin"]
    assert unused_columns(aged(), ["donor", "gender", "age_years", ""]) == ["gender", "age_years"]


def test_donors_and_tissues_beside_covariates_are_those_of_the_samples(tmp_path, model, expr_tpm):
    path = write(tmp_path / "x.tsv", expr_tpm, ids(7))
    samples = read_samples(model, [(path, BLOOD)])
    traits = pd.DataFrame({"age": 40, "donor": NAMES, "tissue": "whole_blood"}, index=NAMES)
    assert list(with_traits(samples, traits).table["donor"]) == NAMES
    for column, says in (("donor", "the donor 'x' of sample 'p'"), ("tissue", "the tissue 'x'")):
        with pytest.raises(InputError, match=f"{says}.*--samples"):
            with_traits(samples, traits.assign(**{column: "x"}))


def test_a_tissue_said_twice_may_be_called_by_two_names(tmp_path, model, expr_tpm):
    path = write(tmp_path / "x.tsv", expr_tpm, ids(7))
    table = pd.DataFrame({"sample_id": NAMES, "tissue": ["whole blood", "WHLBLD", np.nan]})
    samples = read_samples(model, [(path, "Whole_Blood")], table)
    assert set(samples.table["tissue"]) == {BLOOD}
    with pytest.raises(InputError, match="tissue 'Lung' beside --source 'Whole Blood'"):
        read_samples(model, [(path, BLOOD)], table.assign(tissue="Lung"))


def test_samples_that_the_table_lacks_are_named(tmp_path, model, expr_tpm):
    path = write(tmp_path / "x.tsv", expr_tpm, ids(7))
    table = pd.DataFrame({"sample_id": ["q", "P"], "tissue": BLOOD})
    assert read_samples(model, [(path, None)], table).left_out == ("p", "r")
