"""A model taken elsewhere, with a planted batch shift and without, beside its cross-validation."""

import anndata
import numpy as np
import pandas as pd
import pytest
from elsewhere import BLOOD, Elsewhere, fitted, joined
from scripts import run_script

from mtm.analyses.accuracy.external import score_external
from mtm.analyses.accuracy.tables import external_headline
from mtm.errors import CannotDo
from mtm.io import read_parquet, read_tsv, write_tsv
from mtm.models.donors import DonorsKey
from mtm.models.requests import held_out_requests, predict_in_blocks
from mtm.predictions.files import write_predictions
from mtm.predictions.held_out import read_held_out
from mtm.settings.accuracy import AccuracySettings
from mtm.vocabulary import ACCURACY_KEY, HEADLINE_MEASURES, MEAN_OF_TISSUES

QUICK = AccuracySettings(permutations=60, bootstraps=40)
N_TRAINING, N_EXTERNAL = 120, 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def training(folder):
    return Elsewhere(folder, "A", N_TRAINING, seed=2)


def own_predictions(training, folder, **parameters):
    """Write two folds of the training cohort, predicted by models that have not seen them."""
    cohort, fold = training.cohort(), np.arange(N_TRAINING) % 2
    donors = training.donors["donor"]
    write_tsv(pd.DataFrame({"donor": donors, "fold": fold}), folder / "own.tsv")
    paths = []
    for k in (0, 1):
        model = fitted(cohort, donors=donors[fold != k], **parameters)
        requests, rows = held_out_requests(cohort, donors[fold == k], BLOOD)
        blocks = predict_in_blocks(model, cohort, requests)
        paths.append(folder / f"own{k}.h5ad")
        write_predictions(
            paths[-1], blocks, cohort, requests, rows, model="ridge", scale=model.scale, fold=k
        )
    return paths


def internal(training, folder, **parameters):
    paths = own_predictions(training, folder, **parameters)
    return read_held_out(training.files[0], folder / "own.tsv", paths, BLOOD)


def scores(folder, training, external, **parameters):
    paths, _ = joined(folder, training.people(), external.people())
    return score_external(
        fitted(training.cohort(), **parameters),
        "ridge",
        *paths,
        {alignment: folder / f"{alignment}.h5ad" for alignment in ("none", "log2")},
        internal(training, folder, **parameters),
        external.name,
        QUICK,
        learned=True,
    )


def quoted(result):
    """Gene-wise headline by alignment."""
    table = external_headline(result.by_tissue)
    table = table[(table[ACCURACY_KEY] == list(HEADLINE_MEASURES[0])).all(axis=1)]
    return table.set_index("alignment")


@pytest.mark.slow
def test_people_from_the_same_laboratory_are_told_as_well_as_held_out_ones(folder, training):
    same = Elsewhere(folder, "B", N_EXTERNAL, seed=3)
    found = scores(folder, training, same)
    rho = quoted(found)["mean_rho"]
    assert rho["cross-validation"] > 0.8
    assert abs(rho["none"] - rho["log2"]) < 0.02
    assert abs(rho["none"] - rho["cross-validation"]) < 0.02
    for table, rows in (
        (found.by_tissue, 3 * 2 * 4 * 3),
        (found.gene_wise, 3 * 2 * 2 * 40),
    ):
        assert list(table.columns[:2]) == ["cohort", "alignment"]
        assert set(table["cohort"]) == {"B"}
        assert len(table) == rows
    # One fold: its correlation is that of the donors together, but for the clip of z-scores.
    genes = found.gene_wise[found.gene_wise["alignment"] == "none"]
    np.testing.assert_allclose(genes["rho_per_fold"], genes["rho_pooled_z"], atol=1e-6)
    pairs = (same.obs["tissue"] == "Liver").sum()
    liver = found.by_tissue[found.by_tissue["tissue"] == "Liver"]
    assert (liver.loc[liver["alignment"] == "log2", "n_samples"] == pairs).all()


@pytest.mark.slow
def test_a_shift_of_the_laboratory_is_undone_by_alignment(folder, training):
    other = Elsewhere(folder, "C", N_EXTERNAL, seed=3, shift=2.0)
    on_log2, on_tpm = (
        quoted(scores(folder, training, other, scale=scale))["mean_rho"]
        for scale in ("log2_z", "tpm_z")
    )
    assert on_log2["log2"] > on_log2["none"]
    assert on_tpm["log2"] > on_tpm["none"] + 0.1
    for rho in (on_log2, on_tpm):
        assert abs(rho["log2"] - rho["cross-validation"]) < 0.05


@pytest.mark.slow
def test_the_cross_validation_is_scored_in_the_tissues_of_the_external_people(folder, training):
    one = Elsewhere(folder, "D", N_EXTERNAL, seed=4, tissues=("Lung", BLOOD))
    found = scores(folder, training, one)
    assert set(found.by_tissue["tissue"]) == {"Lung", MEAN_OF_TISSUES}
    assert quoted(found)["n_tissues"].eq(1).all()


def test_tissues_that_no_donor_of_the_cohort_is_told_stand_alone(folder, training):
    paths, _ = joined(folder, training.people(), Elsewhere(folder, "F", N_EXTERNAL, 3).people())
    nobody = internal(training, folder).of_tissues([])
    given = fitted(training.cohort()), "ridge", *paths, {"none": folder / "none.h5ad"}
    table = score_external(*given, nobody, "F", QUICK, learned=True).by_tissue
    assert set(table["alignment"]) == {"none"}
    assert table["mean_rho"].notna().all()


