"""Cohorts as strangers bring them, from `mtm init` to the page."""

import os

import pandas as pd
import pytest
import strangers
import yaml
from in_process import run_all

from mtm.cli import main

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

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
        assert len(text.splitlines()) <= 20 and "simulation" not in text
        config = yaml.safe_load(text)
        config["models"]["joint"]["parameters"] = JOINT
        run_all(config | CHEAP, folder)
        done[name] = folder / "results" / name
        return done[name]

    return take


def skipped(results):
    return pd.read_csv(results / "tables/skipped.tsv", sep="\t").set_index("analysis")["reason"]


def headline(results):
    table = pd.read_csv(results / "accuracy/headline.tsv", sep="\t")
    return table[(table["scale"] == "log2_z") & (table["level"] == "gene_wise")].set_index("model")


def test_counts_of_rats_without_blood(taken):
    results = taken("rats")
    filtering = pd.read_csv(results / "cohort/filtering.tsv", sep="\t")
    assert "TPM, from counts and lengths of genes" in filtering["detail"].iloc[0]
    donors = pd.read_csv(results / "cohort/donors.tsv", sep="\t")
    assert list(donors) == ["donor", "sex"] and set(donors["sex"]) == {1, 2}
    rho = headline(results)["mean_rho"]
    assert rho["ridge"] > 0.3 > abs(rho["covariates"])
    reasons = skipped(results)
    assert "no disease" not in reasons
    assert "donors have no column age" in set(reasons) or reasons.str.contains("no column age").any()
    page = (results / "index.html").read_text()
    assert "Kidney" in page and "blood" not in page.lower().split("<script")[0]
