import numpy as np
import pandas as pd
import pytest
from cohorts import SmallCohort
from scipy.stats import binom, hypergeom, mannwhitneyu, norm, pearsonr
from sklearn.metrics import f1_score, matthews_corrcoef

from mtm.analyses.disease.agreement import (
    AGREEMENT,
    KEY,
    below_rate,
    overlap_scores,
)
from mtm.analyses.disease.agreement_tables import (
    kept_pairs,
    pair_genes,
    summarise_agreement,
    volcano_pair,
    with_q_values,
)
from mtm.analyses.disease.case_control import fold_changes, permuted_labels
from mtm.analyses.disease.dysregulation import compare_expression, differential_expression
from mtm.analyses.disease.gene_selection import predictable_elsewhere
from mtm.predictions.held_out import read_held_out
from mtm.predictions.tissues import tissues
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.disease import DiseaseSettings
from mtm.statistics.testing import benjamini_hochberg
from mtm.vocabulary import HEADLINE, PAPER

SETTINGS = DiseaseSettings(min_cases=15, min_controls=15, permutations=60)


def planted(seed=0, n=120, n_genes=600, n_true=120, noise=0.6):
    """Expression with planted genes, half up and half down, and noisy predictions of it."""
    rng = np.random.default_rng(seed)
    case, fold = rng.permutation(np.arange(n) % 2 == 0), np.arange(n) % 3
    effect = np.zeros(n_genes)
    effect[:n_true] = np.where(np.arange(n_true) % 2, 1.0, -1.0)
    log2 = 5 + rng.normal(0, 1, (n, n_genes)) + np.outer(case, effect)
    predicted = log2 + noise * rng.normal(size=log2.shape)
    return np.exp2(log2), np.exp2(predicted), case, fold, effect


def test_planted_genes_are_found_at_the_nominal_rate():
    observed, predicted, case, fold, effect = planted(n_genes=2000, n_true=200)
    genes, agreement = compare_expression(observed, predicted, case, fold, SETTINGS)
    found = genes["q_observed"] < 0.05
    n_false = (found & (effect == 0)).sum()
    assert n_false <= binom.ppf(0.999, found.sum(), 0.05)
    assert (found & (effect != 0)).sum() > 180
    right = np.sign(genes["log2fc_observed"])[effect != 0] == np.sign(effect[effect != 0])
    assert right.mean() > 0.97
    assert agreement["f1_up"] > 0.85
    assert agreement["mcc_down"] > 0.85
    assert agreement["f1_up_p"] == agreement["f1_down_p"] == pytest.approx(1 / 61)
    assert agreement["rho_ci_low"] < agreement["rho_log2fc"] < agreement["rho_ci_high"]


def test_every_number_of_a_pair_against_scipy_and_scikit_learn():
    observed, predicted, case, fold, _ = planted(n=60, n_genes=80, n_true=30)
    genes, agreement = compare_expression(observed, predicted, case, fold, SETTINGS)
    for side, values in (("observed", observed), ("predicted", predicted)):
        expected = mannwhitneyu(values[case], values[~case], axis=0, method="asymptotic").pvalue
        np.testing.assert_allclose(genes[f"p_{side}"], expected, rtol=1e-12)
        np.testing.assert_allclose(genes[f"q_{side}"], benjamini_hochberg(expected))
        change = np.log2((values[case].mean(0) + 1) / (values[~case].mean(0) + 1))
        np.testing.assert_allclose(genes[f"log2fc_{side}"], change, rtol=1e-9)
    up = {
        side: ((genes[f"q_{side}"] < 0.05) & (genes[f"log2fc_{side}"] > 0)).to_numpy()
        for side in ("observed", "predicted")
    }
    assert agreement["f1_up"] == pytest.approx(f1_score(up["observed"], up["predicted"]))
    assert agreement["mcc_up"] == pytest.approx(matthews_corrcoef(*up.values()))
    both = (up["observed"] & up["predicted"]).sum()
    counts = up["observed"].sum(), up["predicted"].sum(), both
    assert counts == tuple(agreement[f"n_up_{k}"] for k in ("observed", "predicted", "both"))
    drawn = hypergeom(80, counts[0], counts[1])
    assert agreement["p_as_paper_up"] == pytest.approx(sum(drawn.pmf(range(both, 81))))
    rho = pearsonr(genes["log2fc_observed"], genes["log2fc_predicted"])[0]
    assert agreement["rho_log2fc"] == pytest.approx(rho)
    same = np.sign(genes["log2fc_observed"]) == np.sign(genes["log2fc_predicted"])
    assert agreement["sign_consistency"] == pytest.approx(same.mean())
    assert set(agreement) <= set(AGREEMENT)


