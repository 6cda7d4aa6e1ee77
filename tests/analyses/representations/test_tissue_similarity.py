from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mtm.analyses.representations.tissue_similarity import (
    compare_similarities,
    compare_subsets,
    jaccard_similarity,
    mean_log2_expression,
    pearson_similarity,
    relations,
    tissue_similarity,
)
from mtm.cohort.cohort import Cohort
from mtm.errors import CannotDo, InputError

TISSUES = ("Brain - Amygdala", "Brain - Cortex", "Liver", "Lung", "Skin - Leg", "Whole Blood")


def triangle(matrix):
    return matrix[np.triu_indices(len(matrix), 1)]


def distances(features):
    """Similarity of tissues as minus their distance: pairs that share a tissue go together."""
    return -np.linalg.norm(features[:, None] - features[None], axis=2)


def small_cohort(seed=0, n_donors=6, n_genes=30, tissues=TISSUES):
    rng = np.random.default_rng(seed)
    donor, tissue = (grid.ravel() for grid in np.mgrid[:n_donors, : len(tissues)])
    level = rng.normal(3, 2, (len(tissues), n_genes))
    expr_tpm = np.exp(level[tissue] + rng.normal(0, 0.3, (len(donor), n_genes)))
    ids = pd.Index([f"D{d}-{t}" for d, t in zip(donor, tissue, strict=True)], name="sample_id")
    genes = pd.Index([f"ENSG{i}.1" for i in range(n_genes)], name="gene_id")
    donors = pd.Index([f"D{i}" for i in range(n_donors)], name="donor")
    return Cohort(
        expr_tpm=expr_tpm.astype(np.float32),
        samples=pd.DataFrame(index=ids),
        donor=donor,
        tissue=tissue,
        donors=pd.DataFrame(index=donors),
        tissues=tuple(tissues),
        genes=pd.DataFrame({"symbol": genes}, index=genes),
    )


def gene_wise(rho, tissues, genes):
    """Return a gene-wise accuracy table with the same rho on both scales."""
    tissue, gene = (grid.ravel() for grid in np.mgrid[: len(tissues), : len(genes)])
    table = pd.DataFrame(
        {"tissue": np.array(tissues)[tissue], "gene_id": np.array(genes)[gene], "rho": rho.ravel()}
    )
    for column in ("rho_per_fold", "rho_pooled_raw"):
        table[column] = table["rho"]
    for column in ("predictable", "predictable_paper"):
        table[column] = table["rho"] > 0.3
    both = [table.assign(scale=scale) for scale in ("log2_z", "tpm_z")]
    return pd.concat(both, ignore_index=True).drop(columns="rho")


def test_pearson_similarity_is_scipys_over_genes_known_in_both_tissues():
    rng = np.random.default_rng(0)
    values = rng.normal(1e3, 1, (5, 40))
    values[rng.random(values.shape) < 0.2] = np.nan
    values[3] = 7.0
    values[4, 2:] = np.nan
    similarity = pearson_similarity(pd.DataFrame(values)).to_numpy()
    for a in range(3):
        for b in range(3):
            known = np.isfinite(values[a] + values[b])
            expected = stats.pearsonr(values[a, known], values[b, known]).statistic
            assert similarity[a, b] == pytest.approx(expected, abs=1e-9)
    assert np.isnan(similarity[3:]).all()


def test_jaccard_similarity_is_shared_over_all_and_unknown_without_members():
    member = pd.DataFrame([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]).astype(bool)
    similarity = jaccard_similarity(member).to_numpy()
    np.testing.assert_allclose(similarity[:3, :3], [[1, 1 / 3, 0], [1 / 3, 1, 0], [0, 0, 1]])
    assert np.isnan(similarity[3]).all()
    assert np.isnan(similarity[:, 3]).all()


