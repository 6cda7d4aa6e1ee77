"""A cohort that gives most analyses too little: what is left out, and that all else goes on."""

import numpy as np
import pandas as pd
import pytest
from little import MODELS, run_little

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def tables(little_run):
    return little_run / "results/little"


def test_every_file_follows_the_umask(tables):
    # The key of training donors is its owner's alone.
    modes = {
        oct(path.stat().st_mode & 0o777): path
        for path in tables.rglob("*")
        if path.is_file() and path.name != "donors.key"
    }
    suffixes = {path.suffix for path in tables.rglob("*") if path.is_file()}
    assert suffixes >= {".tsv", ".parquet", ".h5ad", ".safetensors", ".png", ".pdf", ".html"}
    assert set(modes) == {"0o640"}, modes


def test_what_cannot_be_done_is_listed_with_reason_and_remedy(tables):
    skipped = pd.read_csv(tables / "tables/skipped.tsv", sep="\t")
    reasons = skipped.set_index("analysis")["reason"]
    for analysis in ("similarity of tissues", "decoding paths"):
        assert reasons[analysis] == "2 target tissues, fewer than 3"
    assert reasons["accuracy beyond covariates"] == "no covariate varies between donors"
    assert "no tissue has 50 cases" in reasons["differential expression and disease status"]
    assert "groups of 3 genes at most" in reasons["expression level of predictable genes"]
    assert "one level" in reasons["traits/agreement"].iloc[0]
    assert "fewer than 5" in reasons["external/tissues of few"]
    assert "none of its tissues" in reasons["accuracy for people from elsewhere"]
    models = skipped[skipped["analysis"] == "fit of a model"].set_index("model")["reason"]
    assert models["covariates"] == "no covariate varies between training donors"
    assert models["mlp"] == "too few training pairs in 2 tissues"
    assert "transfer to an external cohort" in reasons
    assert skipped[["analysis", "reason", "remedy"]].notna().all(None)


def test_everything_else_goes_on(tables):
    summary = pd.read_csv(tables / "accuracy/summary.tsv", sep="\t")
    assert set(summary["model"]) == set(MODELS)
    rows = summary[summary["convention"].eq("per_fold")].set_index("model")
    assert (rows.loc[["covariates", "mlp"], "mean_rho"] == 0).all()
    assert (rows.loc["ridge", "mean_rho"] != 0).all()
    assert len(pd.read_csv(tables / "representations/codes_summary.tsv", sep="\t"))
    drawn = {path.stem for path in (tables / "figures").glob("*.png")}
    wanted = "fig2a fig3b fig_s8 fig_s9 fig_s12 fig3cd fig_s15 external"
    assert set(wanted.split()) <= drawn


def test_one_covariate_alone_is_enough(tmp_path):
    figures = [f"results/little/figures/{name}.png" for name in ("fig2a", "fig_s13")]
    run_little(tmp_path, varying=["AGE"], targets=["tables", *figures])
    tables = tmp_path / "results/little"
    skipped = pd.read_csv(tables / "tables/skipped.tsv", sep="\t")
    assert "accuracy beyond covariates" not in set(skipped["analysis"])
    assert skipped.loc[skipped["analysis"] == "fit of a model", "model"].tolist() == ["mlp"]
    headline = pd.read_csv(tables / "accuracy/headline.tsv", sep="\t").set_index("model")
    assert (headline.loc["covariates", "mean_rho"] != 0).all()
    for model in MODELS:
        rows = pd.read_csv(tables / f"accuracy/partial/{model}.tsv", sep="\t")
        rows = rows[rows["adjustment"] == "covariates"]
        assert (rows["n_covariates"] == 1).all()
        assert np.isfinite(rows["mean_rho"]).all()
    assert all((tmp_path / figure).stat().st_size for figure in figures)
