import numpy as np
import pandas as pd
import pytest
from cohorts import SmallCohort
from scipy.stats import kstest, t

from mtm.analyses.accuracy.score import score_predictions
from mtm.errors import InputError
from mtm.models.card import card_of
from mtm.predictions.held_out import read_held_out
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.model_card import ModelCard
from mtm.vocabulary import MEAN_OF_TISSUES

FEW = AccuracySettings(permutations=40, bootstraps=40)
CONVENTIONS = ["rho_per_fold", "rho_pooled_z", "rho_pooled_raw"]
ONE = np.zeros(1, int)


def score(cohort, predicted, scale, settings=FEW, **options):
    cohort.write()
    files = cohort.write_predictions(predicted, scale)
    held_out = read_held_out(
        cohort.folder / "expression.h5ad", cohort.folder / "folds.tsv", files[::-1]
    )
    return score_predictions(held_out, "small", settings, device="cpu", **options)


def genes_of(scores, scale, tissue):
    table = scores.gene_wise
    return table[(table["scale"] == scale) & (table["tissue"] == tissue)].set_index("gene_id")


def row_of(scores, scale, convention, tissue=MEAN_OF_TISSUES):
    table = scores.by_tissue
    keep = (table["scale"] == scale) & (table["convention"] == convention)
    return table[keep & (table["tissue"] == tissue)].iloc[0]


def references(cohort, predicted, model_scale, scale, rho_of, min_donors=5):
    """Recompute every correlation of every gene and sample one by one."""
    clips = {"tpm_z": None, "log2_z": 5.0}
    gene_rows, sample_rows = {}, {}
    for tissue in cohort.targets:
        parts = []
        for fold in range(cohort.n_folds):
            rows = cohort.held_out_rows(fold)
            rows = rows[(cohort.obs["tissue"] == tissue).to_numpy()[rows]]
            native = cohort.scaler(tissue, fold, model_scale)
            scaler = cohort.scaler(tissue, fold, scale, clips[scale])
            predicted_tpm = native.inverse(np.float32(predicted[rows]), ONE).astype(float)
            if scale == model_scale:
                limit = clips[scale] or np.inf
                predicted_z = np.clip(predicted[rows], -limit, limit)
            else:
                predicted_z = scaler.transform(predicted_tpm, ONE)
            raw = np.log2 if scale == "log2_z" else (lambda values: values - 1)
            observed_tpm = cohort.expr_tpm[rows].astype(float)
            observed_z = scaler.transform(observed_tpm, ONE)
            for i, row in enumerate(rows):
                sample_rows[cohort.obs.index[row]] = rho_of(predicted_z[i], observed_z[i])
            parts.append((predicted_z, observed_z, raw(1 + predicted_tpm), raw(1 + observed_tpm)))
        pooled = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
        for column, gene in enumerate(cohort.genes):
            z, weights = [], []
            for predicted_z, observed_z, _, _ in parts:
                rho = rho_of(predicted_z[:, column], observed_z[:, column])
                if len(predicted_z) >= min_donors and not np.isnan(rho):
                    z.append(np.arctanh(rho))
                    weights.append(len(predicted_z) - 3)
            gene_rows[tissue, gene] = (
                np.tanh(np.average(z, weights=weights)) if z else np.nan,
                rho_of(pooled[0][:, column], pooled[1][:, column]),
                rho_of(pooled[2][:, column], pooled[3][:, column]),
            )
    return pd.DataFrame(gene_rows, index=CONVENTIONS).T, pd.Series(sample_rows)


@pytest.mark.slow
@pytest.mark.parametrize("model_scale", ["log2_z", "tpm_z"])
@pytest.mark.parametrize("scale", ["log2_z", "tpm_z"])
def test_every_convention_is_scipys(make_cohort, noisy, rho_of, model_scale, scale):
    cohort = make_cohort(n_genes=6)
    predicted = np.float32(noisy(cohort, model_scale))
    predicted[::9, 0] = 7
    scores = score(cohort, predicted, model_scale)
    by_gene, by_sample = references(cohort, predicted, model_scale, scale, rho_of)
    found = scores.gene_wise[scores.gene_wise["scale"] == scale]
    found = found.set_index(["tissue", "gene_id"])
    assert len(found) == 3 * 6
    np.testing.assert_allclose(found[CONVENTIONS], by_gene.loc[found.index], atol=1e-5)
    samples = scores.sample_wise[scores.sample_wise["scale"] == scale].set_index("sample_id")
    assert len(samples) == len(by_sample)
    np.testing.assert_allclose(samples["rho"], by_sample[samples.index], atol=1e-5)
    held_out_in = cohort.fold_of[samples["donor"]].to_numpy()
    assert (samples["fold"].to_numpy() == held_out_in).all()
    for tissue in cohort.targets:
        row = row_of(scores, scale, "per_fold", tissue)
        mean = by_gene.loc[tissue, "rho_per_fold"].mean()
        assert row["mean_rho"] == pytest.approx(mean, abs=1e-5)
        assert row["n_samples"] == (cohort.obs["tissue"] == tissue).sum()
        n_predictable = genes_of(scores, scale, tissue)["predictable"].sum()
        assert row["n_predictable"] == n_predictable > 0


