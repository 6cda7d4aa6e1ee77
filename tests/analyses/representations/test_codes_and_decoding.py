from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from mtm.analyses.representations.codes import code_similarity
from mtm.analyses.representations.decoding import (
    DecodingPaths,
    _compare_layer,
    decoding_codes,
    decoding_similarity,
    path_similarity,
)
from mtm.analyses.representations.networks import bundles_by_model, untrained
from mtm.analyses.representations.tissue_similarity import mean_log2_expression, pearson_similarity
from mtm.analyses.representations.within_donors import (
    compare_donors,
    mean_by_pair,
    sample_similarity,
    summarise_folds,
)
from mtm.cohort.cohort import Cohort
from mtm.errors import CannotDo, InputError
from mtm.models.base import Training
from mtm.models.baselines import TrainMean
from mtm.models.donors import DonorsKey
from mtm.models.mtm.model import MTM, MTMParameters
from mtm.models.registry import load
from mtm.statistics.resampling import donor_weights

KEY = DonorsKey(b"of these tests")
SOURCE = "Whole Blood"
TISSUES = ("Brain - Amygdala", "Brain - Cortex", "Liver", "Lung", "Skin", SOURCE)
PARAMETERS = MTMParameters(
    target_scale="log2_z", encoder_input="z", encoder_widths=(12,), code_width=6,
    generator_widths=(8, 10), discriminator_widths=(6,), mapping_widths=(4,), noise_width=3,
    steps=1, precision="float32",
)  # fmt: skip


def samples(rng, n_donors=9, n_tissues=4, missing=0.3):
    """Donor and tissue of samples in a random order, some tissues missing."""
    donor, tissue = (grid.ravel() for grid in np.mgrid[:n_donors, :n_tissues])
    kept = rng.permutation(np.flatnonzero(rng.random(len(donor)) >= missing))
    return donor[kept], tissue[kept]


def brute_force(similarity, donor, tissue, weights):
    """Compare all triples of samples in plain loops; donors count `weights` times."""
    n, of_donor = len(donor), {}
    for i in range(n):
        for own in range(n):
            if donor[own] != donor[i] or own == i:
                continue
            for other in range(n):
                if tissue[other] == tissue[own] and donor[other] != donor[i]:
                    win = np.sign(similarity[i, own] - similarity[i, other]) / 2 + 0.5
                    row = (similarity[i, own], similarity[i, other], win, tissue[i], tissue[own])
                    of_donor.setdefault(donor[i], []).append((*row, weights[donor[other]]))
    columns = ["mean_within", "mean_between", "auc", "a", "b", "weight"]
    tables = {key: pd.DataFrame(rows, columns=columns) for key, rows in of_donor.items()}
    means = {
        key: np.average(table[columns[:3]], axis=0, weights=table["weight"])
        for key, table in tables.items()
        if table["weight"].sum() > 0 and weights[key] > 0
    }
    total = np.average(list(means.values()), axis=0, weights=[weights[key] for key in means])
    return means, total, tables


def test_sample_similarity_is_pearsons_and_zero_for_a_constant_code():
    values = np.random.default_rng(0).normal(5, 1, (6, 10)).astype(np.float32)
    np.testing.assert_allclose(sample_similarity(values), np.corrcoef(values), atol=1e-6)
    values[2] = 3.3
    assert not sample_similarity(values)[2].any()


def test_codes_of_a_collapsed_encoder_are_still_told_apart():
    rng = np.random.default_rng(0)
    codes = rng.normal(size=50) + 1e-5 * rng.normal(size=(8, 50))
    similarity = sample_similarity(codes)
    assert (similarity > 1 - 1e-8).all()
    assert len(np.unique(similarity[np.triu_indices(8, 1)])) == 28