def test_mantel_agrees_with_every_permutation():
    rng = np.random.default_rng(4)
    features = rng.normal(size=(6, 2))
    x, y = distances(features), distances(features + rng.normal(0, 2.0, features.shape))
    found = compare_similarities(x, y, 20000, seed=0)
    rho, p_as_paper = stats.spearmanr(triangle(x), triangle(y))
    null = [
        stats.spearmanr(triangle(x), triangle(y[np.ix_(order, order)])).statistic
        for order in permutations(range(6))
    ]
    exact = np.mean(np.abs(null) >= abs(rho) - 1e-12)
    assert found["spearman_rho"] == pytest.approx(rho)
    assert found["p_as_paper"] == pytest.approx(p_as_paper)
    assert found["p"] == pytest.approx(exact, abs=0.01)
    assert 0.02 < exact < 0.5
    assert found["null_low"] == pytest.approx(np.quantile(null, 0.025), abs=0.03)
    assert found["n_pairs"] == 15


@pytest.mark.slow
def test_p_is_uniform_without_relation_and_that_of_independent_pairs_is_not():
    rng = np.random.default_rng(1)
    found = pd.DataFrame(
        compare_similarities(*(distances(rng.normal(size=(12, 2))) for _ in "xy"), 199, seed)
        for seed in range(200)
    )
    assert stats.kstest(found["p"], "uniform").pvalue > 0.05
    assert stats.kstest(found["p_as_paper"], "uniform").pvalue < 1e-4
    assert (found["ci_low"].le(0) & found["ci_high"].ge(0)).mean() > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("sign", [1, -1])
def test_a_planted_relation_has_its_sign_and_an_interval_that_holds_the_truth(sign):
    rng = np.random.default_rng(2)

    def similarities(n):
        features = rng.normal(size=(n, 2))
        near = features + rng.normal(0, 0.7, features.shape)
        return distances(features), sign * distances(near)

    truth = stats.spearmanr(*map(triangle, similarities(600))).statistic
    found = pd.DataFrame(compare_similarities(*similarities(20), 199, i) for i in range(60))
    assert truth * sign > 0.4
    assert found["spearman_rho"].mean() == pytest.approx(truth, abs=0.05)
    assert (found["p"] < 0.05).mean() > 0.9
    assert ((found["ci_low"] < truth) & (found["ci_high"] > truth)).mean() > 0.85


def test_constant_similarities_have_no_correlation():
    x = distances(np.random.default_rng(0).normal(size=(5, 2)))
    found = compare_similarities(x, np.ones((5, 5)), 99, 0)
    assert np.isnan([found["spearman_rho"], found["p"], found["ci_low"]]).all()


def test_relations_name_the_brain_other_organs_and_the_rest():
    found = relations(["Brain - A", "Brain - B", "Skin - A", "Skin - B", "Lung"])
    assert found[0, 1] == "within the brain"
    assert found[2, 3] == "within another organ"
    assert {found[0, 2], found[0, 4], found[3, 4]} == {"between organs"}


def test_expression_is_averaged_in_tpm_before_the_logarithm():
    cohort = small_cohort()
    found = mean_log2_expression(cohort).loc["Liver"].to_numpy()
    of_liver = cohort.expr_tpm[cohort.tissue == 2].astype(float)
    np.testing.assert_allclose(found, np.log2(1 + of_liver.mean(0)), rtol=1e-6)