def test_folds_with_few_donors_are_left_out(make_cohort, noisy, rho_of):
    cohort = make_cohort(n_donors=40, present=0.5, n_genes=3, seed=2)
    least = 7
    sizes = cohort.obs["donor"].map(cohort.fold_of).groupby(cohort.obs["tissue"]).value_counts()
    assert (sizes[list(cohort.targets)] < least).any()
    assert (sizes[list(cohort.targets)] >= least).any()
    predicted = np.float32(noisy(cohort))
    settings = AccuracySettings(permutations=9, bootstraps=9, min_donors_per_fold=least)
    found = score(cohort, predicted, "log2_z", settings).gene_wise
    found = found[found["scale"] == "log2_z"].set_index(["tissue", "gene_id"])
    expected, _ = references(cohort, predicted, "log2_z", "log2_z", rho_of, least)
    np.testing.assert_allclose(found[CONVENTIONS], expected.loc[found.index], atol=1e-5)


def test_training_mean_has_no_accuracy_unless_folds_are_pooled(make_cohort):
    cohort = make_cohort(n_donors=90, n_genes=40, n_folds=5)
    scores = score(cohort, np.zeros(cohort.expr_tpm.shape), "log2_z")
    table = scores.gene_wise
    assert (table["rho_per_fold"] == 0).all()
    assert (table["p"] == 1).all()
    assert not table["predictable"].any()
    log2 = table[table["scale"] == "log2_z"]
    assert (log2["rho_pooled_z"] == 0).all()
    assert -0.35 < log2["rho_pooled_raw"].mean() < -0.1
    assert row_of(scores, "tpm_z", "per_fold")["mean_rho"] == 0
    samples = scores.sample_wise
    assert (samples.loc[samples["scale"] == "log2_z", "rho"] == 0).all()


def test_unrelated_predictions_give_uniform_p_and_lie_in_the_null_interval(make_cohort):
    cohort = make_cohort(n_genes=250, n_folds=2, targets=("Liver", "Lung"))
    rng = np.random.default_rng(3)
    shape = cohort.expr_tpm.shape
    donor_wide = rng.standard_normal((shape[0], 1))
    predicted = rng.standard_normal(shape) + 0.2 * donor_wide
    settings = AccuracySettings(permutations=100, bootstraps=20, null_genes=100)
    scores = score(cohort, predicted, "log2_z", settings, learned=False)
    for scale in ("log2_z", "tpm_z"):
        for tissue in cohort.targets:
            assert kstest(genes_of(scores, scale, tissue)["p"], "uniform").pvalue > 1e-3
            assert genes_of(scores, scale, tissue)["predictable"].sum() <= 1
        for convention in ("per_fold", "pooled_z", "pooled_raw", "per_sample"):
            row = row_of(scores, scale, convention)
            width = row["null_high"] - row["null_low"]
            assert row["null_low"] - width / 2 < row["mean_rho"] < row["null_high"] + width / 2


@pytest.mark.slow
def test_null_interval_is_that_of_permuted_donors(make_cohort, noisy, rho_of):
    """Permute predictions within fold and tissue by hand, and score them as predictions."""
    cohort = make_cohort(n_genes=5, targets=("Liver",), n_donors=45)
    predicted = np.float32(noisy(cohort))
    settings = AccuracySettings(permutations=2000, bootstraps=2)
    scores = score(cohort, predicted, "log2_z", settings, learned=False)
    rng = np.random.default_rng(4)
    means = {"rho_per_fold": [], "rho_pooled_z": [], "per_sample": []}
    for _ in range(60):
        shuffled = predicted.copy()
        for fold in range(cohort.n_folds):
            rows = cohort.held_out_rows(fold)
            shuffled[rows] = predicted[rng.permutation(rows)]
        by_gene, by_sample = references(cohort, shuffled, "log2_z", "log2_z", rho_of)
        for key in ("rho_per_fold", "rho_pooled_z"):
            means[key].append(by_gene[key].mean())
        means["per_sample"].append(by_sample.mean())
    for key, values in means.items():
        row = row_of(scores, "log2_z", key.removeprefix("rho_"), "Liver")
        centre, half = (row["null_low"] + row["null_high"]) / 2, 1.96 * np.std(values)
        assert centre == pytest.approx(np.mean(values), abs=0.3 * half)
        assert row["null_high"] - row["null_low"] == pytest.approx(2 * half, rel=0.25)