def test_comparisons_are_those_of_plain_loops():
    rng = np.random.default_rng(0)
    donor, tissue = samples(rng)
    similarity = sample_similarity(np.round(rng.normal(size=(len(donor), 3)), 1))
    found = compare_donors(similarity, donor, tissue, 19, 30, (0, 0))
    means, total, tables = brute_force(similarity, donor, tissue, np.ones(9))
    table = found.donors.set_index("donor")[["mean_within", "mean_between", "auc"]]
    assert set(table.index) == set(means)
    for key, row in means.items():
        np.testing.assert_allclose(table.loc[key], row, atol=1e-6)
        assert found.donors.set_index("donor").loc[key, "n_comparisons"] == len(tables[key])

    pair = found.by_pair.set_index(["tissue_a", "tissue_b"]).loc[(0, 2)]
    rows = [t[{0, 2} == t[["a", "b"]].apply(set, axis=1)] for t in tables.values()]
    rows = [part for part in rows if len(part)]
    assert pair["n_donors"] == len(rows)
    assert pair["n_comparisons"] == sum(map(len, rows))
    expected = [
        part.groupby("a")[["mean_within", "mean_between", "auc"]].mean().mean() for part in rows
    ]
    np.testing.assert_allclose(pair[["within", "between", "auc"]], sum(expected), atol=1e-5)

    row, column = np.triu_indices(len(donor), 1)
    same = donor[row] == donor[column]
    values = similarity[row, column]
    reference = stats.mannwhitneyu(values[same], values[~same], use_continuity=False)
    by_comparison = {line["comparison"]: line for line in summarise_folds([found], 19)}
    matched, everything = by_comparison["same tissues"], by_comparison["all pairs"]
    names = ["mean_within", "mean_between", "auc"]
    np.testing.assert_allclose([matched[name] for name in names], total, atol=1e-6)
    assert everything["mean_within"] == pytest.approx(values[same].mean(), abs=1e-6)
    assert everything["mean_between"] == pytest.approx(values[~same].mean(), abs=1e-6)
    assert found.rank_sum[0] == reference.statistic
    assert everything["p_as_paper"] == pytest.approx(reference.pvalue, rel=1e-3)


def test_a_tissue_of_one_held_out_donor_counts_it_once():
    # Tissue 1 has one donor, who has nobody to be compared with there, but has in tissue 0.
    rng = np.random.default_rng(2)
    donor, tissue = np.array([0, 1, 2, 2]), np.array([0, 0, 0, 1])
    similarity = sample_similarity(rng.normal(size=(4, 5)))
    alone = compare_donors(similarity, donor, tissue, 1, 2, (0, 0))
    table = mean_by_pair([alone], ("Liver", "Lung"))
    assert table.loc[0, ["n_donors", "n_comparisons"]].tolist() == [1, 2]
    assert table.loc[0, "mean_within"] == pytest.approx(similarity[2, 3])
    assert table.loc[0, "mean_between"] == pytest.approx(similarity[3, :2].mean())

    others = np.repeat([3, 4], 2), np.tile([0, 1], 2)
    more = sample_similarity(rng.normal(size=(4, 5)))
    full = compare_donors(more, *others, 1, 2, (0, 1))
    both = mean_by_pair([alone, full], ("Liver", "Lung")).loc[0]
    assert both["n_donors"] == 3
    own = [similarity[2, 3], more[0, 1], more[2, 3]]
    assert both["mean_within"] == pytest.approx(np.mean(own))


def test_a_bootstrap_sample_weighs_donors_and_never_compares_one_with_itself():
    rng = np.random.default_rng(1)
    donor, tissue = samples(rng)
    similarity = sample_similarity(rng.normal(size=(len(donor), 5)))
    found = compare_donors(similarity, donor, tissue, 1, 6, (4, 2))
    weights = donor_weights(9, 6, np.random.default_rng([4, 2, 1]))
    row, column = np.triu_indices(len(donor), 1)
    same = donor[row] == donor[column]
    for index, drawn in enumerate(weights):
        _, total, _ = brute_force(similarity, donor, tissue, drawn)
        for name, expected in zip(("mean_within", "mean_between", "auc"), total, strict=True):
            numerator, denominator = found.resampled[name]
            assert numerator[index] / denominator[index] == pytest.approx(expected, abs=1e-6)
        between = np.average(
            similarity[row, column][~same],
            weights=(drawn[donor[row]] * drawn[donor[column]])[~same],
        )
        numerator, denominator = found.resampled["all_between"]
        assert numerator[index] / denominator[index] == pytest.approx(between, abs=1e-6)


def test_a_permutation_keeps_tissues_and_the_weights_of_the_statistic():
    # With similarities that depend on tissues alone every permutation gives the observed mean.
    rng = np.random.default_rng(2)
    donor, tissue = samples(rng)
    level = rng.normal(size=(4, 4))
    similarity = ((level + level.T) / 2)[tissue[:, None], tissue[None]]
    found = compare_donors(similarity, donor, tissue, 20, 5, (0, 0))
    matched, everything = summarise_folds([found], 20)
    for row in (matched, everything):
        assert row["null_low"] == pytest.approx(row["mean_within"], abs=1e-6)
        assert row["null_high"] == pytest.approx(row["mean_within"], abs=1e-6)
        assert row["p"] == 1
    assert matched["difference"] == pytest.approx(0, abs=1e-6)
    assert matched["auc"] == 0.5


