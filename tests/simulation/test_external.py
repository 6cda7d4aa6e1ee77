"""The simulated external cohort: new donors, the same effects, a batch effect on top."""

import hashlib
from types import SimpleNamespace

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mtm.settings.simulation import SimulationSettings
from mtm.simulation.effects import affected_tissues, draw_expression
from mtm.simulation.external import draw_batch, simulate_external_population, write_external
from mtm.simulation.files import write_truth
from mtm.simulation.population import simulate_population

TISSUES = ("Brain - Cortex", "Lung", "Thyroid", "Whole Blood")
SETTINGS = SimulationSettings(
    n_donors=120,
    n_genes=270,
    n_noncoding=10,
    n_rare_samples=3,
    tissues=TISSUES,
    n_external_donors=300,
    disease_gene_share=0.3,
)
NAMES = {"expression": "expression.tsv", "samples": "samples.tsv", "truth": "truth.h5ad"}


def write(settings, folder):
    paths = {key: folder / name for key, name in NAMES.items()}
    write_external(settings, **paths)
    return SimpleNamespace(**paths)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write(SETTINGS, tmp_path_factory.mktemp("external"))


@pytest.fixture(scope="module")
def expression(files):
    return pd.read_csv(files.expression, sep="\t", index_col=0)


@pytest.fixture(scope="module")
def samples(files):
    return pd.read_csv(files.samples, sep="\t", index_col="sample")


@pytest.fixture(scope="module")
def truth(files):
    return anndata.read_h5ad(files.truth)