def test_predictions_of_other_donors_stay_at_chance():
    p, f1, chance = [], [], []
    rng = np.random.default_rng(8)
    for seed in range(40):
        observed, predicted, case, fold, _ = planted(seed, n=60, n_genes=120, n_true=40)
        shuffled = predicted[rng.permutation(len(case))]
        _, agreement = compare_expression(observed, shuffled, case, fold, SETTINGS)
        p.append(agreement["rho_p"])
        f1.append(agreement["f1_up"] - agreement["f1_up_null"])
        chance.append(agreement["rho_chance_mean"])
    low, high = binom.ppf([0.0005, 0.9995], 40, 0.1)
    assert low <= (np.array(p) <= 0.1).sum() <= high
    assert abs(np.mean(f1)) < 3.5 * np.std(f1) / np.sqrt(40) + 1e-12
    assert abs(np.mean(chance)) < 3.5 * np.std(chance) / np.sqrt(40)


def test_labels_without_meaning_agree_above_zero_and_not_above_their_null():
    p, rho = [], []
    for seed in range(40):
        observed, predicted, case, fold, _ = planted(seed, n=60, n_genes=100, n_true=0)
        _, agreement = compare_expression(observed, predicted, case, fold, SETTINGS)
        p.append(agreement["rho_chance_p"])
        rho.append(agreement["rho_log2fc"])
    low, high = binom.ppf([0.0005, 0.9995], 40, 0.1)
    assert low <= (np.array(p) <= 0.1).sum() <= high
    assert np.mean(rho) > 0.5


def test_labels_that_no_permutation_changes_tell_nothing():
    # All cases in one fold and all controls in another: rounding must not make a permutation of
    # them fall below the labels themselves.
    for seed in range(4):
        observed, predicted, case, _, _ = planted(seed, n=40, n_genes=300)
        sides = observed.astype(np.float32), predicted.astype(np.float32)
        _, agreement = compare_expression(*sides, case, case.astype(int), SETTINGS)
        assert agreement["rho_p"] == agreement["rho_chance_p"] == 1


def test_permuted_labels_keep_each_folds_numbers():
    case, fold = np.arange(30) % 3 == 0, np.arange(30) // 10
    labels = permuted_labels(case, fold, 50, np.random.default_rng(0))
    for index in range(3):
        assert (labels[:, fold == index].sum(1) == case[fold == index].sum()).all()
    assert len(np.unique(labels, axis=0)) == 50


def test_below_rate_is_benjamini_hochberg_in_every_row():
    rng = np.random.default_rng(0)
    p = rng.random((30, 200)) ** rng.integers(1, 6, (30, 1))
    p[0] = 1.0
    expected = np.stack([benjamini_hochberg(row) < 0.05 for row in p])
    assert expected.any()
    np.testing.assert_array_equal(below_rate(norm.isf(p / 2), 0.05), expected)


def test_fold_changes_of_many_labels_are_those_of_each():
    observed, _, case, _, _ = planted(n=40, n_genes=10, n_true=4)
    labels = np.stack([case, ~case, np.roll(case, 7)])
    many = fold_changes(observed, labels, 1.0)
    each = np.stack([fold_changes(observed, label, 1.0) for label in labels])
    np.testing.assert_allclose(many, each, atol=1e-5)
    np.testing.assert_allclose(many[0], -many[1], atol=1e-5)


