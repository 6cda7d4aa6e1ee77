"""Tables in a cohort's own words, and units of its expression."""

import anndata
import numpy as np
import pandas as pd
import pytest

from mtm.cohort.build import build_cohort, people_of
from mtm.cohort.cohort import Cohort
from mtm.cohort.tables import read_sample_attributes, read_subject_phenotypes
from mtm.errors import InputError
from mtm.models.covariate_design import CovariateDesign, covariate_table
from mtm.settings.check import check_config
from mtm.settings.cohort import Columns

N, GENES = 12, ("G1", "G2", "G3")
COLUMNS = Columns(
    sample_id="id",
    donor="rat",
    tissue="organ",
    covariates={
        "diet": {"kind": "category"},
        "pool": {},
        "kg": {"use": ("covariate", "trait")},
        "ill": {"column": "state", "use": ("status",), "case": "sick"},
    },
)


@pytest.fixture
def folder(tmp_path):
    rows = [(f"{r}{o}", f"r{r}", o) for r in range(N) for o in ("liver", "lung")]
    table = pd.DataFrame(rows, columns=["id", "rat", "organ"])
    number = table["rat"].str[1:].astype(int)
    table = table.assign(
        diet=number % 3, pool=range(2 * N), state=np.where(number % 2, "sick", "well")
    )
    table.to_csv(tmp_path / "samples.csv", index=False)
    people = pd.DataFrame({"rat": [f"r{r}" for r in range(N)], "kg": np.arange(N) / 4})
    people.to_csv(tmp_path / "rats.tsv", sep="\t", index=False)
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 900, (3, 2 * N))
    pd.DataFrame(counts, GENES, table["id"]).to_csv(tmp_path / "counts.csv")
    return tmp_path


def built(folder, units="counts", columns=COLUMNS, **options):
    names = {f"out_{name}": folder / name for name in ("expression", "donors", "filtering")}
    build_cohort(
        folder / "counts.csv", folder / "samples.csv", folder / "rats.tsv",
        columns=columns, units=units, min_samples_per_tissue=1, **names, **options,
    )  # fmt: skip
    return Cohort.read(folder / "expression", folder / "donors")


def test_covariates_are_the_donors_where_they_tell_of_them(folder):
    cohort = built(folder)
    assert list(cohort.donors) == ["kg", "diet", "ill"]
    assert list(cohort.samples) == ["pool"]
    assert set(cohort.donors["diet"]) == {"diet=0", "diet=1", "diet=2"}
    assert cohort.donors["ill"].tolist() == [int(name[1:]) % 2 for name in cohort.donors.index]
    table = covariate_table(cohort, np.arange(2 * N), ("sex", "kg", "diet", "pool"))
    kinds = {c["covariate"]: c["kind"] for c in CovariateDesign.fit(table).columns}
    assert kinds == {"kg": "value", "diet": "level", "pool": "value"}


def test_own_covariates_reach_models_traits_and_contrasts():
    config = {
        "cohort": "rats",
        "inputs": {"expression": "e.csv", "sample_attributes": "s.csv", "units": "zscores"},
        "columns": {
            "covariates": {"kg": {"use": ["covariate", "trait"]}, "ill": {"use": ["status"]}}
        },
        "source": "liver",
        "filters": {"gene_biotypes": None},
        "models": {
            "covariates": {"class": "covariates"},
            "mine": {"class": "covariates", "parameters": {"covariate_columns": ["sex"]}},
            "mtm": {"class": "mtm"},
        },
    }  # fmt: skip
    check_config(config)
    of = {name: model["parameters"] for name, model in config["models"].items()}
    assert of["covariates"]["covariate_columns"][-1] == "kg"
    assert of["mine"]["covariate_columns"] == ["sex"]
    assert of["mtm"]["covariates"] == []
    assert of["mtm"]["target_scale"] == "log2_z"
    assert config["traits"]["columns"][-1] == "kg"
    assert config["disease"]["statuses"] == ["ill"]


