import numpy as np
import pandas as pd
import pytest
from tests.analyses.profiles.made_up import TISSUES, table

from mtm.analyses.profiles.complete import complete, surroundings_of
from mtm.analyses.profiles.held_out import chromosome_folds, measure_accuracy
from mtm.analyses.profiles.holes import KINDS, draw_hidden, hide, kind_of
from mtm.analyses.profiles.stack import fit_stack
from mtm.analyses.profiles.table import Table
from mtm.settings.profiles import ProfileSettings

SETTINGS = ProfileSettings(
    parts=("neighbours", "promoter", "conservation", "family", "trees"), hidden=(1,), seen=(1,),
    n_folds=3, trees={"iterations": 10, "draws": 1, "min_genes": 10},
)  # fmt: skip


def test_chromosomes_stay_whole_and_folds_alike():
    chrom = np.repeat(["chr1", "chr2", "chr3", "chr4"], [40, 30, 20, 10])
    fold = chromosome_folds(chrom, np.ones(100, bool), 2)
    assert pd.Series(fold).groupby(chrom).nunique().eq(1).all()
    assert np.bincount(fold).tolist() == [50, 50]
    assert chromosome_folds(chrom, np.ones(100, bool), 9).max() == 3


@pytest.mark.slow
def test_a_fit_does_not_see_held_out_genes():
    genes = table()
    out = (genes.genes["chrom"] == "chr2").to_numpy()
    changed = np.where(out[:, None], genes.expr_log2 + 5, genes.expr_log2)
    fits = []
    for values in (genes.expr_log2, changed):
        around = surroundings_of(Table(values, TISSUES, genes.genes), SETTINGS)
        hidden = np.where(out[:, None], np.nan, values)
        fits.append(fit_stack(around, hidden, SETTINGS, 3, "cpu"))
    a, b = fits
    np.testing.assert_array_equal(a.linear.covariance, b.linear.covariance)
    np.testing.assert_array_equal(a.linear.ridge.coef, b.linear.ridge.coef)
    np.testing.assert_array_equal(a.weights, b.weights)
    np.testing.assert_array_equal(a.quantile, b.quantile)


@pytest.mark.slow
def test_neighbours_tell_shapes_and_means_do_not():
    around = surroundings_of(table(480, 12), SETTINGS)
    scores = measure_accuracy(around, SETTINGS, "cpu")
    of_all = scores[(scores["genes"] == "all") & (scores["measure"] == "shape_r")]
    told = of_all.set_index(["hidden", "method"])["value"]
    assert set(scores["hidden"]) == {"1 hidden", "1 seen", "all hidden"}
    assert told["all hidden", "tissue_mean"] == told["1 hidden", "own_mean"] == 0
    assert told["all hidden", "neighbours"] > 0.35
    assert told["all hidden", "stack"] > 0.35
    assert told["1 seen", "neighbours"] > told["1 seen", "tissues"] + 0.05
    # The five other tissues, of which two are alike, tell nearly all.
    assert told["1 hidden", "tissues"] > 0.9
    coverage = scores[(scores["measure"] == "coverage") & (scores["genes"] == "all")]
    assert coverage["value"].between(0.85, 1).all()


def test_what_was_seen_is_left_and_holes_are_within_their_limits():
    whole = table(alike=0.9)
    rng = np.random.default_rng(5)
    holes = rng.random(whole.expr_log2.shape) < 0.2
    holes[7] = True
    values = np.where(holes, np.nan, whole.expr_log2)
    around = surroundings_of(Table(values, TISSUES, whole.genes), SETTINGS)
    told = complete(around, SETTINGS, "cpu")
    assert len(told) == 240 * 6
    seen = told["observed"].to_numpy()
    np.testing.assert_array_equal(seen, ~holes.ravel())
    np.testing.assert_array_equal(told["value"][seen], whole.expr_log2.ravel()[seen])
    hidden, true = told[~seen], whole.expr_log2.ravel()[~seen]
    assert hidden.notna().all().all()
    assert told.loc[seen, ["low", "high"]].isna().all().all()
    assert 0.85 < ((hidden["low"] <= true) & (true <= hidden["high"])).mean() < 1
    error = np.abs(hidden["value"] - true).mean()
    assert error < 0.6 * np.abs(true - true.mean()).mean()
    never = told[told["gene_id"] == "G7"]
    assert never["parts"].str.startswith("neighbours").all()
    assert told.loc[~seen, "parts"].str.startswith("tissues;neighbours").mean() > 0.9


def test_what_is_hidden_was_seen_and_kinds_go_by_what_is_left():
    rng = np.random.default_rng(0)
    values = np.where(rng.random((500, 12)) < 0.2, np.nan, 1.0)
    seen = np.isfinite(values)
    hidden = draw_hidden(rng, values)
    assert not (hidden & ~seen).any()
    assert (hidden.sum(1) == seen.sum(1)).mean() == pytest.approx(0.4, abs=0.1)
    assert (hide(rng, seen, 2).sum(1) == 2).all()
    left = np.arange(12)[None, :] < np.array([0, 1, 4, 5, 10, 11, 12])[:, None]
    assert kind_of(left).tolist() == [0, 1, 1, 2, 3, 3, 3]
    assert len(KINDS) == 4


def test_of_few_genes_no_interval_is_told_and_the_rest_is(caplog):
    few = table(24)
    values = few.expr_log2.copy()
    values[::5, 1] = np.nan
    around = surroundings_of(Table(values, TISSUES, few.genes), SETTINGS)
    told = complete(around, SETTINGS, "cpu")
    holes = told[~told["observed"]]
    assert holes["value"].notna().all()
    assert holes[["low", "high"]].isna().all().all()
    assert "5 of 5 holes without an interval: too few genes" in caplog.text
    scores = measure_accuracy(around, SETTINGS, "cpu")
    assert (scores["measure"] == "coverage").sum() == 0