def test_folds_that_learn_from_each_other_have_a_wider_interval(make_cohort, noisy):
    cohort = make_cohort()
    frozen, learned = (
        score(cohort, noisy(cohort), "log2_z", FEW, learned=learned).by_tissue
        for learned in (False, True)
    )
    ratio = (learned["ci_high"] - learned["ci_low"]) / (frozen["ci_high"] - frozen["ci_low"])
    assert ratio.between(1.2, 2**0.5 + 1e-6).all()
    pd.testing.assert_series_equal(frozen["mean_rho"], learned["mean_rho"])


@pytest.mark.slow
def test_folds_with_few_donors_lend_no_degrees_of_freedom(make_cohort, noisy):
    cohort = make_cohort(n_donors=22, n_folds=5, present=1.0, targets=("Liver",))
    # Folds of 6, 4, 4, 4 and 4 donors, of which the first alone counts.
    cohort.fold_of[:] = np.repeat(range(5), [6, 4, 4, 4, 4])
    frozen, learned = (
        score(cohort, noisy(cohort), "log2_z", FEW, learned=learned) for learned in (False, True)
    )
    drawn = frozen.draws[frozen.draws["scale"] == "log2_z"].groupby("convention")["mean_rho"]
    for convention, n, n_folds in (("per_fold", 6, 1), ("pooled_z", 22, 5)):
        row = row_of(frozen, "log2_z", convention, "Liver")
        se = drawn.std()[convention] * np.sqrt(n / (n - n_folds))
        half = se * t.ppf(0.975, n - n_folds)
        assert row["ci_high"] - row["mean_rho"] == pytest.approx(half)
        assert row_of(frozen, "log2_z", convention)["ci_high"] == pytest.approx(row["ci_high"])
    for convention, wider in (("per_fold", 1), ("pooled_raw", 2**0.5), ("per_sample", 2**0.5)):
        rows = [row_of(scores, "log2_z", convention, "Liver") for scores in (frozen, learned)]
        for low, high in (("ci_low", "ci_high"), ("null_low", "null_high")):
            narrow, wide = (row[high] - row[low] for row in rows)
            assert wide / narrow == pytest.approx(wider, rel=0.02)


@pytest.mark.slow
def test_intervals_cover_the_population_value(make_cohort):
    """The data are normal on the log scale, so the population value is known."""
    truth = 1 / np.sqrt(1 + 1.5**2)
    settings = AccuracySettings(permutations=1, bootstraps=100)
    covered, points, widths = [], {}, {}
    for seed in range(24):
        cohort = make_cohort(n_genes=6, targets=("Liver", "Lung"), n_donors=70, seed=seed)
        rng = np.random.default_rng(1000 + seed)
        observed = cohort.observed_z("log2_z")
        predicted = observed + 1.5 * rng.standard_normal(observed.shape)
        scores = score(cohort, predicted, "log2_z", settings, learned=False)
        for convention in ("per_fold", "pooled_z", "per_sample"):
            row = row_of(scores, "log2_z", convention)
            if convention != "per_sample":
                covered.append(row["ci_low"] < truth < row["ci_high"])
                middle = (row["ci_low"] + row["ci_high"]) / 2
                assert middle == pytest.approx(row["mean_rho"])
            assert row["ci_low"] < row["mean_rho"] < row["ci_high"]
            points.setdefault(convention, []).append(row["mean_rho"])
            widths.setdefault(convention, []).append(row["ci_high"] - row["ci_low"])
    assert np.mean(covered) > 0.85
    for convention, values in points.items():
        assert np.mean(widths[convention]) == pytest.approx(2 * 1.96 * np.std(values), rel=0.4)


