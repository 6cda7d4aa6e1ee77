"""What a configuration names and its cohort has not, told before any job."""

import numpy as np
import pandas as pd
import pytest

from mtm.errors import InputError
from mtm.pipeline.input_check import check_loaded

TISSUES = ("Blood", "Liver", "Lung")


@pytest.fixture
def config(tmp_path):
    """Write 24 donors with three tissues, two centers and two diseases; return what reads them."""
    rows = [(f"P{i:02d}", tissue) for i in range(24) for tissue in TISSUES]
    samples = pd.DataFrame(rows, columns=["SUBJID", "SMTSD"])
    samples.insert(0, "SAMPID", [f"S{i:03d}" for i in range(len(rows))])
    samples["SMCENTER"] = np.where(samples["SUBJID"] < "P12", "C1", "B1")
    samples["SMPTHNTS"] = np.where(samples["SUBJID"] < "P06", "fibrosis", "clear")
    donors = pd.DataFrame({"SUBJID": sorted(set(samples["SUBJID"]))})
    controlled = donors.assign(
        BMI=np.arange(24) + 20, MHHTN=np.arange(24) % 2, MHT2D=np.arange(24) % 3 // 2
    )
    values = np.exp2(np.random.default_rng(0).uniform(2, 9, (20, len(rows))))
    tables = {
        "expression": pd.DataFrame(values, [f"G{i}" for i in range(20)], samples["SAMPID"]),
        "sample_attributes": samples.set_index("SAMPID"),
        "subject_phenotypes": donors.assign(SEX=np.arange(24) % 2 + 1).set_index("SUBJID"),
        "controlled_phenotypes": controlled.set_index("SUBJID"),
    }
    inputs = {role: str(tmp_path / f"{role}.tsv") for role in tables}
    for role, table in tables.items():
        table.to_csv(inputs[role], sep="\t", index_label=table.index.name or "gene")
    return {
        "cohort": "c",
        "inputs": inputs | {"units": "tpm"},
        "source": "Blood",
        "filters": {"gene_biotypes": None, "min_samples_per_tissue": 1},
        "folds": {"scheme": "balanced", "n_folds": 2},
        "models": {"ridge": {"class": "ridge"}},
    }


def site(*values, column="center"):
    return {"evaluation": {"external": {"x": {"hold_out": column, "values": list(values)}}}}


HELD_OUT = "evaluation.external.x"


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        (site("C9"), f"{HELD_OUT}.values", "'C9', which no sample has in center.*B1, C1"),
        (site("C1", "B1"), f"{HELD_OUT}.values", "24 of 24 donors held out.*left to train on"),
        (site("Blood", column="tissue"), f"{HELD_OUT}.values", "24 of 24 donors held out"),
        (site("P01", column="donor"), f"{HELD_OUT}.hold_out", "'donor'.*one of tissue, center"),
        (site("C1", column="centre"), f"{HELD_OUT}.hold_out", "Did you mean 'center'"),
        ({"traits": {"columns": ["age", "BMII"]}}, "traits.columns", "Did you mean 'BMI'"),
        ({"traits": {"columns": ["center"]}}, "traits.columns", "'center'.*column of cohort/don"),
        (
            {"disease": {"medical_history": ["MHHTX"]}},
            "disease.medical_history",
            "Did you mean 'MHHTN'",
        ),
        ({"growth": {"donors": [500, 12]}}, "growth.donors", "500, 12.*number below 12"),
    ],
)
def test_what_the_cohort_has_not_is_told_before_any_job(config, changes, key, words):
    with pytest.raises(InputError, match=words) as caught:
        check_loaded(config | changes)
    assert [problem.where for problem in caught.value.parts] == [f"config key {key}"]


@pytest.mark.parametrize(
    "changes",
    [
        site("C1"),
        site(1, column="sex"),
        {"traits": {"columns": ["hardy", "age", "BMI"]}},
        {"disease": {"medical_history": ["MHHTN"]}},
        {"growth": {"donors": [6, 500]}},
        {"models": {"of": {"class": "joint", "sources": ["Liver", "Lung"]}}},
        {"transfer": {"contrast": "MHXYZ"}},
    ],
)
def test_what_the_cohort_has_is_no_problem(config, changes):
    check_loaded(config | changes)


def test_without_the_controlled_file_the_plan_leaves_traits_out(config):
    del config["inputs"]["controlled_phenotypes"]
    check_loaded(config | {"traits": {"columns": ["BMII"]}})


@pytest.mark.parametrize("contrast", ["MHT2DD", "fibrosis"])
def test_contrasts_of_external_cohorts_are_those_of_the_cohort(config, tmp_path, contrast):
    path = tmp_path / "patients.tsv"
    drawn = np.random.default_rng(1).uniform(1, 9, (20, 12))
    values = pd.DataFrame(drawn, [f"G{i}" for i in range(20)])
    values.columns = [f"{'case' if i % 2 else 'control'}{i}" for i in range(12)]
    values.to_csv(path, sep="\t", index_label="gene")
    groups = {"field": "sample", "case": "case*", "control": "control*"}
    external = {"expression": str(path), "units": "tpm", "group": groups, "contrast": contrast}
    config["external"] = {"x": external}
    with pytest.raises(InputError, match=r"a contrast of the cohort \(MHHTN, MHT2D\)") as caught:
        check_loaded(config)
    assert caught.value.where == "config key external.x.contrast"
    config["external"]["x"]["contrast"] = "MHT2D"
    check_loaded(config)


def test_every_fold_has_someone_whom_a_list_of_tissues_tells(config):
    samples = pd.read_csv(config["inputs"]["sample_attributes"], sep="\t")
    # One donor has a Liver: it tells in one of two folds.
    samples.loc[(samples["SMTSD"] == "Liver") & (samples["SUBJID"] > "P01"), "SMTSD"] = "Colon"
    samples.to_csv(config["inputs"]["sample_attributes"], sep="\t", index=False)
    models = {"sp": {"class": "joint", "sources": ["Liver"]}}
    check_loaded(config | {"models": models})
    samples.loc[(samples["SMTSD"] == "Lung") & (samples["SUBJID"] < "P01"), "SMTSD"] = "Colon"
    # Beside the source it is the one tissue of its donor, whom it then tells nothing of.
    alone = (samples["SUBJID"] == "P00") & (samples["SMTSD"] != "Liver")
    samples = samples[~(alone & (samples["SMTSD"] == "Colon"))]
    samples.to_csv(config["inputs"]["sample_attributes"], sep="\t", index=False)
    expression = pd.read_csv(config["inputs"]["expression"], sep="\t", index_col=0)
    expression[samples["SAMPID"]].to_csv(config["inputs"]["expression"], sep="\t")
    with pytest.raises(InputError, match="Liver, which tell none of 12 held-out") as caught:
        check_loaded(config | {"models": models})
    assert caught.value.where == "config key models.sp.sources"
    check_loaded(config | {"models": {"sp": {"class": "joint", "sources": ["Liver", "Blood"]}}})
