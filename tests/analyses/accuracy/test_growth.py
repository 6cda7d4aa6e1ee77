"""Ridge fitted on more and more donors of one population, through the scripts of the rules."""

import numpy as np
import pandas as pd
import pytest
from elsewhere import BLOOD, Elsewhere
from scripts import run_script

from mtm.analyses.accuracy.growth import score_growth, training_sizes
from mtm.analyses.accuracy.score import score_predictions
from mtm.cohort.folds import some_donors
from mtm.errors import CannotDo
from mtm.figures.registry import make_figure
from mtm.io import write_tsv
from mtm.models.donors import DonorsKey
from mtm.models.registry import load
from mtm.predictions.held_out import read_held_out
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.growth import Growth
from mtm.vocabulary import (
    ACCURACY_KEY,
    FORETOLD,
    HEADLINE_MEASURES,
    MEAN_OF_TISSUES,
    MEASURED,
    PROMISED,
)

N_DONORS = 160
ACCURACY = AccuracySettings(permutations=4, bootstraps=60)
# Folds hold 80 training donors: the last is passed by.
GROWTH = Growth(donors=(40, 20, 80), promised=(50, 200))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Prediction files by number of donors, None for all, and the table of the script."""
    folder = tmp_path_factory.mktemp("growth")
    people = Elsewhere(folder, "A", N_DONORS, seed=2)
    expression, donors = map(str, people.files)
    folds = str(folder / "folds.tsv")
    table = pd.DataFrame({"donor": people.donors["donor"], "fold": np.arange(N_DONORS) % 2})
    write_tsv(table, folds)
    key = str(folder / "donors.key")
    DonorsKey.write(key)
    cohort = {"expression": expression, "donors": donors, "folds": folds, "donors_key": key}
    files = {}
    for n in (None, *GROWTH.donors):
        files[n] = [str(folder / f"{n}_{fold}.h5ad") for fold in (0, 1)]
        some = {} if n is None else {"n_donors": n, "donor_seed": 3}
        for fold, predictions in enumerate(files[n]):
            bundle = str(folder / f"{n}_{fold}.safetensors")
            run_script(
                "train_fold", folder / "log",
                wildcards={"cohort": "A", "fold": str(fold), "model": "ridge"},
                input=cohort | {"members": []},
                output={"bundle": bundle, "training": str(folder / "training.tsv")},
                config={"training": {"device": "cpu"}},
                params={"model_class": "ridge", "parameters": {}, "members": [],
                        "checkpoint": str(folder / "checkpoint"), "code": "",
                        "training": {"source": BLOOD, "sources": "source", "seed": 0,
                                     "scaling": {}, "monitor_every": 0} | some},
            )  # fmt: skip
            run_script(
                "predict_fold", folder / "log",
                wildcards={"fold": str(fold), "model": "ridge"}, input=cohort | {"bundle": bundle},
                output={"predictions": predictions}, params={"source": BLOOD, "sources": "source"},
            )  # fmt: skip
    output = str(folder / "growth.tsv")
    given = {f"of_{n}": paths for n, paths in files.items() if n is not None}
    run_script(
        "score_growth", folder / "log", wildcards={"model": "ridge"},
        input=cohort | {"predictions": files[None]} | given, output={"growth": output},
        params={"source": BLOOD, "scaling": {}, "growth": GROWTH.model_dump(),
                "accuracy": ACCURACY.model_dump(), "learned": True},
    )  # fmt: skip
    return folder, cohort, files, pd.read_csv(output, sep="\t", keep_default_na=False)


@pytest.mark.slow
def test_fits_see_so_many_donors_and_the_smaller_are_among_the_larger(made):
    folder = made[0]
    seen = {
        n: load(folder / f"{n}_1.safetensors").provenance.training_donors.digests
        for n in (None, 20, 40, 80)
    }
    assert {n: len(donors) for n, donors in seen.items()} == {None: 80, 20: 20, 40: 40, 80: 80}
    assert seen[20] < seen[40] < seen[80] == seen[None]


@pytest.mark.slow
def test_all_donors_have_the_headline_of_the_model(made):
    _, cohort, files, table = made
    held_out = read_held_out(cohort["expression"], cohort["folds"], files[None], BLOOD)
    scores = score_predictions(held_out, "ridge", ACCURACY, device="cpu").by_tissue
    found = table[(table["kind"] == MEASURED) & (table["n_donors"] == 80)]
    for measure in HEADLINE_MEASURES[:2]:
        expected = scores[(scores[ACCURACY_KEY] == measure).all(axis=1)].set_index("tissue")
        mine = found[found["level"] == measure[1]].set_index("tissue").loc[expected.index]
        for column in ("mean_rho", "ci_low", "ci_high"):
            np.testing.assert_allclose(mine[column], expected[column], atol=2e-5)


def test_more_donors_tell_more_and_the_curve_foretells_them(made):
    table = made[3]
    mean = table[(table["tissue"] == MEAN_OF_TISSUES) & (table["level"] == "gene_wise")]
    rho = mean.set_index(["kind", "n_donors"])["mean_rho"]
    assert list(mean["kind"]) == [MEASURED] * 3 + [FORETOLD, PROMISED]
    assert rho[MEASURED, 20] < rho[MEASURED, 40] < rho[MEASURED, 80] < rho[PROMISED, 200]
    foretold = mean[mean["kind"] == FORETOLD].iloc[0]
    assert foretold["ci_low"] < rho[MEASURED, 80] < foretold["ci_high"]


def test_figure_leaves_the_check_out(made):
    drawing, table = make_figure("growth", {"growth": {"ridge.tsv": made[3]}})
    assert set(table["kind"]) == {MEASURED, PROMISED}
    assert len(drawing.axes) == 2


def test_tissues_that_some_number_of_donors_does_not_tell_are_left_out(made):
    _, cohort, files, _ = made
    given = cohort["expression"], cohort["folds"]
    held_out = {n: read_held_out(*given, files[n], BLOOD) for n in (None, 20, 40)}
    first, *others = sorted(set(held_out[None].rows["tissue"]))
    parts = {20: held_out[20].of_tissues([first]), 40: held_out[40].of_tissues(others)}
    with pytest.raises(CannotDo, match="growth of accuracy"):
        score_growth(held_out[None], parts, "ridge", 80, GROWTH, ACCURACY)
    parts[40] = held_out[40]
    table = score_growth(held_out[None], parts, "ridge", 80, GROWTH, ACCURACY)
    assert set(table["tissue"]) == {first, MEAN_OF_TISSUES}


def test_donors_are_drawn_whatever_their_order():
    donors = pd.Index([f"d{i}" for i in range(30)])
    drawn = some_donors(donors, 7, 5)
    assert len(drawn) == 7
    assert drawn.equals(some_donors(donors[::-1], 7, 5))
    assert some_donors(donors, 99, 5).equals(donors.sort_values())


def test_training_sizes_are_those_of_folds():
    folds = pd.Series([0, 0, 0, 1, 1, -1])
    assert training_sizes(folds) == (3, 4)
