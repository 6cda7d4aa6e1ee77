from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from cohorts import SmallCohort, noisy_predictions
from scipy import stats
from scripts import Named, run_script

from mtm.analyses.accuracy.comparison import Scored, compare_accuracy, comparison_pairs
from mtm.analyses.accuracy.overlaps import (
    fold_changes,
    predictable_overlaps,
    venn_models,
    venn_regions,
)
from mtm.analyses.accuracy.pair_counts import pair_counts
from mtm.analyses.accuracy.score import score_predictions
from mtm.errors import InputError
from mtm.predictions.held_out import read_held_out
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.scaling import Scaling
from mtm.statistics.resampling import donor_weights
from mtm.vocabulary import ACCURACY_KEY, GENE_CONVENTIONS, MEAN_OF_TISSUES

SETTINGS = AccuracySettings(permutations=4, bootstraps=40, null_genes=4)
HEADLINE = ("log2_z", "gene_wise", "per_fold")


def scored(cohort, name, predicted, scale="log2_z", settings=SETTINGS):
    folder = cohort.folder
    cohort.folder = folder / "predictions" / name
    cohort.folder.mkdir(parents=True)
    paths = cohort.write_predictions(predicted, scale)
    cohort.folder = folder
    held_out = read_held_out(
        folder / "expression.h5ad", folder / "folds.tsv", paths, scaling=Scaling(log2_clip=None)
    )
    return rescored(name, held_out, settings)


def rescored(name, held_out, settings=SETTINGS):
    scores = score_predictions(held_out, name, settings, device="cpu")
    # Fitted to nobody: observed values with noise.
    return Scored(scores.gene_wise, scores.sample_wise, held_out, learned=False)


def with_draws(models, settings=SETTINGS, **changes):
    """Return the models with the bootstrap samples that they were scored by."""
    drawn = {}
    for name, model in models.items():
        scores = score_predictions(model.held_out, name, settings, device="cpu", learned=True)
        drawn[name] = replace(model, learned=True, draws=scores.draws.assign(**changes))
    return drawn


@pytest.fixture(scope="module")
def two_models(tmp_path_factory):
    cohort = SmallCohort(tmp_path_factory.mktemp("two_models"))
    cohort.write()
    better, worse = noisy_predictions(cohort, noise=1.0), noisy_predictions(cohort, noise=2.5)
    models = {
        "good": scored(cohort, "good", better),
        "bad": scored(cohort, "bad", np.roll(worse, 1, axis=1) * 0.5 + worse),
    }
    return cohort, models, {"good": better, "bad": np.roll(worse, 1, axis=1) * 0.5 + worse}


def compare(models, pairs, settings=SETTINGS):
    return compare_accuracy(models, pairs, settings, device="cpu")


def part(table, scale, tissue):
    return table[(table["scale"] == scale) & (table["tissue"] == tissue)]