def random_codes(rng, donor_effect, n_donors=11, n_tissues=4, n_folds=2):
    """Summaries of codes with effects of tissues, and of donors if wanted."""
    parts = []
    for fold in range(n_folds):
        donor, tissue = samples(rng, n_donors, n_tissues)
        codes = rng.normal(size=(n_tissues, 6))[tissue] + rng.normal(size=(len(donor), 6))
        codes += donor_effect * rng.normal(size=(n_donors, 6))[donor]
        seed = (rng.integers(2**32), fold)
        part = compare_donors(sample_similarity(codes), donor, tissue, 99, 60, seed)
        parts.append(part)
    return summarise_folds(parts, 99)


@pytest.mark.slow
def test_p_of_codes_is_uniform_without_donors_in_them():
    rng = np.random.default_rng(11)
    found = [row for _ in range(200) for row in random_codes(rng, 0.0, 8, 3, n_folds=1)]
    rows = pd.DataFrame(found)
    for _, part in rows.groupby("comparison"):
        assert len(part) == 200
        assert stats.kstest(part["p"], "uniform").pvalue > 0.05
    matched = rows[rows["comparison"] == "same tissues"]
    assert matched["auc"].mean() == pytest.approx(0.5, abs=0.02)
    assert matched["difference"].mean() == pytest.approx(0, abs=0.02)


def test_planted_donors_are_found_and_the_sign_is_right():
    matched, everything = random_codes(np.random.default_rng(0), 1.5)
    assert matched["p"] == everything["p"] == 0.01
    assert matched["ci_low"] > 0
    assert matched["auc_low"] > 0.5
    assert matched["mean_within"] > matched["null_high"]
    assert everything["difference"] > 0
    # Codes of a donor that point away from each other.
    rng = np.random.default_rng(0)
    donor, tissue = (grid.ravel() for grid in np.mgrid[:40, :2])
    codes = rng.normal(size=(40, 6))[donor] * np.where(tissue, -1, 1)[:, None]
    part = compare_donors(sample_similarity(codes), donor, tissue, 99, 50, (0, 0))
    matched, _ = summarise_folds([part], 99)
    assert matched["difference"] < -0.5
    assert matched["auc_high"] < 0.5
    assert matched["p"] > 0.9


def small_cohort(n_donors=12, n_genes=15, seed=0):
    rng = np.random.default_rng(seed)
    donor, tissue = (grid.ravel() for grid in np.mgrid[:n_donors, : len(TISSUES)])
    level = rng.normal(4, 2, (len(TISSUES), n_genes))
    person = rng.normal(0, 0.6, (n_donors, n_genes))
    noise = rng.normal(0, 0.2, (len(donor), n_genes))
    genes = pd.Index([f"ENSG{i}.1" for i in range(n_genes)], name="gene_id")
    names = [f"D{i:02d}" for i in range(n_donors)]
    ids = [f"{names[d]}-{t}" for d, t in zip(donor, tissue, strict=True)]
    return Cohort(
        expr_tpm=np.exp2(level[tissue] + person[donor] + noise).astype(np.float32),
        samples=pd.DataFrame(index=pd.Index(ids, name="sample_id")),
        donor=donor,
        tissue=tissue,
        donors=pd.DataFrame({"age": rng.uniform(20, 70, n_donors)}, index=names),
        tissues=TISSUES,
        genes=pd.DataFrame({"symbol": genes}, index=genes),
    )


