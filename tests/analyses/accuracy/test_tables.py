from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from cohorts import SmallCohort, noisy_predictions
from scripts import Named, load_script

from mtm.analyses.accuracy.tables import join_summaries
from mtm.errors import InputError
from mtm.io import read_tsv
from mtm.vocabulary import MEAN_OF_TISSUES

GENE_WISE = (
    "scale tissue gene_id n rho_per_fold rho_pooled_z rho_pooled_raw p q "
    "predictable_paper predictable"
).split()
SAMPLE_WISE = "scale tissue sample_id donor fold n_genes rho".split()
BY_TISSUE = (
    "model scale level convention tissue n_samples n_genes mean_rho ci_low ci_high null_low "
    "null_high n_left_out n_predictable n_predictable_paper"
).split()
SPREAD = ["n_members", "member_sd", "member_min", "member_max"]
# No average at all: what matters here is whose rows are set beside whose.
MEMBERS = {"bad": ["good", "bad"]}
ACCURACY = {
    "predictable_rho": 0.3,
    "predictable_q": 0.05,
    "permutations": 30,
    "bootstraps": 30,
    "min_donors_per_fold": 5,
    "null_genes": 2000,
    "bootstrap_genes": 2000,
    "seed": 0,
}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Run both scripts for two models, one twice as noisy as the other."""
    cohort = SmallCohort(tmp_path_factory.mktemp("tables"))
    cohort.write()
    results = {}
    for model, noise in (("good", 1.0), ("bad", 4.0)):
        files = cohort.write_predictions(noisy_predictions(cohort, noise=noise), "log2_z")
        output = Named(
            {
                name: str(cohort.folder / f"{name}.{model}{suffix}")
                for name, suffix in (
                    ("gene_wise", ".parquet"),
                    ("sample_wise", ".parquet"),
                    ("by_tissue", ".tsv"),
                    ("draws", ".parquet"),
                )
            }
        )
        load_script("score_model").main(
            SimpleNamespace(
                input=Named(
                    expression=str(cohort.folder / "expression.h5ad"),
                    folds=str(cohort.folder / "folds.tsv"),
                    predictions=[str(path) for path in files],
                ),
                params=Named(
                    accuracy=ACCURACY,
                    learned=True,
                    scaling={"sd_rule": "unit_below_one", "log2_clip": 5.0},
                    source="Whole Blood",
                ),
                wildcards=SimpleNamespace(model=model),
                output=output,
            )
        )
        results[model] = output
    summary, top = str(cohort.folder / "summary.tsv"), str(cohort.folder / "headline.tsv")
    load_script("summarise_accuracy").main(
        SimpleNamespace(
            input=Named(by_tissue=[results[model].by_tissue for model in ("good", "bad")]),
            params=Named(models=["good", "bad"], members=MEMBERS, cohort="small"),
            output=Named(summary=summary, headline=top),
        )
    )
    return results, read_tsv(summary), read_tsv(top)


def test_files_have_the_columns_of_the_contract(tables):
    results, summary, top = tables
    gene_wise = pd.read_parquet(results["good"].gene_wise)
    assert list(gene_wise) == GENE_WISE
    assert len(gene_wise) == 2 * 3 * 12
    assert gene_wise[["predictable", "predictable_paper"]].dtypes.eq(bool).all()
    sample_wise = pd.read_parquet(results["good"].sample_wise)
    assert list(sample_wise) == SAMPLE_WISE
    assert not sample_wise.duplicated(["scale", "sample_id"]).any()
    by_tissue = read_tsv(results["good"].by_tissue)
    assert list(by_tissue) == BY_TISSUE
    assert len(by_tissue) == 2 * 4 * 4
    draws = pd.read_parquet(results["good"].draws)
    assert list(draws) == ["draw", "ratio", "mean_rho", "scale", "convention", "tissue"]
    assert len(draws) == 2 * 3 * 3 * ACCURACY["bootstraps"]
    assert list(summary) == ["cohort", *BY_TISSUE, *SPREAD]
    assert list(summary["model"].unique()) == ["good", "bad"]
    assert len(top) == 2 * 3


def test_means_are_over_tissues(tables):
    results, summary, top = tables
    keys = ["model", "scale", "level", "convention"]
    for key, part in summary.groupby(keys):
        is_mean = part["tissue"] == MEAN_OF_TISSUES
        mean, tissues = part[is_mean].iloc[0], part[~is_mean]
        assert len(tissues) == 3
        assert mean["mean_rho"] == pytest.approx(tissues["mean_rho"].mean())
        assert mean["n_samples"] == tissues["n_samples"].sum()
        if key[2] == "gene_wise":
            counts = ["n_predictable", "n_predictable_paper"]
            np.testing.assert_allclose(mean[counts].astype(float), tissues[counts].mean())
        else:
            assert tissues["n_predictable"].isna().all()
        widths = tissues["ci_high"] - tissues["ci_low"]
        assert 0 < mean["ci_high"] - mean["ci_low"] < widths.max()
    sample_wise = pd.read_parquet(results["bad"].sample_wise)
    expected = sample_wise.groupby(["scale", "tissue"])["rho"].mean()
    found = summary[(summary["model"] == "bad") & (summary["level"] == "sample_wise")]
    found = found[found["tissue"] != MEAN_OF_TISSUES].set_index(["scale", "tissue"])["mean_rho"]
    np.testing.assert_allclose(found, expected[found.index])


def test_headline_names_the_better_model(tables):
    _, _, top = tables
    assert (top["n_tissues"] == 3).all()
    assert list(zip(top["scale"], top["level"], top["convention"], strict=True)) == [
        ("log2_z", "gene_wise", "per_fold"),
        ("log2_z", "gene_wise", "per_fold"),
        ("log2_z", "sample_wise", "per_sample"),
        ("log2_z", "sample_wise", "per_sample"),
        ("tpm_z", "gene_wise", "pooled_raw"),
        ("tpm_z", "gene_wise", "pooled_raw"),
    ]
    wide = top.pivot(index=["scale", "level"], columns="model", values="mean_rho")
    assert (wide["good"] > wide["bad"] + 0.1).all()
    intervals = top[["ci_low", "ci_high", "null_low", "null_high"]]
    assert intervals.notna().all(axis=None)


def test_a_model_made_of_others_tells_how_far_apart_they_are(tables):
    _, summary, top = tables
    assert summary.loc[summary["model"] == "good", SPREAD].isna().all(axis=None)
    key = ["scale", "level", "convention", "tissue"]
    rho = summary.pivot(index=key, columns="model", values="mean_rho")
    mine = summary[summary["model"] == "bad"].set_index(key).loc[rho.index]
    assert (mine["n_members"] == 2).all()
    np.testing.assert_allclose(mine["member_sd"], np.abs(rho["good"] - rho["bad"]) / np.sqrt(2))
    np.testing.assert_allclose(mine["member_min"], rho.min(axis=1))
    np.testing.assert_allclose(mine["member_max"], rho.max(axis=1))
    assert (top["n_members"].notna() == (top["model"] == "bad")).all()


def test_a_table_under_another_name_is_refused(tables):
    table = read_tsv(tables[0]["good"].by_tissue)
    with pytest.raises(InputError, match="model bad alone"):
        join_summaries([table], ["bad"], "small")