def test_the_same_draws_serve_all_tissues(make_cohort):
    """Tissues that are copies of each other have a mean as uncertain as each of them."""
    cohort = make_cohort(present=1.0, targets=("Liver", "Lung"), n_genes=8)
    rng = np.random.default_rng(6)
    of_tissue = {t: np.flatnonzero(cohort.obs["tissue"] == t) for t in cohort.targets}
    cohort.expr_tpm[of_tissue["Lung"]] = cohort.expr_tpm[of_tissue["Liver"]]
    predicted = rng.standard_normal(cohort.expr_tpm.shape)
    predicted[of_tissue["Lung"]] = predicted[of_tissue["Liver"]]
    scores = score(cohort, predicted, "log2_z")
    for convention in ("per_fold", "pooled_z", "pooled_raw", "per_sample"):
        single = row_of(scores, "log2_z", convention, "Lung")
        mean = row_of(scores, "log2_z", convention)
        for column in ("mean_rho", "ci_low", "ci_high", "null_low", "null_high"):
            assert mean[column] == pytest.approx(single[column], abs=1e-6)


def test_the_null_of_the_mean_knows_that_tissues_share_donors(make_cohort):
    """With one factor a donor, tissues correlate by the share of donors that they have both."""
    cohort = make_cohort(present=0.6, targets=("Liver", "Lung"), n_donors=240, n_genes=2)
    has = cohort.obs.groupby("tissue")["donor"].apply(set)
    n_both = len(has["Liver"] & has["Lung"])
    shared = n_both / np.sqrt(len(has["Liver"]) * len(has["Lung"]))
    assert 0.5 < shared < 0.7
    donors = cohort.obs["donor"].astype("category").cat.codes.to_numpy()
    observed, predicted = np.random.default_rng(8).standard_normal((2, 240))[:, donors, None]
    cohort.expr_tpm = (np.exp2(8 + observed * [1, 1]) - 1).astype(np.float32)
    settings = AccuracySettings(permutations=2000, bootstraps=2)
    scores = score(cohort, predicted * [1, 1], "log2_z", settings)
    for convention in ("per_fold", "pooled_z", "pooled_raw"):
        liver, lung, mean = (
            row["null_high"] - row["null_low"]
            for row in (
                row_of(scores, "log2_z", convention, tissue)
                for tissue in ("Liver", "Lung", MEAN_OF_TISSUES)
            )
        )
        expected = np.sqrt(liver**2 + lung**2 + 2 * shared * liver * lung) / 2
        assert mean == pytest.approx(expected, rel=0.07)
        assert mean > 1.15 * np.sqrt(liver**2 + lung**2) / 2


def test_a_gene_that_one_donor_expresses_is_left_out_and_counted(make_cohort, noisy):
    cohort = make_cohort(n_genes=7)
    predicted = np.float32(noisy(cohort))
    for fold in range(3):
        rows = cohort.held_out_rows(fold)
        for tissue in cohort.targets:
            mine = rows[(cohort.obs["tissue"] == tissue).to_numpy()[rows]]
            cohort.expr_tpm[mine, :2] = 0
            cohort.expr_tpm[mine[2], 0] = 5
            cohort.expr_tpm[mine[2:4], 1] = 5, 7
            predicted[mine, 2] = 0.1
            predicted[mine[2], 2] = 3
    scores = score(cohort, predicted, "log2_z")
    for tissue in cohort.targets:
        found = genes_of(scores, "log2_z", tissue)["rho_per_fold"]
        assert np.isnan(found.iloc[0])
        assert found.iloc[1] != 0
        assert found.iloc[2] == 0
        row = row_of(scores, "log2_z", "per_fold", tissue)
        assert (row["n_genes"], row["n_left_out"]) == (6, 1)
    assert row_of(scores, "log2_z", "per_fold")["n_left_out"] == 1


def test_constant_genes(make_cohort, noisy, rho_of):
    cohort = make_cohort(n_genes=7)
    rows = [cohort.held_out_rows(fold) for fold in range(3)]
    cohort.expr_tpm[:, 0] = 0
    cohort.expr_tpm[rows[1], 1] = 12.3
    cohort.expr_tpm[rows[0], 4] = 0
    cohort.expr_tpm[rows[1], 4] = 0
    predicted = np.float32(noisy(cohort))
    predicted[:, 2] = np.float32(0.3)
    predicted[::2, 2] = np.nextafter(np.float32(0.3), np.float32(1))
    predicted[rows[2], 3] = 0.7
    scores = score(cohort, predicted, "log2_z")
    for scale in ("log2_z", "tpm_z"):
        by_gene, _ = references(cohort, predicted, "log2_z", scale, rho_of)
        for tissue in cohort.targets:
            found = genes_of(scores, scale, tissue)
            unknown, some_folds, constant, one_less, one_fold, *_ = cohort.genes
            assert found.loc[unknown, [*CONVENTIONS, "p", "q"]].isna().all()
            assert not found.loc[unknown, ["predictable", "predictable_paper"]].any()
            assert found.loc[constant, "rho_per_fold"] == 0
            assert found.loc[constant, "p"] == 1
            for gene in (some_folds, one_less, one_fold):
                expected = by_gene.loc[(tissue, gene), "rho_per_fold"]
                assert found.loc[gene, "rho_per_fold"] == pytest.approx(expected, abs=1e-5)
                assert 0 < found.loc[gene, "p"] <= 1
            known = found["rho_per_fold"].drop(unknown)
            row = row_of(scores, scale, "per_fold", tissue)
            assert row["n_genes"] == 6
            assert row["mean_rho"] == pytest.approx(known.mean())