def without(cohort, rows):
    """Drop samples of a cohort."""
    kept = np.setdiff1d(np.arange(cohort.n_samples), rows)
    fields = {name: getattr(cohort, name)[kept] for name in ("expr_tpm", "donor", "tissue")}
    return replace(cohort, samples=cohort.samples.iloc[kept], **fields)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a cohort, its folds, and bundles of two folds of an MTM trained for a step."""
    folder, cohort = tmp_path_factory.mktemp("bundles"), small_cohort()
    folds = pd.Series(np.arange(12) % 2, cohort.donors.index, name="fold")
    bundles = {}
    for fold in range(2):
        kept = folds.index[folds != fold]
        model = MTM(PARAMETERS.with_(covariates=("age",)))
        model.fit(Training(cohort.of_donors(kept), source=5, seed=fold, device="cpu"))
        bundles[fold] = folder / f"fold{fold}.safetensors"
        model.save(bundles[fold], KEY)
    return cohort, folds, {"m": bundles}


@pytest.mark.slow
def test_several_models_are_told_each_by_itself(run):
    cohort, folds, bundles = run
    alone = code_similarity(cohort, folds, bundles, 9, 9, seed=3, key=KEY)
    both = code_similarity(cohort, folds, bundles | {"n": bundles["m"]}, 9, 9, seed=3, key=KEY)
    for one, two in zip(alone, both, strict=True):
        for name in ("m", "n"):
            of_model = two[two["model"] == name].reset_index(drop=True).assign(model="m")
            pd.testing.assert_frame_equal(of_model, one)
    _, summary = decoding_similarity(
        cohort, TISSUES[5], folds, bundles | {"n": bundles["m"]}, 9, seed=1, key=KEY
    )
    assert set(summary["model"]) == {"m", "n"}


def test_code_tables_hold_every_donor_pair_and_network(run):
    cohort, folds, bundles = run
    donors, by_pair, summary = code_similarity(cohort, folds, bundles, 19, 20, seed=3, key=KEY)
    networks = ["trained", "untrained", "encoder input"]
    assert set(donors["network"]) == set(by_pair["network"]) == set(networks)
    assert list(summary["network"]) == [name for name in networks for _ in range(2)]
    for network, part in donors.groupby("network"):
        assert sorted(part["donor"]) == list(cohort.donors.index)
        assert (part["fold"].to_numpy() == folds[part["donor"]].to_numpy()).all()
        pairs = by_pair[by_pair["network"] == network]
        names = set(zip(pairs["tissue_a"], pairs["tissue_b"], strict=True))
        assert names == set(combinations(TISSUES, 2))
        assert (pairs["n_donors"] == 12).all()
        assert pairs["auc"].mean() == pytest.approx(part["auc"].mean())
    row = summary[(summary["network"] == "trained") & (summary["comparison"] == "all pairs")]
    similarity = []
    for fold, path in bundles["m"].items():
        members = (folds == fold).to_numpy()
        rows = np.flatnonzero(members[cohort.donor])
        codes = load(path).codes(cohort, rows).numpy()
        of_donor = np.corrcoef(codes)[cohort.donor[rows][:, None] == cohort.donor[rows][None]]
        similarity.append((of_donor.sum() - len(rows)) / (len(of_donor) - len(rows)))
    assert row["mean_within"].iloc[0] == pytest.approx(np.mean(similarity), abs=1e-5)
    again = code_similarity(cohort, folds, bundles, 19, 20, seed=3, key=KEY)
    pd.testing.assert_frame_equal(summary, again[2])


def test_untrained_weights_follow_their_seed_and_leave_the_model_alone(run):
    cohort, _, bundles = run
    model, rows = load(bundles["m"][0]), np.arange(10)
    before = model.codes(cohort, rows)
    first, again, other = (untrained(model, seed).codes(cohort, rows) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    assert not torch.allclose(first, before)
    assert torch.equal(model.codes(cohort, rows), before)
    # Before any training the paths to all tissues are one.
    generator = untrained(model, 0).networks["generator"]
    similarity = path_similarity(generator, first, torch.arange(5))
    np.testing.assert_allclose(similarity, 1, atol=1e-6)


@pytest.mark.parametrize("max_values", [1, 100, 2**24])
def test_paths_are_compared_as_in_plain_loops(run, max_values):
    cohort, _, bundles = run
    generator = load(bundles["m"][0]).networks["generator"]
    torch.manual_seed(0)
    for layer in generator.layers:
        torch.nn.init.normal_(layer.gamma)
        torch.nn.init.normal_(layer.beta)
    codes, targets = torch.randn(4, 6), torch.tensor([0, 2, 4])
    found = path_similarity(generator, codes, targets, max_values)
    expected = np.zeros_like(found)
    with torch.no_grad():
        for code in codes:
            paths = [generator.activations(code[None], target[None]) for target in targets]
            for layer in range(3):
                expected[layer] += np.corrcoef([path[layer][0].numpy() for path in paths]) / 4
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_codes_are_decoded_with_their_covariates(run):
    cohort, folds, bundles = run
    model, rows = load(bundles["m"][0]), np.array([5, 11])
    added = decoding_codes(model, cohort, rows) - model.codes(cohort, rows)
    age = cohort.donors["age"].to_numpy()[cohort.donor[rows]]
    training = cohort.donors.loc[folds != 0, "age"]
    # Standardised over samples; every donor has the same number of them here.
    scaled = torch.from_numpy((age - training.mean()) / training.std(ddof=0)).float()
    weight = model.networks["covariates"].weight.detach()
    torch.testing.assert_close(added, scaled[:, None] @ weight[:, :1].T, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("sign", [1, -1])
def test_planted_paths_are_found_with_their_sign(run, tmp_path, sign):
    cohort, folds, bundles = run
    targets = list(TISSUES[:5])
    expression = pearson_similarity(mean_log2_expression(cohort)).loc[targets, targets]
    wanted = np.eye(5) + sign * 0.4 * (expression.to_numpy() - np.eye(5))
    values, vectors = np.linalg.eigh(wanted)
    features = (vectors * np.sqrt(np.maximum(values, 1e-6))) @ np.random.default_rng(0).normal(
        size=(5, 10)
    )
    planted = {"m": {}}
    for fold, path in bundles["m"].items():
        model = load(path)
        for layer in model.networks["generator"].layers:
            width = layer.linear.out_features
            with torch.no_grad():
                layer.gamma.zero_()
                layer.beta[:5] = 50 + torch.from_numpy(features[:, :width]).float()
        planted["m"][fold] = tmp_path / f"fold{fold}.safetensors"
        model.save(planted["m"][fold])
    pairs, summary = decoding_similarity(cohort, SOURCE, folds, planted, 199, seed=0, key=KEY)
    assert len(pairs) == 3 * 10
    assert set(pairs["n_donors"]) == {12}
    assert list(pairs["width"].unique()) == [8, 10, 15]
    assert list(pairs.drop_duplicates("layer")["kind"]) == ["hidden", "hidden", "output"]
    rows = summary[summary["subset"] == "all tissues"].set_index("layer")
    paths = np.corrcoef(features)[np.triu_indices(5, 1)]
    truth = stats.spearmanr(paths, expression.to_numpy()[np.triu_indices(5, 1)]).statistic
    assert truth * sign > 0.3
    assert rows.loc[2, "spearman_rho"] == pytest.approx(truth, abs=0.02)
    assert rows.loc[2, "fold_low"] <= rows.loc[2, "spearman_rho"] <= rows.loc[2, "fold_high"]


def test_bundles_are_put_in_order():
    paths = bundles_by_model(["a0", "a1", "b0", "b1"], ["a", "b"], [0, 1])
    assert paths == {"a": {0: "a0", 1: "a1"}, "b": {0: "b0", 1: "b1"}}


def other_genes(cohort, folds, bundles, folder):
    genes = cohort.genes.rename(index={"ENSG3.1": "ENSG3.2"})
    return replace(cohort, genes=genes), folds, bundles


def other_tissues(cohort, folds, bundles, folder):
    names = tuple("Spleen" if name == "Skin" else name for name in cohort.tissues)
    return replace(cohort, tissues=names), folds, bundles


def other_class(cohort, folds, bundles, folder):
    model = TrainMean()
    model.fit(Training(cohort, source=5, device="cpu"))
    model.save(folder / "mean.safetensors", KEY)
    return cohort, folds, {"m": {**bundles["m"], 0: folder / "mean.safetensors"}}


def leaking_folds(cohort, folds, bundles, folder):
    return cohort, folds, {"m": {0: bundles["m"][1], 1: bundles["m"][0]}}


def missing_bundle(cohort, folds, bundles, folder):
    return cohort, folds, {"m": {0: bundles["m"][0]}}


def donor_without_fold(cohort, folds, bundles, folder):
    return cohort, folds.iloc[1:], bundles


def diverged(cohort, folds, bundles, folder):
    model = load(bundles["m"][0])
    with torch.no_grad():
        model.networks["encoder"].last.weight[0, 0] = torch.nan
    model.save(folder / "nan.safetensors")
    return cohort, folds, {"m": {**bundles["m"], 0: folder / "nan.safetensors"}}


def single_samples(cohort, folds, bundles, folder):
    fold = folds.to_numpy()[cohort.donor]
    return without(cohort, np.flatnonzero((fold == 1) & (cohort.tissue != 5))), folds, bundles


def one_donor_a_fold(cohort, folds, bundles, folder):
    fold = folds.to_numpy()[cohort.donor]
    first = [cohort.donor[fold == number].min() for number in np.unique(fold)]
    return without(cohort, np.flatnonzero(~np.isin(cohort.donor, first))), folds, bundles


def no_blood_in_a_fold(cohort, folds, bundles, folder):
    fold = folds.to_numpy()[cohort.donor]
    return without(cohort, np.flatnonzero((fold == 1) & (cohort.tissue == 5))), folds, bundles


def two_targets(cohort, folds, bundles, folder):
    dropped = np.flatnonzero((cohort.tissue > 1) & (cohort.tissue < 5))
    few = without(cohort, dropped)
    codes = np.where(few.tissue == 5, 2, few.tissue)
    return replace(few, tissue=codes, tissues=(*TISSUES[:2], SOURCE)), folds, bundles


BOTH = [
    (other_genes, ["fold0.safetensors", "15 genes", "ENSG3", "Train the model again"]),
    (other_tissues, ["fold0.safetensors", "6 tissues", "Skin", "Train the model again"]),
    (other_class, ["mean.safetensors", "train_mean", "class mtm"]),
    (leaking_folds, ["fold1.safetensors", "6 held-out donors", "D00"]),
    (missing_bundle, ["model bundles", "fold 1"]),
    (donor_without_fold, ["folds", "D00"]),
    (diverged, ["nan.safetensors", "not finite", "diverged"]),
]
TOO_LITTLE = [
    ("codes", single_samples, ["fold 1 with two tissues", "fewer folds"]),
    ("codes", one_donor_a_fold, ["latent codes"]),
    ("decoding", no_blood_in_a_fold, ["fold 1 with Whole Blood", "fewer folds"]),
    ("decoding", two_targets, ["2 target tissues, fewer than 3", "more tissues"]),
]


def use(analysis, cohort, folds, bundles):
    if analysis == "codes":
        return code_similarity(cohort, folds, bundles, 19, 20, 0, key=KEY)
    return decoding_similarity(cohort, SOURCE, folds, bundles, 19, 0, key=KEY)


@pytest.mark.parametrize("analysis", ["codes", "decoding"])
@pytest.mark.parametrize(("spoil", "words"), BOTH, ids=[case[0].__name__ for case in BOTH])
def test_unusable_input_is_one_clear_error(run, tmp_path, analysis, spoil, words):
    with pytest.raises(InputError) as caught:
        use(analysis, *spoil(*run, tmp_path))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("analysis", "spoil", "words"), TOO_LITTLE, ids=[case[1].__name__ for case in TOO_LITTLE]
)
def test_too_small_a_cohort_is_a_reason_to_leave_out(run, tmp_path, analysis, spoil, words):
    with pytest.raises(CannotDo) as caught:
        use(analysis, *spoil(*run, tmp_path))
    for word in words:
        assert word in str(caught.value)


def test_a_fold_in_which_nothing_can_be_compared_leaves_its_auc_open(run):
    cohort, folds, bundles = run
    donors = cohort.donors.index[np.unique(cohort.donor[folds.to_numpy()[cohort.donor] == 1])]
    alone = cohort.of_donors(cohort.donors.index.difference(donors[1:]))
    _, _, summary = code_similarity(alone, folds, bundles, 19, 20, 0, key=KEY)
    rows = summary[summary["comparison"] == "all pairs"]
    assert np.isfinite(rows[["auc", "auc_fold_low", "auc_fold_high"]]).all(None)


def test_a_fold_whose_paths_are_all_alike_hides_no_other_folds_rho():
    rng = np.random.default_rng(0)
    names = list(TISSUES[:4])
    values = pd.DataFrame(rng.normal(size=(4, 30)), names)
    expression = pearson_similarity(values)
    one = expression.to_numpy()[None]
    for by_fold in ([np.zeros((1, 4, 4)), one], [one, np.zeros((1, 4, 4))]):
        paths = DecodingPaths([8], by_fold, [3, 5])
        _, lines = _compare_layer({"model": "mtm"}, paths, 0, expression, 19, 1)
        assert (lines[0]["fold_low"], lines[0]["fold_high"]) == pytest.approx((1, 1))