def test_scores_of_empty_sets():
    actual = np.array([True, True, False, False])
    found = np.array([[False] * 4, [True] * 4, actual])
    scores = overlap_scores(actual, found)
    np.testing.assert_allclose(scores["f1"], [0, 2 / 3, 1])
    np.testing.assert_allclose(scores["mcc"], [0, 0, 1])
    np.testing.assert_allclose(scores["p_as_paper"], [1, 1, 1 / 6])
    assert np.isnan(overlap_scores(np.zeros(4, bool), found[:1])["f1"]).all()


class World:
    """A small cohort with a disease in one tissue; half of the genes are predicted."""

    def __init__(self, folder, n_genes=60):
        self.cohort = SmallCohort(folder, n_genes=n_genes, n_donors=90, targets=("Liver", "Lung"))
        rng = np.random.default_rng(3)
        self.case = pd.Series(rng.random(90) < 0.5, self.cohort.fold_of.index)
        sick = self.cohort.obs["donor"].map(self.case) & (self.cohort.obs["tissue"] == "Lung")
        effect = np.where(np.arange(n_genes) % 4 < 2, 1.5, -1.5)
        self.cohort.expr_tpm *= np.exp2(np.outer(sick, effect)).astype(np.float32)
        self.cohort.write()
        z = self.cohort.observed_z("log2_z")
        noise = np.where(np.arange(n_genes) % 2, 0.5, 30.0)
        self.paths = self.cohort.write_predictions(
            z + noise * rng.standard_normal(z.shape), "log2_z"
        )
        self.held_out = read_held_out(folder / "expression.h5ad", folder / "folds.tsv", self.paths)

    def labels(self):
        obs = self.cohort.obs
        obs = obs[obs["tissue"] != "Whole Blood"]
        return pd.DataFrame(
            {"contrast": "MHX", "kind": "medical_history", "tissue": obs["tissue"],
             "sample_id": obs.index, "donor": obs["donor"],
             "case": obs["donor"].map(self.case).astype(int)}
        )  # fmt: skip

    def gene_wise(self):
        yes = np.arange(len(self.cohort.genes)) % 2 == 1
        parts = [
            pd.DataFrame({"scale": scale, "tissue": tissue, "gene_id": self.cohort.genes,
                          "predictable": yes, "predictable_paper": yes})
            for scale in ("log2_z", "tpm_z")
            for tissue in ("Liver", "Lung")
        ]  # fmt: skip
        return pd.concat(parts, ignore_index=True)

    def tissue(self, name):
        return next(tissues(self.held_out.of_tissues([name])))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def results(world):
    return differential_expression(
        world.held_out, "small", world.labels(), world.gene_wise(), SETTINGS
    )


def test_a_cohort_with_a_disease_in_one_tissue(results):
    genes, agreement = results
    assert len(agreement) == 2 * 2 * 2
    assert not agreement.duplicated(KEY).any()
    by = agreement.set_index(["definition", "selection", "tissue"])
    for definition in ("predictable", "predictable_paper"):
        lung = by.loc[(definition, "all_folds", "Lung")]
        assert lung["n_genes"] == 30
        assert lung["n_de_observed"] > 20
        assert lung["f1_up"] > 0.8
        assert lung["rho_p"] < 0.05
        assert by.loc[(definition, "all_folds", "Liver"), "n_de_observed"] <= 3
    counts = genes.groupby(KEY)["gene_id"].nunique()
    expected = agreement.set_index(KEY)["n_genes"].sort_index()
    assert counts.sort_index().to_dict() == expected.to_dict()
    people = ["n_cases", "n_controls"]
    of_genes = genes.groupby(KEY)[people].agg(["min", "max"])
    for name in people:
        expected = agreement.set_index(KEY)[name].reindex(of_genes.index)
        assert (of_genes[name].eq(expected, axis=0)).all(axis=None)


def test_observed_p_values_are_those_of_the_samples(world, results):
    genes = results[0]
    rows = genes[(genes["definition"] == "predictable") & (genes["selection"] == "all_folds")]
    lung = rows[rows["tissue"] == "Lung"].set_index("gene_id")
    at = np.flatnonzero(world.cohort.obs["tissue"] == "Lung")
    case = world.cohort.obs["donor"].iloc[at].map(world.case).to_numpy()
    for gene in (1, 7, 13):
        tpm = world.cohort.expr_tpm[at, gene].astype(float)
        p = mannwhitneyu(tpm[case], tpm[~case], method="asymptotic").pvalue
        assert lung.loc[world.cohort.genes[gene], "p_observed"] == pytest.approx(p, rel=1e-12)


