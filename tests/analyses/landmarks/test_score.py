"""Panels chosen, made whole and scored through the scripts of the rules."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from elsewhere import GENES, Elsewhere
from scripts import run_script

from mtm.analyses.landmarks import score
from mtm.analyses.landmarks.panel import read_panels
from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.errors import CannotDo
from mtm.figures.registry import make_figure
from mtm.io import read_tsv, write_tsv
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.landmarks import Landmarks
from mtm.settings.scaling import Scaling
from mtm.vocabulary import CHOSEN, IN_NO_PANEL, LISTED, MEAN_OF_TISSUES, OTHERS, RANDOM

N_DONORS = 90
ACCURACY = AccuracySettings(permutations=40, bootstraps=60)
SETTINGS = Landmarks(n=6)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Paths of a cohort and its panels, and tables by panel and method."""
    folder = tmp_path_factory.mktemp("landmarks")
    people = Elsewhere(folder, "A", N_DONORS, seed=2)
    expression, donors = map(str, people.files)
    cohort = {"expression": expression, "donors": donors, "folds": str(folder / "folds.tsv")}
    # Of three folds; some donors are never held out.
    fold = np.where(np.arange(N_DONORS) < 15, -1, np.arange(N_DONORS) % 3)
    write_tsv(pd.DataFrame({"donor": people.donors["donor"], "fold": fold}), cohort["folds"])
    listed, panels = folder / "list.txt", str(folder / "panels.tsv")
    listed.write_text("\n".join([*GENES[3:6], "ENSG00000999999"]) + "\n")
    params = {"landmarks": SETTINGS.model_dump(), "scaling": {}}
    run_script(
        "choose_landmarks", folder / "log", input=cohort | {"landmarks": str(listed)},
        output={"panels": panels}, params=params,
    )  # fmt: skip
    tables = {}
    for panel, method in ((CHOSEN, "ridge"), (RANDOM, "ridge"), (LISTED, "nearest")):
        output = str(folder / f"{panel}.tsv")
        run_script(
            "score_landmarks", folder / "log", wildcards={"panel": panel, "method": method},
            input=cohort | {"panels": panels}, output={"accuracy": output},
            params=params | {"accuracy": ACCURACY.model_dump()},
            config={"training": {"device": "cpu"}},
        )  # fmt: skip
        tables[panel] = read_tsv(output)
    return cohort, panels, tables


def of_means(table, genes=OTHERS):
    """Row of the gene-wise mean of tissues."""
    kept = (table["tissue"] == MEAN_OF_TISSUES) & (table["level"] == "gene_wise")
    return table[kept & (table["genes"] == genes)].iloc[0]


def test_tables_hold_every_tissue_and_both_sets_of_genes(made):
    panels = pd.read_csv(made[1], sep="\t")
    assert panels.groupby("panel").size().to_dict() == {LISTED: 12, CHOSEN: 24, RANDOM: 24}
    for panel, table in made[2].items():
        assert table.groupby(["genes", "level"]).size().to_dict() == {
            (genes, level): 4
            for genes in (OTHERS, IN_NO_PANEL)
            for level in ("gene_wise", "sample_wise")
        }
        mine = panels[(panels["panel"] == panel) & (panels["fold"] >= 0)]
        assert of_means(table)["n_genes"] == 40 - mine["gene_id"].nunique()
        held_out = panels.loc[panels["fold"] >= 0, "gene_id"]
        assert of_means(table, IN_NO_PANEL)["n_genes"] == 40 - held_out.nunique()


def test_genes_are_told_and_chosen_landmarks_tell_more_than_others(made):
    chosen, drawn = (of_means(made[2][panel], IN_NO_PANEL) for panel in (CHOSEN, RANDOM))
    assert chosen["mean_rho"] > drawn["mean_rho"] > drawn["null_high"]
    assert chosen["ci_low"] < chosen["mean_rho"] < chosen["ci_high"]
    assert chosen["pooled_rho"] == pytest.approx(chosen["mean_rho"], abs=0.1)
    assert drawn["null_low"] < 0 < drawn["null_high"]
    assert chosen["seconds"] > 0


def whole(made, cohort, method="ridge"):
    """Tell what the drawn panel lacks."""
    panels = read_panels(made[1], cohort.genes.index)
    drawn = panels[panels["panel"] == RANDOM]
    by_fold = {
        fold: cohort.genes.index.get_indexer(drawn.loc[drawn["fold"] == fold, "gene_id"])
        for fold in range(3)
    }
    folds = read_folds(made[0]["folds"])
    return by_fold, score._whole(cohort, folds, by_fold, method, SETTINGS, Scaling(), "cpu")


def test_other_genes_of_held_out_samples_are_not_seen(made):
    cohort = Cohort.read(made[0]["expression"], made[0]["donors"])
    by_fold, before = whole(made, cohort)
    out = read_folds(made[0]["folds"]).reindex(cohort.donors.index).to_numpy()[cohort.donor] == 1
    others = np.setdiff1d(np.arange(cohort.n_genes), by_fold[1])
    expr_tpm = cohort.expr_tpm.copy()
    expr_tpm[np.ix_(out, others)] = 5
    _, after = whole(made, replace(cohort, expr_tpm=expr_tpm))
    np.testing.assert_array_equal(before.told[out], after.told[out])
    assert np.isfinite(before.told[np.ix_(out, others)]).all()
    never = np.isnan(before.told).all(1)
    assert never.sum() == (before.group < 0).sum() > 0


def test_too_few_held_out_donors_are_nothing_to_score(made):
    cohort = Cohort.read(made[0]["expression"], made[0]["donors"])
    panels = read_panels(made[1], cohort.genes.index)
    few = ACCURACY.with_(min_donors_per_fold=60)
    with pytest.raises(CannotDo, match="no target that 60"):
        score.score_landmarks(
            cohort, read_folds(made[0]["folds"]), panels, RANDOM, "ridge", SETTINGS, few,
            Scaling(), "cpu",
        )  # fmt: skip


def test_figure_has_every_panel_and_method(made):
    tables = {f"{panel}.tsv": table for panel, table in made[2].items()}
    drawing, table = make_figure("landmarks", {"accuracy": tables})
    assert len(table) == 6
    assert list(table["genes"]) == [OTHERS] * 3 + [IN_NO_PANEL] * 3
    assert [text.get_text() for text in drawing.axes[0].get_yticklabels()] == [
        "Nearest samples", "Ridge per tissue",
    ]  # fmt: skip
