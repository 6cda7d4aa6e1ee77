import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr

from mtm.cohort.cohort import Cohort
from mtm.errors import InputError
from mtm.models.base import Predictor, Training
from mtm.predictions.monitoring import held_out_accuracy, held_out_monitor
from mtm.settings.models.base import ModelParameters


class CopySource(Predictor):
    """Predicts the source sample's own z."""

    Parameters = ModelParameters

    name = "copy_source_of_this_test"
    scale = "log2_z"

    def _fit(self, training):
        return pd.DataFrame()

    def predict(self, inputs, requests):
        rows = requests.single_source(self.name)
        return self.scaler.transform(inputs.expr_tpm[rows], inputs.tissue[rows])

    def state(self):
        return {}

    def restore(self, state):
        pass


@pytest.fixture
def cohort():
    n_donors, n_genes = 16, 8
    rng = np.random.default_rng(0)
    donor, tissue = np.repeat(np.arange(n_donors), 3), np.tile(np.arange(3), n_donors)
    shared = rng.normal(0, 1, (n_donors, n_genes))[donor]
    expr_tpm = np.exp2(6 + shared + rng.normal(0, 1, shared.shape))
    return Cohort(
        expr_tpm.astype(np.float32),
        pd.DataFrame(index=[f"S{i}" for i in range(len(donor))]),
        donor,
        tissue,
        pd.DataFrame(index=[f"D{i:02d}" for i in range(n_donors)]),
        ("Liver", "Lung", "Whole Blood"),
        pd.DataFrame({"symbol": ["G"] * n_genes}, index=[f"g{i}" for i in range(n_genes)]),
    )


def test_monitor_reports_held_out_accuracy(cohort):
    model = CopySource()
    model.fit(Training(cohort.of_donors(cohort.donors.index[:8]), source=2))
    held_out = cohort.of_donors(cohort.donors.index[8:])
    got = held_out_monitor(held_out, "Whole Blood")(model)

    expr_log2 = np.log2(1 + held_out.expr_tpm.astype(float)).reshape(8, 3, 8)
    train = np.log2(1 + cohort.expr_tpm[:24].astype(float)).reshape(8, 3, 8)
    expr_z = np.clip((expr_log2 - train.mean(0)) / train.std(0), -5, 5)
    gene_wise = [
        np.mean([pearsonr(expr_z[:, 2, g], expr_z[:, t, g])[0] for g in range(8)]) for t in (0, 1)
    ]
    sample_wise = [
        np.mean([pearsonr(expr_z[d, 2], expr_z[d, t])[0] for d in range(8)]) for t in (0, 1)
    ]
    assert got["held_out_gene_wise"] == pytest.approx(np.mean(gene_wise), abs=1e-4)
    assert got["held_out_sample_wise"] == pytest.approx(np.mean(sample_wise), abs=1e-4)
    assert set(got) == {"held_out_gene_wise", "held_out_sample_wise"}


def test_a_fold_without_source_samples_is_refused(cohort):
    held_out = cohort.of_donors(cohort.donors.index[8:])
    no_blood = Cohort(
        **{
            **vars(held_out),
            "expr_tpm": held_out.expr_tpm[held_out.tissue != 2],
            "samples": held_out.samples[held_out.tissue != 2],
            "donor": held_out.donor[held_out.tissue != 2],
            "tissue": held_out.tissue[held_out.tissue != 2],
        }
    )
    with pytest.raises(InputError, match="no pair of samples"):
        held_out_monitor(no_blood, "Whole Blood")


def test_light_accuracy_is_the_mean_within_tissues_of_a_fold(make_cohort, noisy, rho_of):
    cohort = make_cohort(n_donors=50, present=0.6, seed=3)
    predicted = np.float32(noisy(cohort))
    predicted[:, 2] = 0
    observed = np.float32(cohort.observed_z("log2_z", clip=5.0))
    light, plain = [], []
    for fold in range(cohort.n_folds):
        rows = cohort.held_out_rows(fold)
        tissue = cohort.obs["tissue"].to_numpy()[rows]
        x, y = np.clip(predicted[rows], -5, 5), observed[rows]
        light.append(held_out_accuracy(x, y, tissue))
        means = []
        for name in np.unique(tissue):
            of_tissue = tissue == name
            if of_tissue.sum() < 5:
                continue
            columns = zip(x[of_tissue].T, y[of_tissue].T, strict=True)
            samples = zip(x[of_tissue], y[of_tissue], strict=True)
            means.append(
                (
                    np.mean([rho_of(a, b) for a, b in columns]),
                    np.mean([rho_of(a, b) for a, b in samples]),
                )
            )
        plain.append(np.mean(means, axis=0))
    found = pd.DataFrame(light)[["gene_wise", "sample_wise"]]
    np.testing.assert_allclose(found, plain, atol=1e-6)


def test_light_accuracy_without_tissues_is_nan():
    values = np.zeros((4, 3))
    assert np.isnan(held_out_accuracy(values, values, np.arange(4))["gene_wise"])
