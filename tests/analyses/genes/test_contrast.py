import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from scripts import run_script

from mtm.analyses.genes.contrast import (
    MIN_GROUP,
    RhoDraws,
    contrast,
    contrast_genes,
    donor_draws,
    gene_error,
    interval,
    join_contrasts,
)
from mtm.analyses.genes.rho_draws import resampled_rho
from mtm.errors import CannotDo, InputError
from mtm.io import read_tsv, write_tsv
from mtm.predictions.held_out import HeldOut, fold_weights
from mtm.predictions.tissues import tissues
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.scaling import Scaling
from mtm.statistics.kernels import standardise, weighted_correlations
from mtm.statistics.resampling import donor_weights
from mtm.vocabulary import MEAN_OF_TISSUES


def gene_ids(n):
    return [f"ENSG{i:011d}.1" for i in range(n)]


def gene_wise(rng, n_genes=200, tissues=("Liver", "Lung"), rho=None):
    """A gene-wise accuracy table (docs/contracts.md)."""
    parts = []
    for scale in ("log2_z", "tpm_z"):
        for tissue in tissues:
            known = rng.normal(0.2, 0.15, n_genes) if rho is None else rho
            parts.append(
                pd.DataFrame(
                    {
                        "scale": scale,
                        "tissue": tissue,
                        "gene_id": gene_ids(n_genes),
                        "n": 80,
                        "rho_per_fold": known,
                        "rho_pooled_z": known,
                        "rho_pooled_raw": known - 0.05,
                        "p": 0.01,
                        "q": 0.01,
                        "predictable_paper": known - 0.05 > 0.3,
                        "predictable": known > 0.25,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def brute_force(rho, value, quantile=0.25):
    """Groups, delta and P gene by gene."""
    known = np.isfinite(rho)
    low, high = np.quantile(rho[known], [quantile, 1 - quantile])
    top = [v for r, v in zip(rho, value, strict=True) if r >= high and np.isfinite(v)]
    bottom = [v for r, v in zip(rho, value, strict=True) if r <= low and np.isfinite(v)]
    delta = np.mean([np.sign(a - b) for a in top for b in bottom])
    p = stats.mannwhitneyu(top, bottom, method="asymptotic").pvalue
    return top, bottom, delta, p


@pytest.mark.parametrize("seed", range(4))
def test_contrast_is_that_of_all_pairs_of_genes(seed):
    rng = np.random.default_rng(seed)
    rho, value = rng.normal(size=90).round(1), rng.normal(size=90).round(1)
    rho[rng.random(90) < 0.1] = np.nan
    value[rng.random(90) < 0.2] = np.nan
    top, bottom, delta, p = brute_force(rho, value)
    found = contrast(rho, value)
    assert (found["n_top"], found["n_bottom"]) == (len(top), len(bottom))
    assert found["n_genes"] == np.isfinite(rho).sum()
    assert found["cliffs_delta"] == pytest.approx(delta, abs=1e-12)
    assert found["auc"] == pytest.approx((delta + 1) / 2, abs=1e-12)
    assert found["p_as_paper"] == pytest.approx(p, rel=1e-9)
    assert found["median_top"] == np.median(top)
    assert found["mean_bottom"] == pytest.approx(np.mean(bottom))
    known = np.isfinite(rho)
    low, high = np.quantile(rho[known], [0.25, 0.75])
    outside = (rho <= low) | (rho >= high)
    assert found["n_without_value"] == (outside & np.isnan(value)).sum()


@pytest.mark.parametrize("levels", [1000, 3])
def test_gene_error_is_that_of_the_rank_sum_test(levels):
    rng = np.random.default_rng(0)
    top, bottom = rng.integers(0, levels, 35) + 1.0, rng.integers(0, levels, 25).astype(float)
    test = stats.mannwhitneyu(top, bottom, method="asymptotic", use_continuity=False)
    delta = 2 * test.statistic / (35 * 25) - 1
    expected = abs(delta) / stats.norm.isf(test.pvalue / 2)
    assert gene_error(top, bottom) == pytest.approx(expected, rel=1e-6)


def test_planted_relation_is_found_with_its_sign():
    rng = np.random.default_rng(1)
    rho = rng.normal(size=400)
    assert contrast(rho, rho + rng.normal(size=400))["cliffs_delta"] > 0.5
    assert contrast(rho, -rho + rng.normal(size=400))["cliffs_delta"] < -0.5
    assert contrast(rho, rho)["cliffs_delta"] == 1


def test_genes_that_are_all_alike_have_no_contrast():
    value = np.arange(50.0)
    for rho in (np.zeros(50), np.full(50, np.nan), np.r_[1.0, np.zeros(49)]):
        found = contrast(rho, value)
        assert (found["n_top"], found["n_bottom"]) == (0, 0)
        assert np.isnan([found["cliffs_delta"], found["p_as_paper"], found["median_top"]]).all()
        assert np.isnan(donor_draws(rho, np.tile(rho, (5, 1)), value)).all()


def test_p_is_uniform_without_a_relation():
    rng = np.random.default_rng(2)
    p = [contrast(rng.normal(size=150), rng.lognormal(size=150))["p_as_paper"] for _ in range(200)]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def simulate(rng, n_donors=60, n_modules=12, module_size=20, draws=40):
    """Predictions that know nothing, of genes in modules that share the characteristic."""
    module = np.repeat(np.arange(n_modules), module_size)

    def expression():
        shared = 1.5 * rng.standard_normal((n_donors, n_modules))[:, module]
        return torch.from_numpy(shared + rng.standard_normal((n_donors, len(module))))

    predicted, _ = standardise(expression(), 0)
    observed, _ = standardise(expression(), 0)
    value = rng.standard_normal(n_modules)[module] + rng.standard_normal(len(module))
    rho = (predicted * observed).sum(0).numpy()
    weights = torch.from_numpy(donor_weights(n_donors, draws, rng))
    drawn = weighted_correlations(predicted.float(), observed.float(), weights).numpy()
    return rho, drawn, value


@pytest.mark.slow
def test_rank_sum_is_fooled_by_correlated_genes_and_the_interval_is_not():
    rng, results = np.random.default_rng(3), []
    for _ in range(200):
        rho, drawn, value = simulate(rng)
        found = contrast(rho, value)
        draws = donor_draws(rho, drawn, value)
        tested = interval(found["cliffs_delta"], found["se_genes"], draws, 60, 1)
        results.append((found["p_as_paper"], tested["p"], found["cliffs_delta"]))
        results[-1] += (tested["se_donors"],)
    p_as_paper, p, delta, se_donors = np.array(results).T
    # Where P is right, 18 or more of 200 below 0.05 come up once in a hundred times.
    assert (p_as_paper < 0.05).mean() > 0.3
    assert (p < 0.05).mean() <= 17 / 200
    assert np.median(se_donors) == pytest.approx(delta.std(), rel=0.2)


def test_drawn_deltas_are_those_of_each_draw():
    rng = np.random.default_rng(4)
    rho, value = rng.normal(size=80), rng.normal(size=80).round(1)
    value[:5] = np.nan
    drawn = rho + rng.normal(size=(30, 80))
    drawn[3, 10] = np.nan
    drawn[7] = np.nan
    single = np.array([contrast(row, value)["cliffs_delta"] for row in drawn])
    known = np.isfinite(single)
    assert known.sum() == 29
    ratio = np.sqrt(np.mean(np.nanvar(drawn[known], axis=1))) / rho.std()
    mean = single[known].mean()
    expected = mean + ratio * (single[known] - mean)
    np.testing.assert_allclose(donor_draws(rho, drawn, value)[known], expected, rtol=1e-6)
    assert np.isnan(donor_draws(rho, drawn, value)[7])


def test_table_has_every_reading_tissue_and_characteristic():
    rng = np.random.default_rng(5)
    accuracy = gene_wise(rng)
    ids = gene_ids(200)
    by_tissue = pd.DataFrame(
        {
            "tissue": np.repeat(["Liver", "Lung"], 200),
            "gene_id": ids * 2,
            "value": rng.random(400),
        }
    )
    plain = pd.DataFrame({"gene_id": ids[::-1], "value": rng.random(200)})
    draws = []
    for tissue in ("Liver", "Lung"):
        mine = accuracy[(accuracy["scale"] == "log2_z") & (accuracy["tissue"] == tissue)]
        noise = rng.normal(0, 0.1, (25, 200))
        rho = mine["rho_per_fold"].to_numpy() + noise
        draws.append(RhoDraws(tissue, pd.Index(ids[::-1]), rho[:, ::-1], 80, 5))
    table = contrast_genes("m", accuracy, {"level": by_tissue, "score": plain}, draws)
    assert len(table) == 2 * 2 * 2 * 3
    single = table[table["tissue"] != MEAN_OF_TISSUES]
    for row in single.itertuples():
        scale, column, flag = (
            ("log2_z", "rho_per_fold", "predictable")
            if row.scale == "log2_z"
            else ("tpm_z", "rho_pooled_raw", "predictable_paper")
        )
        mine = accuracy[(accuracy["scale"] == scale) & (accuracy["tissue"] == row.tissue)]
        if row.reading == "predictable_genes":
            mine = mine[mine[flag]]
        values = plain if row.characteristic == "score" else by_tissue
        if row.characteristic == "level":
            values = values[values["tissue"] == row.tissue]
        value = values.set_index("gene_id")["value"].reindex(mine["gene_id"]).to_numpy()
        _, _, delta, p = brute_force(mine[column].to_numpy(), value)
        assert row.cliffs_delta == pytest.approx(delta, abs=1e-12)
        assert row.p_as_paper == pytest.approx(p, rel=1e-9)
    group = single[(single["characteristic"] == "score") & (single["scale"] == "log2_z")]
    group = group[group["reading"] == "all_genes"]
    np.testing.assert_allclose(
        group["q_as_paper"], stats.false_discovery_control(group["p_as_paper"])
    )
    np.testing.assert_allclose(group["q"], stats.false_discovery_control(group["p"]))
    assert (group["ci_low"] < group["cliffs_delta"]).all()
    assert single.loc[single["scale"] == "tpm_z", "p"].isna().all()
    mean = table[(table["tissue"] == MEAN_OF_TISSUES) & (table["scale"] == "log2_z")]
    mean = mean[(mean["characteristic"] == "score") & (mean["reading"] == "all_genes")].iloc[0]
    assert mean["cliffs_delta"] == pytest.approx(group["cliffs_delta"].mean())
    # Averaging tissues helps against the chance in donors, not against that in genes.
    assert mean["se_donors"] < group["se_donors"].min()
    assert mean["se_genes"] == pytest.approx(group["se_genes"].mean())
    joined = join_contrasts([table, table.assign(model="other")], "score")
    assert set(joined["model"]) == {"m", "other"}
    assert "characteristic" not in joined


def test_a_draw_that_some_tissue_lacks_is_one_of_the_others():
    rng = np.random.default_rng(8)
    tissues = ("Liver", "Lung", "Testis")
    accuracy = gene_wise(rng, tissues=tissues)
    ids = pd.Index(gene_ids(200))
    values = {"score": pd.DataFrame({"gene_id": ids, "value": rng.random(200)})}
    whole = rng.normal(size=(3, 60, 200))
    lacking = whole.copy()
    for index, of_tissue in enumerate(lacking):
        of_tissue[index::3] = np.nan
    errors = []
    for drawn in (whole, lacking):
        draws = [RhoDraws(t, ids, of, 5, 1) for t, of in zip(tissues, drawn, strict=True)]
        table = contrast_genes("m", accuracy, values, draws).set_index("tissue")
        mean = table[(table["scale"] == "log2_z") & (table["reading"] == "all_genes")]
        errors.append(mean.loc[MEAN_OF_TISSUES, "se_donors"])
    # A mean of two tissues in place of three varies by the root of 3 / 2 more.
    assert errors[1] == pytest.approx(1.5**0.5 * errors[0], rel=0.25)


def test_small_groups_have_no_interval():
    rng = np.random.default_rng(6)
    accuracy = gene_wise(rng, n_genes=4 * MIN_GROUP - 8)
    ids = gene_ids(4 * MIN_GROUP - 8)
    values = {"score": pd.DataFrame({"gene_id": ids, "value": rng.random(len(ids))})}
    rho = rng.normal(size=(10, len(ids)))
    draws = [RhoDraws(name, pd.Index(ids), rho, 80, 5) for name in ("Liver", "Lung")]
    table = contrast_genes("m", accuracy, values, draws)
    mean = table["tissue"] == MEAN_OF_TISSUES
    assert table.loc[~mean, "cliffs_delta"].notna().any()
    assert table.loc[mean, "cliffs_delta"].isna().all()
    assert table["p"].isna().all()
    with pytest.raises(CannotDo, match="score of predictable genes.*groups of 8 genes at most"):
        join_contrasts([table], "score")


@pytest.mark.parametrize("rho", [np.full(60, np.nan), np.zeros(60)])
def test_genes_that_all_are_told_alike_are_not_called_too_few(rho):
    accuracy = gene_wise(np.random.default_rng(9), n_genes=60, rho=rho)
    values = {"score": pd.DataFrame({"gene_id": gene_ids(60), "value": np.arange(60.0)})}
    with pytest.raises(CannotDo, match="no tissue has genes .* better than others"):
        join_contrasts([contrast_genes("m", accuracy, values)], "score")


def test_characteristics_of_too_few_genes_are_left_out_each_by_itself(tmp_path):
    row = {"model": "m", "tissue": "Liver", "n_bottom": 30}
    sizes = {"expression_level": MIN_GROUP - 1, "conservation": MIN_GROUP}
    table = pd.DataFrame([row | {"characteristic": c, "n_top": n} for c, n in sizes.items()])
    paths = {name: tmp_path / f"{name}.tsv" for name in ("contrasts", "matched")}
    write_tsv(table, paths["contrasts"])
    write_tsv(pd.DataFrame({"characteristic": ["x"], "step": ["y"], "n": [1]}), paths["matched"])
    output = {name: tmp_path / f"{name}.tsv" for name in (*table["characteristic"], "matching")}
    run_script(
        "join_gene_contrasts",
        tmp_path / "log",
        input={"contrasts": [paths["contrasts"]], "matching": [paths["matched"]]},
        output=output,
        params={"characteristics": list(table["characteristic"])},
    )
    assert len(read_tsv(output["conservation"])) == len(read_tsv(output["matching"])) == 1
    with pytest.raises(CannotDo, match="expression level of predictable genes.*9 genes at most"):
        read_tsv(output["expression_level"])


def test_second_copies_are_left_out():
    rng = np.random.default_rng(7)
    accuracy = gene_wise(rng)
    copies = accuracy.assign(gene_id=accuracy["gene_id"] + "_PAR_Y", rho_per_fold=9.0)
    values = {"score": pd.DataFrame({"gene_id": gene_ids(200), "value": rng.random(200)})}
    both = contrast_genes("m", pd.concat([copies, accuracy]), values)
    pd.testing.assert_frame_equal(both, contrast_genes("m", accuracy, values))


def small_cohort(folder, rng, n_donors=40, n_genes=30):
    """A held-out model of two folds and two target tissues, and its cohort on disk."""
    donors = [f"D{i:02d}" for i in range(n_donors)]
    tissues = ["Liver", "Lung"]
    obs = pd.DataFrame(
        {"donor": np.repeat(donors, 2), "tissue": tissues * n_donors},
        index=[f"{donor}-{tissue}" for donor in donors for tissue in tissues],
    )
    expr_tpm = rng.lognormal(3, 1, (len(obs), n_genes)).astype(np.float32)
    genes = gene_ids(n_genes)
    var = pd.DataFrame({"symbol": [f"G{i}" for i in range(n_genes)]}, index=genes)
    anndata.AnnData(expr_tpm, obs=obs, var=var).write_h5ad(folder / "expression.h5ad")
    predicted = np.log(expr_tpm) + rng.normal(size=expr_tpm.shape)
    anndata.AnnData(predicted.astype(np.float32), obs=obs, var=var).write_h5ad(folder / "p.h5ad")
    samples = obs.assign(fold=np.repeat(np.arange(n_donors) % 2, 2))
    rows = samples.reset_index(names="sample_id").assign(
        cohort_row=np.arange(len(obs)), file=0, file_row=np.arange(len(obs))
    )
    rows = rows.sort_values(["tissue", "fold", "donor"], kind="stable", ignore_index=True)
    return HeldOut(
        folder / "expression.h5ad",
        (folder / "p.h5ad",),
        "log2_z",
        pd.Index(genes),
        samples,
        rows,
        Scaling(log2_clip=None),
    )


def test_resampled_rho_is_the_correlation_of_repeated_donors(tmp_path):
    held_out = small_cohort(tmp_path, np.random.default_rng(8))
    settings = AccuracySettings(bootstraps=12, min_donors_per_fold=5, seed=3)
    weights = fold_weights([held_out], settings)
    found = {draws.tissue: draws for draws in resampled_rho(held_out, settings)}
    assert set(found) == {"Liver", "Lung"}
    draws = found["Lung"]
    assert draws.rho.shape == (12, 30)
    assert (draws.n_donors, draws.n_folds) == (40, 2)
    lung = next(tissues(held_out.of_tissues(["Lung"])))
    rows, predicted = lung.rows, lung.predicted
    observed = np.log2(1 + lung.observed_tpm.astype(float))
    for draw, gene in ((0, 0), (11, 29)):
        total = 0.0
        for fold in (0, 1):
            part = (rows["fold"] == fold).to_numpy()
            times = weights[fold].loc[draw, rows["donor"][part]].to_numpy(int)
            pair = [np.repeat(x[part, gene].astype(float), times) for x in (predicted, observed)]
            total += np.arctanh(stats.pearsonr(*pair).statistic) * (part.sum() - 3)
        expected = np.tanh(total / (len(rows) - 6))
        assert draws.rho[draw, gene] == pytest.approx(expected, abs=1e-4)


ACCURACY = gene_wise(np.random.default_rng(0), 20)
VALUES = pd.DataFrame({"gene_id": gene_ids(20), "value": np.arange(20.0)})


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda: contrast_genes("m", ACCURACY, {"x": VALUES}, quantile=0.6), ["quantile", "0.6"]),
        (
            lambda: contrast_genes("m", ACCURACY, {"x": VALUES.drop(columns="value")}),
            ["table of x", "a column named value"],
        ),
        (
            lambda: contrast_genes("m", ACCURACY, {"x": VALUES.assign(gene_id="ENSG9")}),
            ["table of x", "twice"],
        ),
        (
            lambda: contrast_genes("m", ACCURACY, {"x": VALUES.assign(value=np.nan)}),
            ["no value for any of the 20 scored genes"],
        ),
    ],
)
def test_unusable_input(use, words):
    with pytest.raises(InputError) as caught:
        use()
    for word in words:
        assert word in str(caught.value)
