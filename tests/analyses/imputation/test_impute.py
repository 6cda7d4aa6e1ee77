"""Genes imputed, odd values found, codes probed, through the scripts of the rules."""

from dataclasses import replace

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from elsewhere import BLOOD, Elsewhere
from scripts import run_script

from mtm.analyses.imputation.codes import make_codes
from mtm.analyses.imputation.impute import Fold, blocks_of, impute
from mtm.analyses.imputation.score import score_imputed
from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.errors import InputError
from mtm.figures.registry import make_figure
from mtm.io import read_tsv, write_tsv
from mtm.models.base import Training
from mtm.models.donors import DonorsKey
from mtm.models.registry import build
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.imputation import AutoencoderSettings, Imputation
from mtm.settings.scaling import Scaling
from mtm.vocabulary import MEAN_OF_TISSUES

N_DONORS, N_FOLDS = 90, 2
ACCURACY = AccuracySettings(permutations=40, bootstraps=60)
SMALL = AutoencoderSettings(
    widths=(32,), code_width=8, epochs=25, batch_size=16, learning_rate=0.01
)
SETTINGS = Imputation(
    methods=("gaussian", "vae", "nb", "zinb"), autoencoder=SMALL, random_features=40
)
# Where what a fit reads counts, and not how good it is.
SHORT = SETTINGS.with_(autoencoder=SMALL.with_(epochs=2))
ODD = ("A-020|Liver", 7)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Paths of a cohort, of what the scripts made of it, and counts; a value of it is odd."""
    folder = tmp_path_factory.mktemp("imputation")
    people = Elsewhere(folder, "A", N_DONORS, seed=2)
    people.expr_tpm[people.obs.index.get_loc(ODD[0]), ODD[1]] *= 2**7
    people.write()
    expression, donors = map(str, people.files)
    paths = {"expression": expression, "donors": donors, "folds": str(folder / "folds.tsv")}
    fold = np.where(np.arange(N_DONORS) < 6, -1, np.arange(N_DONORS) % N_FOLDS)
    write_tsv(pd.DataFrame({"donor": people.donors["donor"], "fold": fold}), paths["folds"])
    cohort = Cohort.read(expression, donors)
    mean = 3 * cohort.expr_tpm
    counts = np.random.default_rng(0).negative_binomial(20, 20 / (20 + mean))
    table = pd.DataFrame(counts.T, cohort.genes.index, cohort.samples.index)
    table.rename_axis("gene_id").to_csv(folder / "counts.tsv", sep="\t")
    for name in ("accuracy", "outliers", "zeros", "codes", "probes"):
        paths[name] = str(folder / f"{name}.{'h5ad' if name == 'codes' else 'tsv'}")
    params = {
        "imputation": SETTINGS.model_dump(), "accuracy": ACCURACY.model_dump(), "scaling": {},
        "source": BLOOD, "folds": list(range(N_FOLDS)), "joint": ["joint"],
    }  # fmt: skip
    inputs = {name: paths[name] for name in ("expression", "donors", "folds")}
    run_script(
        "impute_genes", folder / "log", input=inputs | {"counts": str(folder / "counts.tsv")},
        output={name: paths[name] for name in ("accuracy", "outliers", "zeros")},
        params=params, config={"training": {"device": "cpu"}},
    )  # fmt: skip
    key = DonorsKey.write(folder / "donors.key")
    joint = []
    for number in range(N_FOLDS):
        model = build("joint", {"n_factors": [4, 6], "iterations": 3})
        kept = cohort.donors.index[fold != number]
        source = cohort.tissue_index(BLOOD)
        model.fit(Training(cohort.of_donors(kept), source, device="cpu"))
        joint.append(str(folder / f"fold{number}.safetensors"))
        model.save(joint[-1], key)
    run_script(
        "probe_codes", folder / "log",
        input=inputs | {"donors_key": str(folder / "donors.key"), "joint": joint},
        output={name: paths[name] for name in ("codes", "probes")},
        params=params, config={"training": {"device": "cpu"}},
    )  # fmt: skip
    return paths, counts.astype(np.float32), (folder / "log").read_text()


@pytest.mark.slow
def test_other_genes_tell_what_failed_and_the_tissue_mean_tells_nothing(made):
    table = read_tsv(made[0]["accuracy"])
    kept = (table["tissue"] == MEAN_OF_TISSUES) & (table["level"] == "gene_wise")
    rho = table[kept].set_index("method")["mean_rho"]
    assert list(rho.index) == ["tissue_mean", "gaussian", "vae", "nb", "zinb", "average"]
    assert rho["tissue_mean"] == 0
    # Six states make 0.5 of the variance or more.
    assert rho.drop("tissue_mean").min() > 0.3
    assert rho["gaussian"] > 0.6
    whole = table[kept].set_index("method")
    assert (whole["ci_low"] < whole["mean_rho"]).drop("tissue_mean").all()
    assert (whole["explained"] < whole["mean_rho"]).drop("tissue_mean").all()
    assert whole["seconds"]["average"] > whole["seconds"]["vae"] > 0


@pytest.mark.slow
def test_chance_counts_twice_where_genes_tell_each_other():
    """Without signal the means of cohorts spread as their null bands say (methods 6.24)."""
    means, spreads = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        n_donors, n_genes = 60, 25
        values = 8 + rng.standard_normal((n_donors, n_genes))
        names = [f"D{i:02d}" for i in range(n_donors)]
        cohort = Cohort(
            np.exp2(values).astype(np.float32) - 1, pd.DataFrame(index=names), np.arange(n_donors),
            np.zeros(n_donors, int), pd.DataFrame(index=names), (BLOOD,),
            pd.DataFrame({"symbol": ""}, index=[f"G{i}" for i in range(n_genes)]),
        )  # fmt: skip
        folds = pd.Series(np.arange(n_donors) % 3, names)
        imputed = impute(cohort, folds, Imputation(methods=("gaussian",)), Scaling(), "cpu")
        table = score_imputed(cohort, folds, imputed, ACCURACY, Scaling(), "cpu")
        rows = table[(table["method"] == "gaussian") & (table["level"] == "gene_wise")]
        row = rows[rows["tissue"] == BLOOD].iloc[0]
        means.append(row["mean_rho"])
        spreads.append((row["null_high"] - row["null_low"]) / (2 * 1.96))
    # By permutations alone 1.22 in these forty.
    assert 0.75 < np.std(means) / np.mean(spreads) < 1.1


@pytest.mark.slow
def test_a_tissue_that_is_not_scored_is_in_no_mean(made):
    """A tissue of one held-out donor has no rho; what is told of it there is not said of all."""
    cohort, folds = cohort_and_folds(made[0])
    blood, lung = (cohort.tissue == cohort.tissue_index(name) for name in (BLOOD, "Lung"))
    few = (folds.to_numpy()[cohort.donor] == -1) | (cohort.donor == cohort.donor[lung][-1])
    kept = np.flatnonzero(blood | (lung & few))
    cohort = replace(
        cohort, expr_tpm=cohort.expr_tpm[kept], samples=cohort.samples.iloc[kept],
        donor=cohort.donor[kept], tissue=cohort.tissue[kept],
    )  # fmt: skip
    gaussian = Imputation(methods=("gaussian",))
    imputed = impute(cohort, folds, gaussian, Scaling(), "cpu")
    table = score_imputed(cohort, folds, imputed, ACCURACY, Scaling(), "cpu")
    rows = table[(table["method"] == "gaussian") & (table["level"] == "gene_wise")]
    rows = rows.set_index("tissue")
    assert rows["mean_rho"].notna().to_dict() == {
        "Lung": False,
        BLOOD: True,
        MEAN_OF_TISSUES: True,
    }
    assert rows["explained"].notna().all()
    assert rows.loc[MEAN_OF_TISSUES, "explained"] == rows.loc[BLOOD, "explained"]


@pytest.mark.slow
def test_the_odd_value_is_the_farthest_outlier(made):
    table = read_tsv(made[0]["outliers"])
    first = table.iloc[0]
    assert (first["sample_id"], first["symbol"]) == (ODD[0], f"G{ODD[1]}")
    assert first["score"] > 6
    assert first["donor"] == "A-020"
    assert (table["score"].abs() > SETTINGS.outlier).all()
    assert len(table) < 0.01 * 40 * 250


@pytest.mark.slow
def test_no_zero_inflation_is_said_where_there_is_none(made):
    zeros = read_tsv(made[0]["zeros"])
    assert list(zeros["tissue"]) == ["Liver", "Lung", BLOOD, "all tissues"]


def cohort_and_folds(paths):
    return Cohort.read(paths["expression"], paths["donors"]), read_folds(paths["folds"])


def test_every_gene_fails_once():
    blocks = blocks_of(59, 0.2, 0)
    assert sorted(map(len, blocks)) == [11, 12, 12, 12, 12]
    np.testing.assert_array_equal(np.sort(np.concatenate(blocks)), np.arange(59))
    assert [list(part) for part in blocks_of(59, 0.2, 1)] != [list(part) for part in blocks]
    assert len(blocks_of(2, 0.01, 0)) == 2


@pytest.mark.slow
def test_what_failed_is_not_read(made):
    cohort, folds = cohort_and_folds(made[0])
    fold = Fold.of(cohort, folds, 0, Scaling(), 0, made[1])
    blocks = blocks_of(cohort.n_genes, 0.2, 0)
    spoiled = fold.expr_z.copy()
    spoiled[np.ix_(fold.held_out, blocks[1])] = 4.0
    for method in SHORT.methods:
        told, again = (
            replace(fold, expr_z=z).imputed(method, blocks, SHORT, "cpu")[:, blocks[1]]
            for z in (fold.expr_z, spoiled)
        )
        np.testing.assert_array_equal(told, again)


@pytest.mark.slow
def test_held_out_donors_leave_no_trace_in_any_fit(made):
    """Spoil all of a fold's held-out donors but one: nothing said of that one changes."""
    cohort, folds = cohort_and_folds(made[0])
    counts = made[1]
    one_fold = folds.where(folds == 0, -1)
    held_out = (one_fold.reindex(cohort.donors.index) == 0).to_numpy()[cohort.donor]
    kept = np.flatnonzero(held_out & (cohort.donor == cohort.donor[held_out][0]))
    others = np.setdiff1d(np.flatnonzero(held_out), kept)
    spoiled_tpm, spoiled_counts = cohort.expr_tpm.copy(), counts.copy()
    spoiled_tpm[others] = 5 * spoiled_tpm[others][:, ::-1] + 3
    spoiled_counts[others] = 2 * counts[others][:, ::-1] + 1
    spoiled = replace(cohort, expr_tpm=spoiled_tpm)
    plain = impute(cohort, one_fold, SHORT, Scaling(), "cpu", counts)
    again = impute(spoiled, one_fold, SHORT, Scaling(), "cpu", spoiled_counts)
    for method, told in plain.by_method.items():
        np.testing.assert_array_equal(told[kept], again.by_method[method][kept])
        assert np.isnan(told[~held_out]).all()
        if method not in ("tissue_mean",):
            assert (told[others] != again.by_method[method][others]).any()
    codes, codes_again = (
        make_codes(one, one_fold, SHORT, Scaling(), "cpu") for one in (cohort, spoiled)
    )
    unspoiled = np.setdiff1d(np.arange(cohort.n_samples), others)
    for kind in codes.obsm:
        np.testing.assert_array_equal(
            codes.obsm[kind][unspoiled], codes_again.obsm[kind][unspoiled]
        )


