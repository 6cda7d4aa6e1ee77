"""What Python code sees: the example of docs/new_people.md, and AnnData in and out."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from cohorts import simulated_cohort
from packaging.requirements import Requirement
from tests.hostile.models import certificate

import mtm
from mtm import cli
from mtm.cohort.cohort import Cohort
from mtm.errors import InputError
from mtm.models.base import Training
from mtm.models.registry import build
from mtm.predictions.answer_files import LONG, from_anndata

ROOT = Path(__file__).parents[1]
BLOOD = "Whole Blood"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Hold ``joint.safetensors``, certified, and ``blood.h5ad`` of nine new people."""
    path = tmp_path_factory.mktemp("new")
    cohort = simulated_cohort(n_donors=40)
    ids = cohort.donors.index
    small = {"n_factors": 2, "noise_rank": 2, "noise_freedom": 0, "fits": 1, "iterations": 8}
    model = build("joint", small)
    training = cohort.of_donors(ids[:31])
    model.fit(Training(training, source=cohort.tissue_index(BLOOD), device="cpu"))
    model.certificate = certificate((len(model.tissues), len(model.genes)), own_sd=True)
    model.save(path / "joint.safetensors")
    new = cohort.of_donors(ids[31:])
    rows = np.flatnonzero(new.tissue == new.tissue_index(BLOOD))
    obs = pd.DataFrame({"sex": new.donors["sex"].to_numpy()[new.donor[rows]]},
                       index=new.donors.index[new.donor[rows]])  # fmt: skip
    data = anndata.AnnData(new.expr_tpm[rows], obs=obs, var=pd.DataFrame(index=new.genes.index))
    data.write_h5ad(path / "blood.h5ad")
    return path


@pytest.fixture
def model(folder):
    return mtm.load(folder / "joint.safetensors")


@pytest.fixture
def blood(folder):
    return anndata.read_h5ad(folder / "blood.h5ad")