@pytest.mark.slow
def test_scripts_hold_out_a_site_and_write_the_tables(folder, training, tmp_path):
    expression, donors = map(str, training.files)
    joined_files = {
        name: str(tmp_path / f"{name}.{'h5ad' if name == 'expression' else 'tsv'}")
        for name in ("expression", "donors", "folds", "tissues")
    }
    run_script(
        "join_external", tmp_path / "log",
        input={"expression": expression, "donors": donors},
        output=joined_files,
        params={"part": {"hold_out": "center", "values": ["C1"]}, "source": BLOOD,
                "min_donors": 5, "min_gene_overlap": 0.8},
    )  # fmt: skip
    at_site = training.obs.loc[training.obs["center"] == "C1", "donor"].unique()
    others = training.donors["donor"][~training.donors["donor"].isin(at_site)]
    key = DonorsKey.write(tmp_path / "donors.key")
    fitted(training.cohort(), donors=others).save(tmp_path / "fold0.safetensors", key)
    own = own_predictions(training, folder)
    output = {
        "none": str(tmp_path / "none.h5ad"),
        "gene_wise": str(tmp_path / "gene_wise.parquet"),
        "sample_wise": str(tmp_path / "sample_wise.parquet"),
        "by_tissue": str(tmp_path / "by_tissue.tsv"),
    }
    run_script(
        "score_external", tmp_path / "log",
        wildcards={"model": "ridge", "evaluation": "site"},
        input={"expression": expression, "folds": str(folder / "own.tsv"),
               "predictions": list(map(str, own)), "bundle": str(tmp_path / "fold0.safetensors"),
               "donors_key": str(tmp_path / "donors.key"),
               **{f"external_{name}": path for name, path in joined_files.items()}},
        output=output,
        params={"source": BLOOD, "scaling": {}, "alignments": ["none"],
                "accuracy": QUICK.model_dump(), "learned": True},
    )  # fmt: skip
    scored = pd.read_parquet(output["sample_wise"])
    scored = scored[(scored["alignment"] == "none") & (scored["scale"] == "log2_z")]
    assert set(scored["donor"]) <= set(at_site)
    assert (
        len(scored)
        == (training.obs["donor"].isin(at_site) & (training.obs["tissue"] != BLOOD)).sum()
    )
    written = {name: str(tmp_path / f"{name}.tsv") for name in ("summary", "headline", "all")}
    run_script(
        "summarise_external", tmp_path / "log",
        input={"by_tissue": [output["by_tissue"]], "tissues": [joined_files["tissues"]]},
        output={"summary": written["summary"], "headline": written["headline"],
                "tissues": written["all"]},
        params={"evaluations": ["site"]},
    )  # fmt: skip
    quoted_rows = pd.read_csv(written["headline"], sep="\t")
    assert list(quoted_rows["alignment"]) == ["none"] * 3 + ["cross-validation"] * 3
    assert (quoted_rows["n_tissues"] == 2).all()
    assert list(pd.read_csv(written["all"], sep="\t")["cohort"]) == ["site", "site"]


def test_people_of_whom_nothing_can_be_scored_are_passed_by(folder, training, tmp_path):
    """Rules go on with a reason in place of their tables, as long as any people are left."""
    few = Elsewhere(folder, "F", 4, seed=5)
    paths, _ = joined(folder, training.people(), few.people())
    bundle = tmp_path / "all.safetensors"
    key = DonorsKey.write(tmp_path / "donors.key")
    fitted(training.cohort(), "train_mean").save(bundle, key)
    own = own_predictions(training, folder)
    output = {name: str(tmp_path / f"{name}.tsv") for name in ("gene_wise", "by_tissue")}
    output |= {"none": str(tmp_path / "none.h5ad"), "sample_wise": str(tmp_path / "s.parquet")}
    names = ("external_expression", "external_donors", "external_folds")
    run_script(
        "score_external", tmp_path / "log",
        wildcards={"model": "train_mean", "evaluation": "few"},
        input={"expression": str(training.files[0]), "folds": str(folder / "own.tsv"),
               "predictions": list(map(str, own)), "bundle": str(bundle),
               "donors_key": str(tmp_path / "donors.key"),
               **dict(zip(names, map(str, paths), strict=True))},
        output=output,
        params={"source": BLOOD, "scaling": {}, "alignments": ["none"],
                "accuracy": QUICK.model_dump(), "learned": False},
    )  # fmt: skip
    assert anndata.read_h5ad(output["none"]).shape == (0, 40)
    with pytest.raises(CannotDo, match="accuracy for few left out: none of its tissues"):
        read_parquet(output["sample_wise"])

    headline = dict(zip(ACCURACY_KEY, HEADLINE_MEASURES[0], strict=True))
    lab = {
        "cohort": "lab",
        "alignment": "none",
        "model": "ridge",
        "tissue": "Lung",
        "mean_rho": 0.1,
    }
    write_tsv(pd.DataFrame([lab | headline]), tmp_path / "lab.tsv")
    for tables in ([output["by_tissue"]], [output["by_tissue"], str(tmp_path / "lab.tsv")]):
        names = ("summary", "headline", "tissues")
        written = {name: str(tmp_path / f"{len(tables)}_{name}.tsv") for name in names}
        run_script(
            "summarise_external", tmp_path / "log",
            input={"by_tissue": tables, "tissues": [str(folder / "tissues.tsv")]},
            output=written,
            params={"evaluations": ["few"]},
        )  # fmt: skip
        assert set(read_tsv(written["tissues"])["status"]) == {"skipped"}
    assert list(read_tsv(written["summary"])["cohort"]) == ["lab"]
    with pytest.raises(CannotDo, match="accuracy for few: none of its tissues"):
        read_tsv(tmp_path / "1_headline.tsv")