@pytest.fixture(scope="module")
def own_truth(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "truth.h5ad"
    write_truth(simulate_population(SETTINGS), path)
    return anndata.read_h5ad(path)


@pytest.fixture(scope="module")
def own_blood():
    """TPM of the cohort's blood, samples in rows, genes in the order of the gene table."""
    population = simulate_population(SETTINGS)
    blocks = [draw_expression(population, k) for k in range(len(SETTINGS.gene_blocks()))]
    sampled = population.samples[population.samples["sampled"]]
    return np.hstack(blocks)[(sampled["tissue"] == "Whole Blood").to_numpy()]


def _audible(truth):
    """Genes that are in the external file and well above the detection limit in blood."""
    column = list(truth.uns["tissues"]).index("Whole Blood")
    return truth.varm["base"][:, column] > 5


def test_equal_settings_write_equal_bytes(files, tmp_path):
    small = SETTINGS.with_(n_external_donors=20)
    first, again = write(small, tmp_path / "first"), write(small, tmp_path / "again")
    other = write(small.with_(seed=2), tmp_path / "other")
    for name in NAMES:
        digests = [
            hashlib.sha256(getattr(each, name).read_bytes()).hexdigest()
            for each in (first, again, other)
        ]
        assert digests[0] == digests[1] != digests[2], name


def test_tables_fit_each_other(expression, samples, truth):
    assert list(expression.columns) == list(samples.index)
    assert len(samples) == SETTINGS.n_external_donors
    assert expression.index.name == "gene_id"
    assert expression.index.is_unique
    assert expression.index.str.fullmatch(r"ENSG\d{11}").all()
    assert len(expression) == SETTINGS.n_all_genes - SETTINGS.n_par_y
    assert np.isfinite(expression.to_numpy()).all()
    assert expression.to_numpy().min() == 0
    assert set(samples["group"]) == {"case", "control"}
    assert 0.4 < (samples["group"] == "case").mean() < 0.6
    assert samples["sex"].isin([1, 2]).all()
    assert samples["age"].between(20, 79).all()
    blood = truth.obs[truth.obs["sampled"].to_numpy()]
    assert set(blood["tissue"]) == {"Whole Blood"}
    assert list(blood["sample_id"]) == list(samples.index)
    assert list(blood["MHT2D"] == 1) == list(samples["group"] == "case")


def test_donors_are_new_and_effects_the_same(truth, own_truth):
    assert not set(truth.obs["donor"]) & set(own_truth.obs["donor"])
    assert set(truth.varm) == set(own_truth.varm)
    for name in truth.varm:
        np.testing.assert_array_equal(truth.varm[name], own_truth.varm[name])
    assert list(truth.uns["tissues"]) == list(own_truth.uns["tissues"])
    assert truth.uns["affected_tissues"] == own_truth.uns["affected_tissues"]


@pytest.mark.parametrize("stream", ["donors", "factors", "samples", "own", "noise"])
def test_no_random_number_is_shared_with_the_cohort(stream):
    external = simulate_external_population(SETTINGS).settings
    ours, theirs = (each.rng(stream, 0).standard_normal(4000) for each in (SETTINGS, external))
    assert abs(stats.pearsonr(ours, theirs).statistic) < 0.06
    same = external.rng("effects", 0).standard_normal(9)
    np.testing.assert_array_equal(same, SETTINGS.rng("effects", 0).standard_normal(9))


def test_without_batch_effect_the_truth_is_the_expectation_of_the_data(tmp_path, truth):
    plain = write(SETTINGS.with_(external_shift=0.0), tmp_path)
    observed = pd.read_csv(plain.expression, sep="\t", index_col=0).to_numpy().T
    blood = truth[truth.obs["sampled"].to_numpy(), ~truth.var_names.str.endswith("_PAR_Y")]
    residual = np.log2(1 + observed) - blood.X
    error = residual.mean(0) / np.maximum(residual.std(0), 1e-9) * np.sqrt(len(residual))
    # Artefacts common to a sample's genes leave the mean over genes free, its size not.
    assert np.mean(np.abs(error) < 2) > 0.85
    assert np.median(np.abs(error)) < 1
    # The truth knows nothing of the batch effect.
    np.testing.assert_array_equal(anndata.read_h5ad(plain.truth).X, truth.X)


def test_batch_effect_breaks_gene_levels_as_planted(expression, own_truth, own_blood):
    genes = _audible(own_truth)
    ids = own_truth.var_names[genes].str.split(".").str[0]
    external = np.log2(expression.loc[ids].to_numpy())
    ours = np.log2(np.maximum(own_blood[:, genes], 0.01))
    shift = external.mean(1) - ours.mean(0)
    batch = [draw_batch(SETTINGS, k) for k in range(len(SETTINGS.gene_blocks()))]
    planted_shift = np.concatenate([shift for shift, _ in batch])[genes]
    stretch = np.concatenate([stretch for _, stretch in batch])[genes]
    assert planted_shift.std() == pytest.approx(1.5, abs=0.25)
    assert stats.pearsonr(shift, planted_shift).statistic > 0.95
    assert np.abs(shift - planted_shift).mean() < 0.35
    ratio = np.log(external.std(1) / ours.std(0))
    assert stats.pearsonr(ratio, np.log(stretch)).statistic > 0.8


def test_alignment_by_gene_mends_what_the_batch_broke(expression, truth, own_truth, own_blood):
    genes = _audible(own_truth)
    ids = own_truth.var_names[genes].str.split(".").str[0]
    external = np.log2(1 + expression.loc[ids].to_numpy().T)
    ours = np.log2(1 + own_blood[:, genes])
    blood = truth[truth.obs["sampled"].to_numpy(), genes].X
    aligned = (external - external.mean(0)) / external.std(0) * ours.std(0) + ours.mean(0)

    def error(values):
        return np.sqrt(np.mean((values - blood) ** 2))

    assert error(external) > 1.3
    assert error(aligned) < 0.5 * error(external)


def test_true_fold_changes_are_the_planted_disease(truth):
    obs = truth.obs
    affected = [t for t in affected_tissues(SETTINGS)["MHT2D"] if t != "Whole Blood"]
    assert affected
    tissues = list(truth.uns["tissues"])
    for tissue in affected:
        here, case = (obs["tissue"] == tissue).to_numpy(), (obs["MHT2D"] == 1).to_numpy()
        planted = truth.varm["MHT2D"][:, tissues.index(tissue)]
        # log2(1+TPM) is log2 TPM where TPM is far above 1.
        genes = truth.varm["base"][:, tissues.index(tissue)] > 5
        fold = truth.X[here & case].mean(0) - truth.X[here & ~case].mean(0)
        touched = genes & (planted != 0)
        assert touched.sum() >= 8
        assert stats.pearsonr(fold[genes], planted[genes]).statistic > 0.6
        slope = stats.linregress(planted[genes], fold[genes]).slope
        assert slope == pytest.approx(1, abs=0.25)
