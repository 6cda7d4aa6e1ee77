import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from people import BLOOD, SameGene, five_donors, ids

from mtm.errors import InputError
from mtm.models.base import Training
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
    if path.suffix == ".h5ad":
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
    # Said in the command, it is that.
    said = read_samples(model, [(tmp_path / "x.h5ad", BLOOD)])
    assert set(said.table["tissue"]) == {BLOOD}


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
