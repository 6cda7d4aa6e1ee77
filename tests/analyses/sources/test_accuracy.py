"""A small joint model scored from every choice of tissues, beside the headline's own numbers."""

import numpy as np
import pandas as pd
import pytest
from elsewhere import BLOOD, Elsewhere
from scripts import run_script

from mtm.analyses.accuracy.comparison import Scored, compare_accuracy
from mtm.analyses.accuracy.score import score_predictions
from mtm.analyses.sources.accuracy import score_sources
from mtm.analyses.sources.next_tissue import next_tissues
from mtm.errors import CannotDo
from mtm.io import write_tsv
from mtm.models.base import Training
from mtm.models.donors import DonorsKey
from mtm.models.registry import build, load
from mtm.models.requests import held_out_requests, predict_in_blocks
from mtm.predictions.files import write_predictions
from mtm.predictions.held_out import read_held_out
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.any_sources import AnySources
from mtm.vocabulary import (
    ACCURACY_KEY,
    ALL_OTHERS,
    AND,
    CHOICE_KEY,
    HEADLINE_MEASURES,
    MEAN_OF_TISSUES,
    NO_TISSUE,
    ONE_ADDED,
    ONE_TISSUE,
    SOME_ADDED,
    SOME_DRAWN,
)

N_DONORS = 120
ACCURACY = AccuracySettings(permutations=4, bootstraps=60)
SETTINGS = AnySources(accessible=("Lung", "Skin"), random=(1, 2))
JOINT = {"n_factors": 6, "noise_rank": 2, "fits": 1, "iterations": 20}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two folds of a joint model, and its held-out predictions from blood and from all others."""
    folder = tmp_path_factory.mktemp("sources")
    people = Elsewhere(folder, "A", N_DONORS, seed=2)
    cohort, fold_of = people.cohort(), np.arange(N_DONORS) % 2
    donors = people.donors["donor"]
    folds = folder / "folds.tsv"
    write_tsv(pd.DataFrame({"donor": donors, "fold": fold_of}), folds)
    files, key = {"source": [], "others": []}, DonorsKey.write(folder / "donors.key")
    for fold in (0, 1):
        model = build("joint", JOINT)
        training = cohort.of_donors(donors[fold_of != fold])
        model.fit(Training(training, cohort.tissue_index(BLOOD), device="cpu"))
        model.save(folder / f"{fold}.safetensors", key)
        for sources, paths in files.items():
            requests, rows = held_out_requests(cohort, donors[fold_of == fold], BLOOD, sources)
            blocks = predict_in_blocks(model, cohort, requests)
            paths.append(folder / f"{sources}{fold}.h5ad")
            write_predictions(
                paths[-1], blocks, cohort, requests, rows,
                model="joint", scale=model.scale, fold=fold,
            )  # fmt: skip
    held_out = {
        sources: read_held_out(people.files[0], folds, paths, BLOOD)
        for sources, paths in files.items()
    }
    return folder, people, cohort, held_out


@pytest.fixture(scope="module")
def models(made):
    key = DonorsKey.read(made[0] / "donors.key")
    return {fold: load(made[0] / f"{fold}.safetensors", key) for fold in (0, 1)}


@pytest.fixture(scope="module")
def table(made, models):
    _, _, cohort, held_out = made
    return score_sources(models, cohort, held_out["others"], "joint", BLOOD, SETTINGS, ACCURACY)


def rows_of(table, kind, given, level):
    key = (table["kind"] == kind) & (table["given"] == given) & (table["level"] == level)
    return table[key].set_index("tissue")


@pytest.mark.parametrize("level", ["gene_wise", "sample_wise"])
@pytest.mark.parametrize(
    ("sources", "kind", "given"), [("source", ONE_TISSUE, BLOOD), ("others", ALL_OTHERS, "")]
)
def test_the_headline_is_found_again(made, table, level, sources, kind, given):
    expected = score_predictions(made[3][sources], "joint", ACCURACY, device="cpu").by_tissue
    measure = next(measure for measure in HEADLINE_MEASURES if measure[1] == level)
    expected = expected[(expected[ACCURACY_KEY] == measure).all(axis=1)].set_index("tissue")
    found = rows_of(table, kind, given, level).loc[expected.index]
    for column in ("mean_rho", "ci_low", "ci_high"):
        np.testing.assert_allclose(found[column], expected[column], atol=1e-5)
    assert (found["n_samples"] == expected["n_samples"]).all()


def test_the_difference_is_that_of_two_models_on_the_same_samples(made, table):
    scored = {}
    for sources, held_out in made[3].items():
        scores = score_predictions(held_out, sources, ACCURACY, device="cpu")
        scored[sources] = Scored(scores.gene_wise, scores.sample_wise, held_out)
    pairs = compare_accuracy(scored, [("others", "source")], ACCURACY, device="cpu")
    for level in ("gene_wise", "sample_wise"):
        measure = next(measure for measure in HEADLINE_MEASURES if measure[1] == level)
        expected = pairs[(pairs[ACCURACY_KEY] == measure).all(axis=1)].set_index("tissue")
        found = rows_of(table, ALL_OTHERS, "", level).loc[expected.index]
        np.testing.assert_allclose(found["difference"], expected["difference"], atol=1e-5)
        np.testing.assert_allclose(found["difference_low"], expected["ci_low"], atol=1e-5)
        np.testing.assert_allclose(found["difference_high"], expected["ci_high"], atol=1e-5)
    alone = rows_of(table, ONE_TISSUE, BLOOD, "gene_wise")
    assert (alone["difference"] == 0).all()


def test_more_tissues_tell_more_and_none_least(table):
    mean = table[(table["tissue"] == MEAN_OF_TISSUES) & (table["level"] == "gene_wise")]
    mean = mean.set_index(["kind", "given"])
    rho = mean["mean_rho"]
    assert rho[NO_TISSUE, ""] < rho[SOME_DRAWN, "1"] < rho[SOME_DRAWN, "2"]
    assert rho[ALL_OTHERS, ""] > rho[ONE_TISSUE, BLOOD] + 0.005
    assert mean.loc[(ALL_OTHERS, ""), "difference_low"] > 0
    assert (mean["difference_low"] < mean["difference_high"])[mean["difference"] != 0].all()
    # Lung is the target of one of the two, and skin is not in the cohort.
    added = rows_of(table, SOME_ADDED, f"{BLOOD}{AND}Lung", "gene_wise")
    assert list(added.index) == ["Liver", MEAN_OF_TISSUES]
    assert (added["difference"] > 0).all()


def test_who_lacks_what_is_given_is_compared_with_nobody(made, table):
    cohort = made[2]
    rows = cohort.row_of()
    lung, liver = (rows[:, cohort.tissue_index(name)] >= 0 for name in ("Lung", "Liver"))
    found = rows_of(table, ONE_TISSUE, "Lung", "gene_wise")
    assert found.loc["Liver", "n_samples"] == (lung & liver).sum() < liver.sum()
    blood = rows_of(table, ONE_TISSUE, BLOOD, "gene_wise")
    assert found.loc["Liver", "source_rho"] != blood.loc["Liver", "mean_rho"]
    assert (
        found.loc["Liver", "difference"]
        == found.loc["Liver", "mean_rho"] - found.loc["Liver", "source_rho"]
    )


def test_few_donors_are_not_scored(made, models):
    _, _, cohort, held_out = made
    strict = SETTINGS.with_(min_donors=N_DONORS)
    found = score_sources(models, cohort, held_out["source"], "joint", BLOOD, strict, ACCURACY)
    assert set(found["kind"]) == {NO_TISSUE, ONE_TISSUE, SOME_DRAWN, ALL_OTHERS}
    assert set(found.loc[found["kind"] == ONE_TISSUE, "given"]) == {BLOOD}
    told = next_tissues(models.values(), cohort, found, BLOOD)
    assert told["difference"].isna().all()
    assert told.groupby("tissue")["reduction"].apply(lambda r: r.is_monotonic_decreasing).all()
    assert told["reduction"].notna().all()


def test_without_a_target_that_can_be_scored_the_analysis_is_left_out(made, models):
    _, _, cohort, held_out = made
    strict = ACCURACY.with_(min_donors_per_fold=N_DONORS)
    with pytest.raises(CannotDo, match="no target that 120 held-out donors"):
        score_sources(models, cohort, held_out["source"], "joint", BLOOD, SETTINGS, strict)


def test_the_next_tissue_stands_with_what_the_model_expects(made, table, models):
    told = next_tissues(models.values(), made[2], table, BLOOD)
    assert list(told["tissue"]) == [MEAN_OF_TISSUES] * 2 + ["Liver", "Lung"]
    liver = told.set_index("tissue").loc["Liver"]
    blood, lung, target = (models[0].tissues.index(n) for n in (BLOOD, "Lung", "Liver"))
    both = np.mean([m.expected_variance([blood, lung], [target]) for m in models.values()])
    assert liver["next_tissue"] == "Lung"
    assert liver["both_variance"] == pytest.approx(both, rel=1e-5)
    assert 0 < liver["both_variance"] < liver["source_variance"]
    reduced = 1 - liver["both_variance"] / liver["source_variance"]
    assert liver["reduction"] == pytest.approx(reduced)
    found = rows_of(table, ONE_ADDED, f"{BLOOD}{AND}Lung", "gene_wise").loc["Liver"]
    assert liver["difference"] == found["difference"]
    assert (
        told.groupby("tissue")["difference_low"]
        .apply(lambda low: low.is_monotonic_decreasing)
        .all()
    )
    lung_samples = (made[2].tissue == lung).sum()
    assert liver["n_training"] == pytest.approx(lung_samples / 2)


def test_a_model_without_a_variance_has_held_out_donors_alone(made, table):
    average = build("tissue_average")
    average.fit(Training(made[2], made[2].tissue_index(BLOOD)))
    told = next_tissues([average], made[2], table, BLOOD)
    assert told["reduction"].isna().all()
    assert told["difference"].notna().all()


def test_script_writes_both_tables_and_refuses_donors_that_were_seen(made, tmp_path):
    folder, people, _, held_out = made
    expression, donors = map(str, people.files)
    given = {
        "wildcards": {"model": "joint"},
        "input": {"expression": expression, "donors": donors, "folds": str(folder / "folds.tsv"),
                  "predictions": list(map(str, held_out["source"].predictions)),
                  "donors_key": str(folder / "donors.key"),
                  "bundles": [str(folder / f"{fold}.safetensors") for fold in (0, 1)]},
        "output": {name: str(tmp_path / f"{name}.tsv") for name in ("accuracy", "next_tissue")},
        "params": {"source": BLOOD, "scaling": {}, "folds": [0, 1],
                   "any_sources": SETTINGS.model_dump(), "learned": True,
                   "accuracy": ACCURACY.model_dump()},
    }  # fmt: skip
    run_script("score_sources", tmp_path / "log", **given)
    written = pd.read_csv(given["output"]["accuracy"], sep="\t", keep_default_na=False)
    assert list(written.columns[:5]) == [*CHOICE_KEY, "tissue"]
    assert len(pd.read_csv(given["output"]["next_tissue"], sep="\t")) == 4
    given["params"]["folds"] = [1, 0]
    with pytest.raises(SystemExit):
        run_script("score_sources", tmp_path / "log", **given)
    assert "held-out donors among its training donors" in (tmp_path / "log").read_text()