def test_nested_selection_never_looks_at_the_donors_it_tests(world):
    before = predictable_elsewhere(world.tissue("Lung"), HEADLINE, AccuracySettings())
    tissue = world.tissue("Lung")
    rng = np.random.default_rng(0)
    part = tissue.parts[1]
    tissue.predicted[part] = rng.normal(size=tissue.predicted[part].shape)
    after = predictable_elsewhere(tissue, HEADLINE, AccuracySettings())
    assert before[:, 1::2].all()
    assert before[:, ::2].mean() < 0.1
    np.testing.assert_array_equal(before[1], after[1])
    assert not np.array_equal(before[0], after[0])


def test_nested_selection_by_the_papers_definition_is_pooled_rho_of_other_folds(world):
    tissue = world.tissue("Liver")
    chosen = predictable_elsewhere(tissue, PAPER, AccuracySettings())
    values = tissue.values("tpm_z", slice(None))
    for index, part in enumerate(tissue.parts):
        others = np.delete(np.arange(tissue.n_samples), part)
        for gene in range(0, tissue.n_genes, 11):
            predicted = values.predicted_raw[others, gene]
            rho = pearsonr(predicted, values.observed_raw[others, gene])[0]
            assert chosen[index, gene] == (rho > 0.3)


def test_genes_of_some_folds_are_tested_on_their_donors_alone(world, results):
    genes = results[0]
    nested = genes[(genes["selection"] == "nested") & (genes["tissue"] == "Lung")]
    sizes = (world.cohort.obs["tissue"] == "Lung").sum()
    assert nested["n"].max() == sizes
    paper = nested[nested["definition"] == "predictable_paper"]
    assert (paper["n"] <= sizes).all()
    assert (paper["n"] < sizes).any()


def test_pairs_without_enough_are_skipped_with_the_reason(world):
    labels = world.labels()
    few = SETTINGS.of({"min_cases": 90, "min_controls": 15})
    genes, agreement = differential_expression(
        world.held_out, "small", labels, world.gene_wise(), few
    )
    assert genes.empty
    assert agreement["status"].eq("skipped").all()
    assert agreement["reason"].str.endswith("cases, fewer than 90").all()
    none = world.gene_wise().assign(predictable=False, predictable_paper=False)
    _, agreement = differential_expression(world.held_out, "small", labels, none, SETTINGS)
    skipped = agreement[agreement["selection"] == "all_folds"]
    assert skipped["reason"].eq("0 predictable genes, fewer than 10").all()
    agreement = with_q_values(agreement[agreement["selection"] == "all_folds"])
    assert kept_pairs(agreement, 10).empty
    assert volcano_pair(agreement) is None
    assert pair_genes(genes, None).empty
    summary = summarise_agreement(agreement, 10).set_index("quantity")["value"]
    assert (summary["pairs skipped"] == 2).all()


def test_summary_table_s3_and_the_pair_of_fig_3a(results):
    genes, agreement = results
    agreement = with_q_values(agreement)
    s3 = kept_pairs(agreement, 10)
    assert set(s3["tissue"]) == {"Lung"}
    summary = summarise_agreement(agreement, 10)
    rows = summary[(summary["definition"] == "predictable") & (summary["selection"] == "nested")]
    values = rows.set_index("quantity")
    assert values.loc["pairs with enough observed genes", ["value", "paper"]].tolist() == [1, 117]
    assert values.loc["pairs with too few observed genes", "value"] == 1
    lung = s3[(s3["definition"] == "predictable") & (s3["selection"] == "nested")].iloc[0]
    assert values.loc["median F1, up", "value"] == pytest.approx(lung["f1_up"])
    pair = volcano_pair(agreement)
    assert (pair["tissue"], pair["contrast"]) == ("Lung", "MHX")
    assert volcano_pair(agreement, "Liver", "MHX")["tissue"] == "Liver"
    assert len(pair_genes(genes, pair)) == 30