def test_tables_hold_every_pair_and_say_which_tissues_are_left_out():
    cohort = small_cohort()
    targets, genes = list(TISSUES[:5]), list(cohort.genes.index)
    level = mean_log2_expression(cohort).loc[targets].to_numpy()
    rho = stats.zscore(level, axis=1) / 4
    rho[3] = np.minimum(rho[3], 0.29)
    rho[0, 0] = np.nan
    tables = {"m": gene_wise(rho, targets, genes).sample(frac=1, random_state=0)}
    pairs, summary = tissue_similarity(cohort, tables, 99, seed=0)
    assert len(pairs) == 4 * 10
    assert pairs["relation"].value_counts()["within the brain"] == 4
    one = pairs[(pairs["tissue_a"] == "Brain - Cortex") & (pairs["tissue_b"] == "Liver")]
    expected = stats.pearsonr(rho[1], rho[2]).statistic
    assert one["predictability_similarity"].iloc[0] == pytest.approx(expected)
    expected = stats.pearsonr(level[1], level[2]).statistic
    assert one["expression_similarity"].iloc[0] == pytest.approx(expected)
    # Tissues are as similar in both, but for the one that was cut off and one unknown value.
    rows = summary[summary["subset"] == "all tissues"].set_index(["measure", "scale"])
    assert (rows.loc["pearson", "spearman_rho"] > 0.8).all()
    assert list(rows.loc["jaccard", "n_left_out"]) == [1, 1]
    assert list(rows.loc["jaccard", "n_pairs"]) == [6, 6]
    outside = summary[summary["subset"] == "outside the brain"]
    assert set(outside["n_tissues"] + outside["n_left_out"]) == {3}


def test_a_cohort_on_a_scale_of_its_own_is_compared_on_that_alone():
    cohort = small_cohort()
    targets, genes = list(TISSUES[:4]), list(cohort.genes.index)
    rho = np.random.default_rng(0).normal(0, 0.3, (len(targets), len(genes)))
    table = gene_wise(rho, targets, genes)
    whole, _ = tissue_similarity(cohort, {"m": table}, 19, 0)
    table = table[table["scale"] == "log2_z"]
    pairs, summary = tissue_similarity(cohort, {"m": table}, 19, 0)
    assert set(summary["scale"]) == set(pairs["scale"]) == {"log2_z"}
    expected = whole[whole["scale"] == "log2_z"].reset_index(drop=True)
    pd.testing.assert_frame_equal(pairs, expected)


def test_without_two_brain_regions_there_is_one_subset():
    names = ["A", "B", "C", "Brain - D"]
    x = pd.DataFrame(distances(np.random.default_rng(0).normal(size=(4, 2))), names, names)
    assert [row["subset"] for row in compare_subsets(x, x, 19, 0)] == ["all tissues"]


def spoil(change):
    def use():
        cohort = small_cohort()
        targets, genes = list(TISSUES[:5]), list(cohort.genes.index)
        rho = np.random.default_rng(0).normal(0, 0.3, (len(targets), len(genes)))
        cohort, table = change(cohort, gene_wise(rho, targets, genes))
        tissue_similarity(cohort, {"m": table}, 19, 0)

    return use


@pytest.mark.parametrize(
    ("use", "words"),
    [
        pytest.param(
            spoil(lambda c, t: (c, t.replace("Liver", "Spleen"))),
            ["accuracy of m", "tissue Spleen", "Score the model again"],
            id="unknown_tissue",
        ),
        pytest.param(
            spoil(lambda c, t: (c, t[t["gene_id"] != "ENSG7.1"])),
            ["29 genes", "ENSG7.1", "30 genes"],
            id="missing_gene",
        ),
        pytest.param(
            spoil(lambda c, t: (c, t.replace("ENSG7.1", "ENSG8.1"))),
            ["ENSG7.1", "30 genes once"],
            id="gene_twice",
        ),
        pytest.param(
            spoil(lambda c, t: (Cohort(**{**vars(c), "tissues": (*c.tissues, "Zonula")}), t)),
            ["no sample of Zonula"],
            id="tissue_without_samples",
        ),
    ],
)
def test_unusable_input_is_one_clear_error(use, words):
    with pytest.raises(InputError) as caught:
        use()
    for word in words:
        assert word in str(caught.value)


def test_two_tissues_are_a_reason_to_leave_out():
    with pytest.raises(CannotDo, match="2 target tissues, fewer than 3"):
        spoil(lambda c, t: (c, t[t["tissue"].isin(TISSUES[:2])]))()