def row_of(table, measure, tissue):
    measured = (table[ACCURACY_KEY] == measure).all(axis=1)
    rows = table[measured & (table["tissue"] == tissue)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_means_and_rank_sums_are_those_of_the_accuracy_tables(two_models):
    _, models, _ = two_models
    table = compare(models, [("good", "bad")])
    assert len(table) == 2 * 4 * (3 + 1)
    for scale in ("log2_z", "tpm_z"):
        for tissue in ("Liver", "Lung", "Testis"):
            of = {name: part(model.gene_wise, scale, tissue) for name, model in models.items()}
            for convention in GENE_CONVENTIONS:
                a, b = (of[name][f"rho_{convention}"] for name in ("good", "bad"))
                row = row_of(table, (scale, "gene_wise", convention), tissue)
                assert row["difference"] == pytest.approx(a.mean() - b.mean())
                assert row["n_values"] == 12
                ranks = stats.rankdata([*a, *b])[:12].sum()
                z = (abs(ranks - 12 * 25 / 2) - 0.5) / np.sqrt(12 * 12 * 25 / 12)
                assert row["p_rank_sum"] == pytest.approx(2 * stats.norm.sf(z), rel=1e-6)
            samples = {
                name: part(model.sample_wise, scale, tissue)["rho"]
                for name, model in models.items()
            }
            row = row_of(table, (scale, "sample_wise", "per_sample"), tissue)
            assert row["mean_a"] == pytest.approx(samples["good"].mean())
            assert row["mean_b"] == pytest.approx(samples["bad"].mean())
            assert row["n_values"] == row["n_samples"] == len(samples["good"])
            assert (row["n_only_a"], row["n_only_b"]) == (0, 0)


def brute_force_draws(cohort, predicted, tissue, rho_of):
    """Gene-wise per-fold mean of each bootstrap sample of donors, repeated donors as rows."""
    observed = cohort.observed_z("log2_z")
    draws = np.zeros(SETTINGS.bootstraps)
    folds = []
    for fold in range(cohort.n_folds):
        donors = sorted(cohort.fold_of.index[cohort.fold_of == fold])
        donors = [d for d in donors if (cohort.obs["donor"] == d).sum() > 1]
        rng = np.random.default_rng([SETTINGS.seed, fold])
        weights = donor_weights(len(donors), SETTINGS.bootstraps, rng)
        rows = [f"{donor}-{tissue}" for donor in donors]
        present = [row in cohort.obs.index for row in rows]
        index = cohort.obs.index.get_indexer(np.array(rows)[present])
        folds.append((index, weights[:, present].astype(int)))
    for bootstrap in range(SETTINGS.bootstraps):
        total, weight = np.zeros(cohort.n_genes), 0
        for index, weights in folds:
            chosen = np.repeat(index, weights[bootstrap])
            rho = [
                rho_of(predicted[chosen, gene], observed[chosen, gene])
                for gene in range(cohort.n_genes)
            ]
            total += (len(index) - 3) * np.arctanh(rho)
            weight += len(index) - 3
        draws[bootstrap] = np.tanh(total / weight).mean()
    return draws


@pytest.mark.slow
def test_the_standard_error_is_that_of_donors_resampled_alike_for_both(two_models, rho_of):
    cohort, models, predicted = two_models
    table = compare(models, [("good", "bad")])
    row = row_of(table, HEADLINE, "Lung")
    draws = brute_force_draws(cohort, predicted["good"], "Lung", rho_of)
    draws -= brute_force_draws(cohort, predicted["bad"], "Lung", rho_of)
    n = row["n_samples"]
    se = draws.std(ddof=1) * np.sqrt(n / (n - 3))
    assert row["se"] == pytest.approx(se, rel=1e-3)
    t = row["difference"] / se
    assert row["p"] == pytest.approx(2 * stats.t.sf(abs(t), n - 3), rel=1e-2)
    half = stats.t.ppf(0.975, n - 3) * se
    assert row["ci_low"] == pytest.approx(row["difference"] - half, rel=1e-2, abs=1e-3)


def test_the_sample_wise_test_approaches_a_paired_t_test_within_folds(two_models):
    _, models, _ = two_models
    settings = SETTINGS.with_(bootstraps=4000)
    table = compare(models, [("good", "bad")], settings)
    a, b = (part(model.sample_wise, "log2_z", "Liver") for model in models.values())
    within = (a["rho"] - b["rho"]) - (a["rho"] - b["rho"]).groupby(a["fold"]).transform("mean")
    n = len(a)
    expected = np.sqrt((within**2).sum() / (n - 3) / n)
    row = row_of(table, ("log2_z", "sample_wise", "per_sample"), "Liver")
    assert row["se"] == pytest.approx(expected, rel=0.08)


def test_one_model_whose_folds_learn_from_each_other_widens_the_error(two_models):
    _, models, _ = two_models
    fitted = models | {"bad": replace(models["bad"], learned=True)}
    before, after = (compare(of, [("good", "bad")]) for of in (models, fitted))
    ratio = after["se"] / before["se"]
    assert ratio.between(1.2, 2**0.5 + 1e-6).all()
    half = (table["difference"] - table["ci_low"] for table in (before, after))
    np.testing.assert_allclose(1 / np.divide(*half), ratio)
    assert (after["p"] >= before["p"]).all()
    pd.testing.assert_series_equal(before["p_rank_sum"], after["p_rank_sum"])


def test_the_mean_of_tissues_is_the_mean_of_their_differences(two_models):
    _, models, _ = two_models
    table = compare(models, [("good", "bad")])
    single = table[table["tissue"] != MEAN_OF_TISSUES]
    for measure, rows in single.groupby(ACCURACY_KEY):
        mean = row_of(table, measure, MEAN_OF_TISSUES)
        assert mean["difference"] == pytest.approx(rows["difference"].mean())
        assert mean["se"] < rows["se"].max()
        assert np.isnan(mean["q"])
        p = np.sort(rows["p"].to_numpy())
        q = np.minimum.accumulate((p * 3 / np.array([1, 2, 3]))[::-1])[::-1]
        np.testing.assert_allclose(np.sort(rows["q"]), np.minimum(q, 1))


def test_equal_models_do_not_differ(two_models):
    _, models, _ = two_models
    table = compare({"a": models["good"], "b": models["good"]}, [("a", "b")])
    assert (table["difference"] == 0).all()
    assert (table["p"] == 1).all()
    assert (table["se"] == 0).all()


@pytest.mark.slow
def test_pairing_sees_a_gap_that_the_rank_sum_test_cannot(make_cohort, noisy):
    cohort = make_cohort()
    cohort.write()
    base = noisy(cohort)
    shifted = base + 0.08 * np.nan_to_num(cohort.observed_z("log2_z"))
    models = {
        "base": scored(cohort, "base", base),
        "plus": scored(cohort, "plus", shifted),
    }
    counts = pair_counts(compare(models, [("plus", "base")]))
    row = counts[(counts[ACCURACY_KEY] == HEADLINE).all(axis=1)].iloc[0]
    assert (row["n_tissues"], row["n_better"], row["n_better_paired"]) == (3, 3, 3)
    assert row["n_better_rank_sum"] == 0
    assert (row["n_worse"], row["n_worse_rank_sum"], row["n_worse_paired"]) == (0, 0, 0)


@pytest.mark.slow
def test_models_with_other_samples_are_compared_on_the_common_ones(two_models):
    _, models, _ = two_models
    rng = np.random.default_rng(3)
    held_out = models["good"].held_out
    liver = held_out.rows["tissue"] == "Liver"
    lost = liver & (rng.random(len(liver)) < 0.3)
    fewer = replace(held_out, rows=held_out.rows[~lost & (held_out.rows["tissue"] != "Testis")])
    table = compare(
        {"bad": models["bad"], "few": rescored("few", fewer)}, [("bad", "few"), ("few", "bad")]
    )
    forward, backward = (table[table["model_a"] == name] for name in ("bad", "few"))
    row = row_of(forward, HEADLINE, "Liver")
    assert (row["n_only_a"], row["n_only_b"]) == (lost.sum(), 0)
    assert row["n_samples"] == (liver & ~lost).sum()
    bad = models["bad"].held_out
    kept = bad.rows["sample_id"].isin(fewer.rows["sample_id"])
    restricted = rescored("bad", replace(bad, rows=bad.rows[kept]))
    for convention in GENE_CONVENTIONS:
        expected = part(restricted.gene_wise, "log2_z", "Liver")
        row = row_of(forward, ("log2_z", "gene_wise", convention), "Liver")
        assert row["mean_a"] == pytest.approx(expected[f"rho_{convention}"].mean(), rel=1e-6)
    samples = part(restricted.sample_wise, "log2_z", "Liver")["rho"]
    row = row_of(forward, ("log2_z", "sample_wise", "per_sample"), "Liver")
    assert row["mean_a"] == pytest.approx(samples.mean())
    np.testing.assert_allclose(forward["difference"], -backward["difference"])
    nowhere = row_of(forward, HEADLINE, "Testis")
    assert nowhere["n_samples"] == 0
    assert nowhere["n_only_a"] == (held_out.rows["tissue"] == "Testis").sum()
    assert np.isnan(nowhere["difference"])


def test_tables_of_other_predictions_are_refused(two_models):
    _, models, _ = two_models
    good = models["good"]
    for stale in (
        replace(good, gene_wise=good.gene_wise.assign(n=good.gene_wise["n"] - 1)),
        replace(good, gene_wise=good.gene_wise[good.gene_wise["tissue"] != "Lung"]),
        replace(good, sample_wise=good.sample_wise.drop(good.sample_wise.index[0])),
    ):
        with pytest.raises(InputError, match="accuracy of good.*Score the model again"):
            compare({"good": stale, "bad": models["bad"]}, [("bad", "good")])


@pytest.mark.slow
def test_bootstrap_samples_of_the_scoring_are_those_of_the_comparison(two_models, monkeypatch):
    _, models, _ = two_models
    afresh = compare(
        {name: replace(m, learned=True) for name, m in models.items()}, [("good", "bad")]
    )
    drawn = with_draws(models)

    def never(*args, **kwargs):
        raise AssertionError("drawn again")

    with monkeypatch.context() as patch:
        patch.setattr("mtm.analyses.accuracy.comparison.bootstrap_means", never)
        table = compare(drawn, [("good", "bad")])
    pd.testing.assert_frame_equal(table, afresh, rtol=1e-9)
    assert (table["se"].dropna() > 0).all()
    # Donors whom one model alone predicts change the bootstrap samples: they are drawn again.
    held_out = models["bad"].held_out
    lost = held_out.rows["donor"] == held_out.rows["donor"].iloc[0]
    fewer = rescored("bad", replace(held_out, rows=held_out.rows[~lost]))
    drawn = with_draws({"good": models["good"], "bad": fewer})
    plain = {name: replace(model, draws=None) for name, model in drawn.items()}
    pairs = [("good", "bad")]
    pd.testing.assert_frame_equal(compare(drawn, pairs), compare(plain, pairs), rtol=1e-9)
    few = {
        name: replace(m, draws=m.draws[m.draws["draw"] > 0])
        for name, m in with_draws(models).items()
    }
    with pytest.raises(InputError, match="bootstrap samples of good.*39 of.*40, as many as"):
        compare(few, pairs)


def gene_tables(rng, n_genes=40):
    """Gene-wise tables of four models with known sets of predictable genes."""
    tables, sets = {}, {}
    for model in ("mtm", "s2", "s3", "none"):
        rows = []
        for scale, definition in (("log2_z", "predictable"), ("tpm_z", "predictable_paper")):
            for tissue, n in (("Liver", 80), ("Lung", 300), ("Ovary", 100)):
                yes = rng.random(n_genes) < (0.0 if model == "none" else 0.5)
                sets[model, definition, tissue] = {f"G{i}" for i in np.flatnonzero(yes)}
                rows.append(
                    pd.DataFrame(
                        {
                            "scale": scale, "tissue": tissue, "n": n,
                            "gene_id": [f"G{i}" for i in range(n_genes)],
                            "predictable": yes if definition == "predictable" else ~yes,
                            "predictable_paper": ~yes if definition == "predictable" else yes,
                        }
                    )
                )  # fmt: skip
        tables[model] = pd.concat(rows)
    return tables, sets


def test_overlaps_and_fold_changes_are_those_of_sets():
    tables, sets = gene_tables(np.random.default_rng(0))
    overlaps = predictable_overlaps(tables, [("mtm", "s2"), ("mtm", "none")])
    assert len(overlaps) == 2 * 2 * 3
    for row in overlaps.to_dict("records"):
        key = (row["definition"], row["tissue"])
        a, b = sets[row["model_a"], *key], sets[row["model_b"], *key]
        assert (row["n_a"], row["n_b"], row["n_both"]) == (len(a), len(b), len(a & b))
        assert row["share_of_a_in_b"] == pytest.approx(len(a & b) / len(a))
        if b:
            assert row["share_of_b_in_a"] == pytest.approx(len(a & b) / len(b))
        else:
            assert np.isnan(row["share_of_b_in_a"])
    # Of the largest tissue the fewest donors have blood too.
    sizes = overlaps.drop_duplicates("tissue").set_index("tissue")["n_samples"]
    samples_of = 1000 - sizes
    changes = fold_changes(overlaps, samples_of)
    for (_, model_b, _), part in changes.groupby(["model_a", "model_b", "definition"]):
        if model_b == "none":
            assert part["excluded"].all()
            assert (part["n_excluded"] == 3).all()
            assert part[["fold_change", "spearman_rho"]].isna().all(axis=None)
        else:
            np.testing.assert_allclose(part["fold_change"], part["n_a"] / part["n_b"])
            np.testing.assert_array_equal(part["n_samples"], 1000 - part["n_predicted"])
            rho = stats.spearmanr(part["fold_change"], samples_of[part["tissue"]]).statistic
            np.testing.assert_allclose(part["spearman_rho"], rho)
            assert (part["n_tissues"] == 3).all()


@pytest.mark.parametrize(("n_tissues", "p"), [(3, 1 / 3), (4, 1 / 12), (7, 2 / 5040)])
def test_few_tissues_in_one_order_have_the_p_of_their_orders(n_tissues, p):
    names = [f"Tissue {index}" for index in range(n_tissues)]
    overlaps = pd.DataFrame(
        {"model_a": "mtm", "model_b": "s2", "definition": "predictable", "scale": "log2_z",
         "tissue": names, "n_samples": 70, "n_a": 100 - np.arange(n_tissues), "n_b": 10}
    )  # fmt: skip
    changes = fold_changes(overlaps, dict(zip(names, 100 + np.arange(n_tissues), strict=True)))
    assert changes["spearman_rho"].eq(-1).all()
    assert changes["p_as_paper"].to_numpy() == pytest.approx(p)


def test_a_model_without_genes_on_top_has_fold_change_zero():
    tables, _ = gene_tables(np.random.default_rng(0))
    changes = fold_changes(predictable_overlaps(tables, [("none", "s2")]), {})
    assert (changes["fold_change"] == 0).all()
    assert not changes["excluded"].any()


@pytest.mark.parametrize("models", [["s2", "s3", "mtm"], ["mtm", "s2"]])
def test_venn_regions_are_those_of_sets(models):
    tables, sets = gene_tables(np.random.default_rng(1))
    table = venn_regions(tables, models, "Ovary")
    assert len(table) == 2 * (2 ** len(models) - 1)
    assert list(table["region"][: len(models)]) == models
    for row in table.to_dict("records"):
        inside = row["region"].split(";")
        genes = set.intersection(*(sets[m, row["definition"], "Ovary"] for m in inside))
        for model in set(models) - set(inside):
            genes -= sets[model, row["definition"], "Ovary"]
        assert row["n_genes"] == len(genes)
        assert row["n_samples"] == 100


def test_an_absent_venn_tissue_gives_way_to_the_largest():
    tables, _ = gene_tables(np.random.default_rng(1))
    table = venn_regions(tables, ["mtm", "s2"], "Esophagus - Muscularis")
    assert set(table["tissue"]) == {"Lung"}


def test_pairs_are_the_papers_then_others():
    roles = {"MTM": "mtm", "S1": "bgex", "S2": "teebot", "S3": "mlp"}
    models = ["mtm", "ridge", "teebot", "bgex"]
    pairs = comparison_pairs(models, roles, [["ridge", "mtm"], ["mtm", "bgex"]])
    assert pairs == [("mtm", "bgex"), ("mtm", "teebot"), ("ridge", "mtm")]
    assert venn_models(models, roles) == ["teebot", "mtm", "ridge"]
    for wrong in (["ridge", "mlp"], ["mtm", "mtm"], ["mtm"]):
        with pytest.raises(InputError, match="pairs of models"):
            comparison_pairs(models, roles, [wrong])
    assert comparison_pairs(["x", "y", "z"], roles) == [("x", "y"), ("x", "z")]
    twice = roles | {"S2": "ridge", "S3": "ridge"}
    assert comparison_pairs(models, twice) == [("mtm", "bgex"), ("mtm", "ridge")]
    with pytest.raises(InputError, match="two or more"):
        comparison_pairs(["mtm"], roles)
    with pytest.raises(InputError, match="two or more"):
        venn_models(["mtm"], roles)


@pytest.mark.slow
def test_the_script_writes_every_table(two_models, tmp_path):
    cohort, models, _ = two_models
    inputs = {
        "expression": cohort.folder / "expression.h5ad",
        "folds": cohort.folder / "folds.tsv",
    }
    inputs["predictions"] = sorted(map(str, cohort.folder.glob("predictions/*/*.h5ad")))
    summaries = []
    fitted = models | {"bad": replace(models["bad"], learned=True)}
    for name, model in fitted.items():
        learned = {"device": "cpu", "learned": model.learned}
        scores = score_predictions(model.held_out, name, SETTINGS, **learned)
        summaries.append(scores.by_tissue)
        fitted[name] = replace(model, draws=scores.draws)
    for kind in ("gene_wise", "sample_wise", "draws"):
        inputs[kind] = []
        for name, model in fitted.items():
            path = tmp_path / kind / f"{name}.parquet"
            path.parent.mkdir(exist_ok=True)
            getattr(model, kind).to_parquet(path)
            inputs[kind].append(str(path))
    inputs["summary"] = tmp_path / "summary.tsv"
    summary = pd.concat(summaries)
    summary.to_csv(inputs["summary"], sep="\t", index=False)
    names = ("pairs", "pair_counts", "overlaps", "fold_changes", "venn", "s1", "s2")
    output = Named({name: tmp_path / "out" / f"{name}.tsv" for name in names})
    run_script(
        "compare_models",
        tmp_path / "log.txt",
        input=inputs,
        params={
            "models": ["good", "bad"],
            "learned": [False, True],
            "roles": {"MTM": "good", "S2": "bad"},
            "pairs": [],
            "source": "Whole Blood",
            "accuracy": {"permutations": 4, "bootstraps": 40, "null_genes": 4},
            "scaling": {"sd_rule": "unit_below_one", "log2_clip": None},
            "venn_models": None,
            "venn_tissue": "Lung",
            "fewest_people": 1,
        },
        output=output,
    )
    written = {name: pd.read_csv(path, sep="\t") for name, path in output.items()}
    expected = compare(fitted, [("good", "bad")])
    np.testing.assert_allclose(written["pairs"]["p"], expected["p"])
    assert set(written["venn"]["region"]) == {"bad", "good", "bad;good"}
    for table, value, n_measures in (("s1", "mean_rho", 4), ("s2", "n_predictable", 2)):
        assert list(written[table].columns[-2:]) == ["good", "bad"]
        assert len(written[table]) == n_measures * 4
        first = written[table].iloc[0]
        of = summary[(summary["scale"] == "log2_z") & (summary["convention"] == "per_fold")]
        mean = of[(of["tissue"] == MEAN_OF_TISSUES) & (of["model"] == "bad")]
        assert first["tissue"] == MEAN_OF_TISSUES
        assert first["bad"] == pytest.approx(mean[value].iloc[0])