@pytest.mark.slow
def test_blocks_and_gene_samples_change_nothing_they_should_not(make_cohort, noisy):
    cohort = make_cohort(n_genes=23)
    predicted = noisy(cohort)
    whole = score(cohort, predicted, "log2_z")
    blocks = score(cohort, predicted, "log2_z", block_genes=5)
    for name in ("gene_wise", "sample_wise", "by_tissue"):
        pd.testing.assert_frame_equal(getattr(whole, name), getattr(blocks, name), rtol=1e-4)
    settings = AccuracySettings(permutations=40, bootstraps=40, null_genes=8, bootstrap_genes=8)
    sampled = score(cohort, predicted, "log2_z", settings)
    points = ["scale", "tissue", "gene_id", "n", *CONVENTIONS]
    pd.testing.assert_frame_equal(whole.gene_wise[points], sampled.gene_wise[points])
    for convention in ("per_fold", "pooled_z", "pooled_raw"):
        row = row_of(sampled, "log2_z", convention)
        assert row["ci_low"] < row["mean_rho"] < row["ci_high"]
        assert row["null_low"] < row["null_high"] < row["ci_low"]


@pytest.mark.slow
def test_same_seed_same_tables(make_cohort, noisy):
    cohort = make_cohort()
    predicted = noisy(cohort)
    first, again = (score(cohort, predicted, "log2_z").by_tissue for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    other = score(
        cohort, predicted, "log2_z", AccuracySettings(permutations=40, bootstraps=40, seed=1)
    ).by_tissue
    assert (first["ci_low"] != other["ci_low"]).all()
    assert (first["mean_rho"] == other["mean_rho"]).all()


def test_a_tissue_without_training_samples_is_refused(make_cohort):
    cohort = make_cohort(n_donors=12, n_folds=2)
    lung = (cohort.obs["tissue"] == "Lung") & (cohort.obs["donor"].map(cohort.fold_of) == 1)
    keep = ~lung.to_numpy()
    cohort.obs, cohort.expr_tpm = cohort.obs[keep], cohort.expr_tpm[keep]
    with pytest.raises(InputError, match="no training sample of Lung in fold 0"):
        score(cohort, np.zeros(cohort.expr_tpm.shape), "log2_z")


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"permutation": 3}, "permutation"),
        ({"permutations": 0}, "at least 1"),
        ({"min_donors_per_fold": 3}, "at least 4"),
    ],
)
def test_settings_are_checked(values, match):
    with pytest.raises(InputError, match=match):
        AccuracySettings.of(values)


def test_ends_for_few_donors_are_correlations_and_a_card_takes_them(tmp_path):
    cohort = SmallCohort(tmp_path, n_donors=10, n_folds=2, targets=("Liver",), present=1.0)
    rng = np.random.default_rng(0)
    # All genes move together, so a mean over genes is no surer than one of them.
    shared = rng.lognormal(0, 0.6, (len(cohort.expr_tpm), 1))
    cohort.expr_tpm[:] = cohort.expr_tpm.mean(0) * shared
    predicted = np.tile(rng.standard_normal(shared.shape), (1, cohort.n_genes))
    scores = score(cohort, predicted, "log2_z")
    ends = scores.by_tissue[["ci_low", "ci_high", "null_low", "null_high"]]
    assert (ends.abs() <= 1).all(axis=None)
    assert (ends.abs() == 1).any(axis=None)
    coverage = pd.DataFrame({"tissue": ["Liver"], "level": 0.9, "by": "all", "coverage": 0.9})
    card = card_of(scores.by_tissue, [], coverage, ModelCard())
    assert card.accuracy[0].n_samples == 10
