"""Cohorts as strangers bring them, from `mtm init` to the page."""

import os
import re

import anndata
import numpy as np
import pandas as pd
import pytest
import strangers
import yaml
from in_process import run_all

from mtm.cli import main
from mtm.models.registry import load

pytestmark = pytest.mark.workflow

FEW = {"permutations": 19}
# What a test has no time for; nothing that a cohort's own configuration must hold.
CHEAP = {
    "training": {"device": "cpu"},
    "disease": FEW,
    "traits": FEW | {"splits": 2},
    **dict.fromkeys(("accuracy", "representations"), FEW | {"bootstraps": 20}),
}
JOINT = {"n_factors": [2], "fits": 1, "iterations": 5, "noise_freedom": [0.0], "noise_rank": 2}


@pytest.fixture(scope="module")
def taken(tmp_path_factory):
    """Return the function that takes a cohort from its files to the page."""
    done = {}

    def take(name):
        if name in done:
            return done[name]
        folder = tmp_path_factory.mktemp(name)
        files, before = getattr(strangers, name)(folder), os.getcwd()
        os.chdir(folder)
        try:
            assert main(["init", name, *files.options]) == 0
        finally:
            os.chdir(before)
        text = (folder / f"{name}.yaml").read_text()
        assert len(text.splitlines()) <= 20
        assert "simulation" not in text
        config = yaml.safe_load(text)
        config["models"]["joint"]["parameters"] = JOINT
        config["folds"]["n_folds"] = 2
        run_all(config | CHEAP, folder)
        done[name] = folder / "results" / name
        return done[name]

    return take


def skipped(results):
    return pd.read_csv(results / "tables/skipped.tsv", sep="\t").set_index("analysis")["reason"]


def headline(results):
    table = pd.read_csv(results / "accuracy/headline.tsv", sep="\t")
    return table[(table["scale"] == "log2_z") & (table["level"] == "gene_wise")].set_index("model")


def words(results):
    """Return what the page says, its data and code left out."""
    page = (results / "index.html").read_text()
    return re.sub(r"<(script|style|pre).*?</\1>|<[^>]+>", " ", page, flags=re.S)


def test_counts_of_rats_without_blood(taken):
    results = taken("rats")
    filtering = pd.read_csv(results / "cohort/filtering.tsv", sep="\t")
    assert "TPM, from counts and lengths of genes" in filtering["detail"].iloc[0]
    donors = pd.read_csv(results / "cohort/donors.tsv", sep="\t")
    assert list(donors) == ["donor", "sex"]
    assert set(donors["sex"]) == {1, 2}
    rho = headline(results)["mean_rho"]
    assert rho["ridge"] > 0.5 > rho["covariates"]
    reasons = skipped(results)
    assert reasons["traits/agreement of age"].endswith("donors have no column age")
    assert reasons["similarity of tissues"] == "2 target tissues, fewer than 3"
    assert "told from Kidney" in words(results)
    # The name of the software, where the page says how to cite it.
    assert "blood" not in words(results).replace("from blood with MTM", "").lower()


def test_log_ratios_of_mice(taken):
    results = taken("mice")
    summary = pd.read_csv(results / "accuracy/summary.tsv", sep="\t")
    assert set(summary["scale"]) == {"log2_z"}
    assert headline(results)["mean_rho"]["ridge"] > 0.5
    reasons = skipped(results)
    assert "no TPM" in reasons["genes and their expression level"]
    assert {"similarity of tissues", "disease/contrasts"} <= set(reasons.index)
    values = anndata.read_h5ad(results / "cohort/expression.h5ad")
    assert values.uns["scale"] == "own"
    assert (values.X < 0).mean() > 0.4
    assert set(values.obs["batch"].astype(str)) == {"0", "1", "2"}
    assert "log2(1+TPM)" not in words(results)
    assert "values as given" in words(results)
    model = load(results / "models/ridge/fold0.safetensors")
    assert model.measure == "own"
    tissue = pd.Index(model.tissues).get_indexer(values.obs["tissue"].astype(str))
    expr_z = model.scaler.transform(values.X, tissue)
    kept = np.abs(expr_z) < 5
    back = model.scaler.inverse(expr_z, tissue)
    np.testing.assert_allclose(back[kept], values.X[kept], atol=1e-4)


def test_eleven_genes_of_a_pilot(taken):
    results = taken("pilot")
    assert (
        len(pd.read_parquet(results / "accuracy/gene_wise/ridge.parquet")["gene_id"].unique())
        == 11
    )
    donors = pd.read_csv(results / "cohort/donors.tsv", sep="\t")
    assert list(donors) == ["donor", "sex", "age_bracket", "age"]
    filtering = pd.read_csv(results / "cohort/filtering.tsv", sep="\t")
    assert "RPKM as they are: 11 genes" in filtering["detail"].iloc[0]
    assert headline(results)["mean_rho"]["ridge"] > 0.3


def test_strains_of_which_nothing_is_known(taken):
    results = taken("strains")
    assert list(pd.read_csv(results / "cohort/donors.tsv", sep="\t")) == ["donor"]
    assert skipped(results)["accuracy beyond covariates"] == "no covariate varies between donors"
    assert headline(results)["mean_rho"]["ridge"] > 0.3