@pytest.mark.slow
def test_the_example_runs_as_it_stands(folder):
    page = (ROOT / "docs/new_people.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "status" in done.stdout
    told = anndata.read_h5ad(folder / "told.h5ad")
    assert list(told.obs["target"].unique()) == ["Lung", "Liver"]


def test_the_package_is_imported_at_once():
    code = "import sys, mtm\nprint(sorted({'torch', 'numpy', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert mtm.__version__
    with pytest.raises(AttributeError, match="no attribute 'fit'"):
        mtm.fit  # noqa: B018


def test_told_is_annotated(model, blood):
    told = model.predict(blood, source=BLOOD, target="Lung", align="none")
    assert list(told.obs.columns) == ["donor", "sample_id", "source", "target", "certified"]
    assert list(told.obs["donor"]) == list(blood.obs_names)
    assert list(told.var_names) == list(model.genes.index)
    assert set(told.layers) == {"z", "log2", "tpm", "low", "high"}
    assert (told.layers["low"] <= told.X).all()
    assert told.varm["reliability"].shape == (told.n_vars, 1)
    assert told.uns["mtm"]["bundle"] == "joint.safetensors"
    assert told.uns["mtm"]["alignment"]["method"] == ["none"]
    everything = model.predict(blood, source=BLOOD)
    assert set(everything.obs["target"]) == set(model.tissues) - {BLOOD}
    assert repr(model) == "<mtm.Model joint: 4 tissues, 12 genes>"


def test_told_can_be_brought_again(model, blood):
    told = model.predict(blood, source=BLOOD, target="Lung")
    again = model.predict(told, target=BLOOD, units="tpm")
    assert list(again.obs["source"].unique()) == ["Lung"]
    assert list(again.obs["donor"]) == list(blood.obs_names)


def test_obs_says_whose_samples_are_of_what(model, blood):
    blood.obs["donor"] = [f"P{i // 2}" for i in range(blood.n_obs)]
    blood.obs["sex"] = [1 + i // 2 % 2 for i in range(blood.n_obs)]
    blood.obs["tissue"] = pd.Categorical([BLOOD, "Liver"] * 4 + [BLOOD])
    told = model.predict(blood, target="Lung")
    assert list(told.obs["source"][:2]) == ["Liver;Whole Blood"] * 2
    assert told.n_obs == 5
    with pytest.raises(InputError, match="a second sample of donor P0"):
        model.predict(blood, source=BLOOD)


def test_sex_may_be_in_words(model, blood):
    coded = blood.copy()
    coded.obs[["age", "hardy"]] = [50, 2]
    words = coded.copy()
    words.obs["sex"] = pd.Categorical(np.where(blood.obs["sex"] == 1, "male", "F"))
    unknown = coded.copy()
    unknown.obs["sex"] = np.nan
    told, same, other = (
        model.predict(one, source=BLOOD, target="Lung").X for one in (coded, words, unknown)
    )
    np.testing.assert_array_equal(told, same)
    assert np.abs(told - other).max() > 0.1
    # As public atlases write it.
    unknown.obs["sex"] = pd.Categorical(["unknown"] * blood.n_obs)
    np.testing.assert_array_equal(model.predict(unknown, source=BLOOD, target="Lung").X, other)
    given = model.check(words, source=BLOOD)["sex_given"]
    assert given.tolist() == ["male" if sex == 1 else "female" for sex in blood.obs["sex"]]


def test_no_sample_is_refused(model, blood):
    with pytest.raises(InputError, match="a table of shape .0, "):
        model.predict(blood[:0], source=BLOOD)


def test_fields_may_be_empty(model, blood):
    blood.obs[["age", "hardy"]] = [50, 2]
    missing, blank = blood.copy(), blood.copy()
    missing.obs["age"] = [np.nan, *[50] * (blood.n_obs - 1)]
    blank.obs["age"] = [" ", *["50"] * (blood.n_obs - 1)]
    told, same = (model.predict(one, source=BLOOD, target="Lung").X for one in (missing, blank))
    np.testing.assert_array_equal(told, same)


@pytest.mark.parametrize("nobody", [None, np.nan, " "])
def test_samples_without_a_donor_are_not_taken_for_one_persons(model, blood, nobody):
    blood.obs["donor"] = pd.Series([nobody, nobody, *blood.obs_names[2:]], blood.obs_names)
    blood.obs["tissue"] = [BLOOD, "Liver", *[BLOOD] * (blood.n_obs - 2)]
    with pytest.raises(InputError, match="no donor|a donor named"):
        model.predict(blood, target="Lung")


@pytest.mark.parametrize("least", ["medium", "nan", 2])
def test_a_reliability_that_is_none_is_refused(model, blood, least):
    with pytest.raises(InputError, match="^min_reliability: found"):
        model.predict(blood, source=BLOOD, min_reliability=least)


def test_errors_name_arguments_and_no_options(model, blood):
    few = blood[:, :2].copy()
    with pytest.raises(InputError, match=r"smaller minimum overlap \(min_overlap, now 0.8\)"):
        model.predict(few, source=BLOOD)
    with pytest.raises(InputError, match=r"\(min_overlap, now 0.9\)"):
        model.check(few, source=BLOOD, min_overlap=0.9)


def test_values_of_a_layer_and_of_other_units(model, blood):
    plain = model.predict(blood, source=BLOOD, target="Lung", genes=["g3", "ENSG00000000005"])
    assert list(plain.var["symbol"]) == ["G3", "G5"]
    blood.layers["log2"] = np.log2(1 + blood.X)
    blood.X[:] = 0
    same = model.predict(blood, source=BLOOD, target="Lung", layer="log2", units="log2",
                         genes=["G3", "G5"])  # fmt: skip
    np.testing.assert_allclose(same.X, plain.X, rtol=1e-3)


@pytest.mark.parametrize("kind", ["csr", "csc"])
@pytest.mark.parametrize("backed", [None, "r"])
def test_sparse_values_are_as_dense_ones(model, blood, tmp_path, monkeypatch, kind, backed):
    told = model.predict(blood, source=BLOOD, target="Lung")
    blood.X = scipy.sparse.csr_matrix(blood.X).asformat(kind)
    blood.layers["twice"] = 2 * blood.X
    blood.write_h5ad(tmp_path / "x.h5ad")
    there = anndata.read_h5ad(tmp_path / "x.h5ad", backed=backed)
    # Several blocks of samples, the last of them smaller.
    monkeypatch.setattr("mtm.predictions.samples.CHECKED", 2 * blood.n_vars)
    same = model.predict(there, source=BLOOD, target="Lung")
    np.testing.assert_array_equal(same.X, told.X)
    np.testing.assert_array_equal(
        model.predict(there[:3], source=BLOOD, target="Lung", align="none").X,
        model.predict(blood[:3], source=BLOOD, target="Lung", align="none").X,
    )
    assert len(model.check(there, source=BLOOD, layer="twice")) == blood.n_obs


def test_values_are_checked_over_all_blocks_of_samples(model, blood, monkeypatch):
    monkeypatch.setattr("mtm.predictions.samples.CHECKED", 2 * blood.n_vars)
    low = blood.copy()
    low.X *= 30 / low.X.max()
    low.X[7] = 2e6
    with pytest.raises(InputError, match=f"sample {low.obs_names[7]}: found 2e.06 for every"):
        model.predict(low, source=BLOOD)
    blood.X[5, 2] = np.nan
    with pytest.raises(InputError, match="sample 6, gene 3: found nan"):
        model.predict(blood, source=BLOOD)


def test_values_that_are_not_there_are_asked_for(model, blood):
    blood.layers["tpm"] = blood.X.copy()
    with pytest.raises(InputError, match="no layer 'nope'.*layer='tpm'"):
        model.predict(blood, source=BLOOD, layer="nope")
    blood.X = None
    with pytest.raises(InputError, match="no values in X.*layer='tpm'"):
        model.check(blood, source=BLOOD)
    assert model.predict(blood, source=BLOOD, target="Lung", layer="tpm").n_obs == 9


@pytest.mark.parametrize("several", [pd.Series, pd.Index, np.array, tuple])
def test_names_may_come_in_any_collection(model, blood, several):
    told = model.predict(
        blood, source=BLOOD, target=several(["Lung", "Liver"]), genes=several(["G3", "G5"])
    )
    assert list(told.uns["mtm"]["targets"]) == ["Lung", "Liver"]
    assert list(told.var["symbol"]) == ["G3", "G5"]
    one = model.predict(blood, source=BLOOD, target=np.str_("Lung"), genes="G3")
    assert one.shape == (9, 1)


def test_columns_of_obs_that_nobody_uses_may_hold_anything(model, blood):
    told = model.predict(blood, source=BLOOD, target="Lung")
    blood.obs["marks"] = [["a", "b"]] * blood.n_obs
    blood.obs["about"] = [{"batch": 1}] * blood.n_obs
    blood.obs["cohort"] = "mine"
    np.testing.assert_array_equal(model.predict(blood, source=BLOOD, target="Lung").X, told.X)
    blood.obs["donor"], blood.obs["tissue"] = "P", [*model.tissues[:4], *[BLOOD] * 5]
    blood.obs["sex"] = 1
    blood = blood[:4]
    assert model.check(blood).shape[0] == 4
    assert set(model.predict(blood).obs["target"]) == set(model.tissues)


def test_advice_is_in_words_of_python(model, blood):
    blood.X = np.repeat(np.round(blood.X[:, :1] + 100), blood.n_vars, axis=1)
    blood.X[:, ::2] *= 1e5
    with pytest.raises(InputError, match="counts") as told:
        model.predict(blood, source=BLOOD)
    assert "say units tpm if" in str(told.value)
    assert "--units" not in str(told.value)
    assert mtm.Model is type(model)


def test_what_cannot_be(model, blood):
    with pytest.raises(InputError, match="no tissue of its samples"):
        model.predict(blood)
    with pytest.raises(InputError, match="'Spleen'"):
        model.predict(blood, source=BLOOD, target="Spleen")
    blood.obs["sex"] = 7
    with pytest.raises(InputError, match="1, M or Male, 2, F or Female"):
        model.check(blood, source=BLOOD)


def test_checks_are_by_sample(model, blood):
    table = model.check(blood, source=BLOOD)
    assert list(table.index) == list(blood.obs_names)
    assert {"status", "says"} <= set(table.columns)


def of_command(folder, path, *more):
    """Lung of everybody, as z, by the command."""
    out = folder / "told.parquet"
    bundle = str(folder / "joint.safetensors")
    assert cli.main(["predict", "--bundle", bundle, "--expression", str(path), "--target", "Lung",
                     "--out", str(out), "--force", *more]) == 0  # fmt: skip
    return pd.read_parquet(out)["z"].to_numpy().reshape(9, -1)


@pytest.mark.parametrize("more", [["--source", BLOOD], []])
def test_the_command_tells_the_same_of_obs(folder, model, blood, tmp_path, more):
    blood.obs["age"] = np.linspace(30, 70, 9)
    if not more:
        blood.obs["tissue"] = BLOOD
    path = tmp_path / "with.H5AD"
    blood.write_h5ad(path)
    told = model.predict(blood, source=BLOOD, target="Lung")
    np.testing.assert_allclose(of_command(folder, path, *more), told.layers["z"], atol=1e-5)
    del blood.obs["sex"]
    assert np.abs(model.predict(blood, source=BLOOD, target="Lung").X - told.X).max() > 0.1


def test_ages_may_be_brackets_as_in_training(folder, model, blood, tmp_path):
    blood.obs[["age", "hardy"]] = [64.5, 2]
    years = model.predict(blood, source=BLOOD, target="Lung").layers["z"]
    blood.obs["age"] = pd.Categorical(["60-69"] * 9)
    np.testing.assert_array_equal(
        model.predict(blood, source=BLOOD, target="Lung").layers["z"], years
    )
    blood.write_h5ad(tmp_path / "of_obs.h5ad")
    blood.obs.to_csv(tmp_path / "traits.tsv", sep="\t", index_label="sample_id")
    blood.obs = blood.obs[[]]
    blood.write_h5ad(tmp_path / "plain.h5ad")
    plain = ["--source", BLOOD, "--traits", str(tmp_path / "traits.tsv")]
    of_obs = of_command(folder, tmp_path / "of_obs.h5ad", *plain[:2])
    of_table = of_command(folder, tmp_path / "plain.h5ad", *plain)
    np.testing.assert_allclose([of_obs, of_table], [years, years], atol=1e-5)


@pytest.mark.parametrize("donors", [["NA", "NA"], ["A", "A"]])
def test_donors_of_obs_count_beside_a_source(folder, model, blood, tmp_path, donors):
    blood.obs = blood.obs.assign(donor=[*donors, *blood.obs_names[2:]]).rename_axis("Donor")
    says = "no donor of sample" if "NA" in donors else "a second sample of donor A"
    with pytest.raises(InputError, match=says):
        model.predict(blood, source=BLOOD)
    blood.write_h5ad(tmp_path / "x.h5ad")
    with pytest.raises(AssertionError):
        of_command(folder, tmp_path / "x.h5ad", "--source", BLOOD)


def test_columns_of_obs_in_other_capitals_are_refused(model, blood):
    blood.obs = blood.obs.rename(columns={"sex": "Sex"}).assign(Batch="x")
    with pytest.raises(InputError, match="obs, header: found a column 'Sex'; expected sex"):
        model.predict(blood, source=BLOOD)


MODULES = {"pillow": "PIL", "scikit-learn": "sklearn"}
WITHOUT_PIPELINE = """
import sys
import tomllib

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import mtm.api, mtm.cli.info, mtm.cli.predicting, mtm.page.person, mtm.pipeline.input_check
from mtm.models.registry import model_class, model_names
for name in model_names():
    model_class(name)
"""


@pytest.mark.slow
def test_new_people_need_nothing_of_the_pipeline():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = {
        name: {Requirement(text).name for text in texts}
        for name, texts in project["optional-dependencies"].items()
    }
    # Networks and the joint model need PyTorch, which is an extra of its own.
    absent = {MODULES.get(name, name) for name in extra["workflow"] - extra["torch"]}
    assert "snakemake" in absent
    code = WITHOUT_PIPELINE.replace("{absent}", repr(absent))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def scanpy_read(path):
    return pytest.importorskip("scanpy").read_h5ad(path)


WAYS = {
    "h5ad": ("write_h5ad", anndata.read_h5ad),
    "zarr": ("write_zarr", anndata.read_zarr),
    "scanpy": ("write_h5ad", scanpy_read),
}


@pytest.fixture(params=WAYS)
def through_a_file(request, tmp_path):
    """Return what writes AnnData to a file of a kind and reads it back."""
    write, read = WAYS[request.param]

    def through(adata):
        getattr(adata, write)(tmp_path / "x")
        return read(tmp_path / "x")

    return through


def test_a_cohort_goes_through_anndata(through_a_file):
    cohort = simulated_cohort(n_donors=8, n_tissues=4)
    cohort = cohort.of_donors(cohort.donors.index[:3])
    there = cohort.to_anndata()
    assert list(there.var_names) == list(cohort.genes.index)
    back = Cohort.from_anndata(through_a_file(there))
    np.testing.assert_array_equal(back.expr_tpm, cohort.expr_tpm)
    np.testing.assert_array_equal(back.donor, cohort.donor)
    np.testing.assert_array_equal(back.tissue, cohort.tissue)
    assert (back.tissues, back.measure) == (cohort.tissues, cohort.measure)
    for name in ("samples", "donors", "genes"):
        pd.testing.assert_frame_equal(
            getattr(back, name), getattr(cohort, name), check_dtype=False, check_names=False,
            check_index_type=False, check_column_type=False, check_categorical=False,
        )  # fmt: skip


def test_anndata_that_contradicts_itself_is_refused():
    adata = simulated_cohort(n_donors=8).to_anndata()
    with pytest.raises(InputError, match="no column tissue"):
        Cohort.from_anndata(anndata.AnnData(adata.X, obs=adata.obs[["donor"]]))
    adata.obs["sex"] = np.arange(adata.n_obs)
    with pytest.raises(InputError, match="two values of what is donor"):
        Cohort.from_anndata(adata)


def test_predictions_go_through_anndata(model, blood, through_a_file):
    told = model.predict(blood, source=BLOOD, align="none")
    told.layers["z"][0, 1] = np.nan
    table = from_anndata(through_a_file(told))
    assert list(table) == [name for name in LONG if name not in ("z_low", "z_high")]
    assert len(table) == told.n_obs * told.n_vars - 1
    row = table.iloc[told.n_vars + 3]
    assert (row["donor"], row["gene_id"]) == (told.obs["donor"].iloc[1], told.var_names[4])
    assert row["tpm_low"] == told.layers["low"][1, 4]
    target = list(told.uns["mtm"]["targets"]).index(told.obs["target"].iloc[1])
    assert row["reliability"] == told.varm["reliability"][4, target]
    assert row["reliability_class"] in told.uns["mtm"]["reliability_classes"]