def test_counts_become_tpm_by_lengths_and_cpm_without(folder):
    counts = pd.read_csv(folder / "counts.csv", index_col=0)
    cpm = built(folder)
    of_sample = counts[cpm.samples.index].to_numpy(float).T
    np.testing.assert_allclose(
        cpm.expr_tpm, 1e6 * of_sample / of_sample.sum(1, keepdims=True), rtol=1e-5
    )
    assert anndata.read_h5ad(folder / "expression").uns["units"] == "CPM"
    exons = [("G1", 1, 100), ("G1", 51, 150), ("G2", 1, 1000), ("G3", 1, 10), ("G3", 21, 30)]
    gtf = [
        f'1\tx\t{kind}\t{start}\t{end}\t.\t+\t.\tgene_id "{gene}"; gene_type "a";'
        for gene, start, end in exons
        for kind in (("gene", "exon") if start == 1 else ("exon",))
    ]
    (folder / "genes.gtf").write_text("\n".join(gtf) + "\n")
    options = {"gene_model": folder / "genes.gtf", "gene_biotypes": None}
    tpm = built(folder, **options)
    rate = of_sample / np.array([150, 1000, 20])
    np.testing.assert_allclose(tpm.expr_tpm, 1e6 * rate / rate.sum(1, keepdims=True), rtol=1e-5)
    assert anndata.read_h5ad(folder / "expression").uns["units"] == "TPM"
    # Sums are over all genes of the file, whatever is kept.
    (folder / "kept.txt").write_text("G1\nG3\n")
    some = built(folder, gene_list=folder / "kept.txt", **options)
    np.testing.assert_array_equal(some.expr_tpm, tpm.expr_tpm[:, [0, 2]])


def test_what_is_not_said_is_not_made_up(folder):
    (folder / "rats.tsv").write_text("rat\nr0\n")
    assert list(read_subject_phenotypes(folder / "rats.tsv", COLUMNS)) == []
    plain = Columns(sample_id="id", donor="rat", tissue="organ")
    samples = read_sample_attributes(folder / "samples.csv", plain)
    assert list(samples) == ["donor", "tissue"]
    assert people_of(samples, plain, "s").columns.empty


@pytest.mark.parametrize(
    ("column", "words"),
    [("pool", "'NA' .and 1 further row.; expected a number, or nothing"),
     ("state", "column state: found 'NA'; expected an empty field where")],
)  # fmt: skip
def test_a_word_for_what_is_not_known_is_no_level_and_no_control(folder, column, words):
    table = pd.read_csv(folder / "samples.csv", dtype=str)
    table.loc[[1, 4], column] = "NA"
    table.to_csv(folder / "samples.csv", index=False)
    with pytest.raises(InputError, match=words):
        read_sample_attributes(folder / "samples.csv", COLUMNS)


def test_samples_that_are_left_out_contradict_nobody(folder):
    table = pd.read_csv(folder / "samples.csv")
    table = table.assign(gender=np.where(table["organ"] == "lung", "M", "F"))
    table.to_csv(folder / "samples.csv", index=False)
    columns = COLUMNS.with_(sex="gender")
    with pytest.raises(InputError, match="column gender of donor r0"):
        built(folder, columns=columns)
    cohort = built(folder, columns=columns, exclude_tissues=("lung",), min_samples_per_donor=1)
    assert set(cohort.donors["sex"]) == {2}


def test_a_donor_of_two_sexes_is_refused(folder):
    columns = COLUMNS.with_(sex="organ")
    table = pd.read_csv(folder / "samples.csv").replace({"organ": {"liver": "F", "lung": "M"}})
    table.to_csv(folder / "samples.csv", index=False)
    samples = read_sample_attributes(folder / "samples.csv", columns)
    with pytest.raises(InputError, match="column organ of donor r0: found 2 and 1"):
        people_of(samples, columns, "samples.csv")