@pytest.mark.slow
def test_a_donor_without_a_fold_is_not_trained_on_but_named(made):
    cohort, folds = cohort_and_folds(made[0])
    with pytest.raises(InputError, match="no row for donor A-010"):
        impute(cohort, folds.drop("A-010"), Imputation(methods=("gaussian",)), Scaling(), "cpu")


@pytest.mark.slow
def test_a_seed_gives_the_same_network_and_leaves_others_random_numbers_alone(made):
    cohort, folds = cohort_and_folds(made[0])
    fold = Fold.of(cohort, folds, 0, Scaling(), 0)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    states = [
        fold.autoencoder(fold.expr_z, "gaussian", settings, "cpu")[0].state_dict()
        for settings in (SHORT, SHORT, SHORT.with_(seed=1))
    ]
    assert torch.rand(1) == expected
    first, second, other = (state["decoder.first.weight"] for state in states)
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert (first != other).any()


@pytest.mark.slow
def test_codes_stand_for_every_fold_and_sample(made):
    cohort, folds = cohort_and_folds(made[0])
    codes = anndata.read_h5ad(made[0]["codes"])
    assert codes.n_obs == N_FOLDS * cohort.n_samples
    assert set(codes.obsm) == {"pca", "vae", "vae_penalty", "minus_means", "tissue_z", "joint"}
    fold_of = folds.reindex(codes.obs["donor"].astype(str)).to_numpy()
    np.testing.assert_array_equal(codes.obs["held_out"], fold_of == codes.obs["fold"])
    assert codes.obsm["vae"].shape[1] == 8
    # Two fits of 4 and 6 factors.
    assert codes.obsm["joint"].shape[1] == 20


@pytest.mark.slow
def test_probes_find_tissue_where_it_is_and_not_where_it_was_taken_off(made):
    table = read_tsv(made[0]["probes"])
    assert len(table) == 6 * 5
    score = table.set_index(["code", "target", "probe"])["score"]
    assert score["pca", "tissue", "linear"] > 0.95
    assert score["minus_means", "tissue", "linear"] < 0.6
    assert score["vae", "tissue", "linear"] > score["vae_penalty", "tissue", "linear"] - 0.05
    rows = table[table["target"] == "donor"]
    assert rows["ci_low"].lt(rows["score"]).all()
    assert rows["score"].lt(rows["ci_high"]).all()


@pytest.mark.slow
def test_figures_and_their_data(made):
    drawing, table = make_figure("imputation", {"accuracy": read_tsv(made[0]["accuracy"])})
    assert list(table["method"])[-1] == "average"
    assert [label.get_text() for label in drawing.axes[0].get_yticklabels()][0] == "Tissue mean"
    drawing, table = make_figure("codes_probed", {"probes": read_tsv(made[0]["probes"])})
    assert len(drawing.axes) == 3
    assert list(dict.fromkeys(table["code"]))[0] == "pca"
