from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from cohorts import simulated_cohort, with_sex_genes

from mtm.cohort.scaling import TissueScaler
from mtm.models.base import Training
from mtm.models.measures import LIMITS, MEASURES, measure, to_badness
from mtm.models.reference import FEWEST_SAMPLES, PREFIX, Reference, limits_of
from mtm.models.registry import build, load, read
from mtm.settings.scaling import Scaling


@pytest.fixture(scope="module")
def cohort():
    """A hundred donors whose first two genes tell their sex."""
    return with_sex_genes(simulated_cohort(n_donors=100, n_genes=150))


@pytest.fixture(scope="module", params=["log2_z", "tpm_z"])
def reference(request, cohort):
    return Reference.fit(cohort, request.param, Scaling())


def test_every_tissue_has_typical_values_within_its_limits(reference, cohort):
    typical = dict(zip(MEASURES, reference.typical.T, strict=True))
    limits = dict(zip(LIMITS, reference.limits.T, strict=True))
    for name in ("rho", "margin", "tpm_sum"):
        assert (limits[f"{name}_low"] < typical[name]).all()
    for name in ("tpm_sum", "distance"):
        assert (limits[f"{name}_high"] > typical[name]).all()
    assert (limits["clipped_high"] >= typical["clipped"]).all()
    assert (limits["sex_high"] == 0).all()
    assert set(reference.sexes.genes.ravel()) == {0, 1, -1}
    counts = np.bincount(cohort.tissue)
    np.testing.assert_array_equal(reference.n_samples, counts)


def test_a_donor_is_measured_by_others_alone():
    """Noise for a tenth of the donors is seen as such, which their own statistics would hide."""
    cohort = simulated_cohort(n_donors=60, n_genes=80, keep=1.0)
    odd = np.isin(cohort.donor, [5, 15, 25])
    expr_tpm = cohort.expr_tpm.copy()
    expr_tpm[odd] = np.random.default_rng(0).exponential(100, (odd.sum(), 80))
    plain = Reference.fit(cohort, "log2_z", Scaling())
    wide = Reference.fit(replace(cohort, expr_tpm=expr_tpm), "log2_z", Scaling())
    place = LIMITS.index("distance_high")
    assert (wide.limits[:, place] > 1.3 * plain.limits[:, place]).all()
    assert np.abs(wide.typical[:, 4] / plain.typical[:, 4] - 1).max() < 0.3


def test_few_samples_and_a_tissue_without_any_have_no_limits():
    cohort = simulated_cohort(n_donors=FEWEST_SAMPLES - 1, keep=1.0)
    known = Reference.fit(cohort, "log2_z", Scaling())
    assert np.isnan(known.limits).all()
    assert np.isnan(known.typical).all()
    cohort = simulated_cohort(n_donors=60, keep=1.0)
    kept = np.flatnonzero(cohort.tissue != 1)
    without = replace(
        cohort,
        expr_tpm=cohort.expr_tpm[kept],
        samples=cohort.samples.iloc[kept],
        donor=cohort.donor[kept],
        tissue=cohort.tissue[kept],
    )
    known = Reference.fit(without, "log2_z", Scaling())
    assert np.isnan(known.limits[1]).all()
    assert np.isfinite(known.limits[[0, 2, 3], :6]).all()


def test_one_tissue_has_no_margin(cohort):
    rows = np.flatnonzero(cohort.tissue == 0)
    alone = replace(
        cohort,
        expr_tpm=cohort.expr_tpm[rows],
        samples=cohort.samples.iloc[rows],
        donor=cohort.donor[rows],
        tissue=np.zeros(len(rows), int),
        tissues=cohort.tissues[:1],
    )
    known = Reference.fit(alone, "log2_z", Scaling())
    assert np.isnan(known.limits[0, LIMITS.index("margin_low")])
    assert np.isfinite(known.limits[0, LIMITS.index("rho_low")])


@pytest.mark.parametrize("n", [40, 300])
def test_limits_refuse_the_stated_share_of_new_samples(n):
    """Seven measures, some alike and some skewed; tissues of other sizes and units."""
    rng = np.random.default_rng(n)

    def draw(size):
        common = rng.normal(size=(size, 1))
        normal = 0.6 * common + rng.normal(size=(size, 7))
        return np.where(np.arange(7) % 2, normal, np.exp(normal / 2))

    tissue = np.repeat([0, 1, 2], [n, 2 * n, 3 * n])
    unit = np.array([1.0, 5.0, 0.5])
    shares = []
    for _ in range(40):
        badness = unit[tissue, None] * draw(6 * n)
        _, limits = limits_of(badness, tissue, np.arange(3), 0.05)
        new = draw(2000)
        shares.append([(unit[t] * new > limits[t]).any(1).mean() for t in range(3)])
    assert 0.03 < np.mean(shares) < 0.055


def test_a_sample_measured_by_hand(cohort):
    scaler = TissueScaler.fit(cohort.expr_tpm, cohort.tissue, 4, "log2_z")
    rows = np.flatnonzero(cohort.tissue == 2)[:5]
    sexes = Reference.fit(cohort, "log2_z", Scaling()).sexes
    found = np.arange(150) != 7
    measured = measure(scaler, sexes, cohort.expr_tpm[rows], 2, found)
    for place, row in enumerate(rows):
        values = pd.Series(cohort.expr_tpm[row][found])
        rho = [values.corr(pd.Series(m[found]), method="spearman") for m in scaler.mean]
        assert measured.rho[place] == pytest.approx(rho[2], abs=1e-5)
        others = [rho[0], rho[1], -1, rho[3]]
        assert measured.best[place] == np.argmax(others)
        assert measured.margin[place] == pytest.approx(rho[2] - max(others), abs=1e-5)
        assert measured.tpm_sum[place] == pytest.approx(cohort.expr_tpm[row].sum(), rel=1e-5)
        z = (np.log2(1 + values.to_numpy()) - scaler.mean[2, found]) / scaler.sd[2, found]
        assert measured.clipped[place] == (np.abs(z) > 5).mean()
        limited = np.sqrt((np.clip(z, -5, 5) ** 2).mean())
        assert measured.distance[place] == pytest.approx(limited, rel=1e-5)
        sex = cohort.donors["sex"].iloc[cohort.donor[row]]
        assert measured.sex_score[place] == pytest.approx(2 * sex - 3, abs=0.3)
    blind = measure(scaler, sexes, cohort.expr_tpm[rows], 2, np.arange(150) != 1)
    assert np.isnan(blind.sex_score).all()


def test_a_constant_sample_fits_nothing(cohort):
    scaler = TissueScaler.fit(cohort.expr_tpm, cohort.tissue, 4, "log2_z")
    measured = measure(scaler, None, np.zeros((1, 150), np.float32), 0)
    assert (measured.rho[0], measured.rho_best[0], measured.tpm_sum[0]) == (0, 0, 0)
    assert np.isfinite(to_badness(measured, np.array([0]), 150)[0, :6]).all()


def test_a_bundle_gives_its_reference_back_and_an_older_one_has_none(cohort, tmp_path):
    model = build("same_gene")
    model.fit(Training(cohort, source=cohort.tissue_index("Whole Blood"), device="cpu"))
    model.save(tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    loaded.save(tmp_path / "again.safetensors")
    first, again = (tmp_path / f"{name}.safetensors" for name in ("model", "again"))
    assert first.read_bytes() == again.read_bytes()
    np.testing.assert_array_equal(loaded.reference.limits, model.reference.limits)
    header, arrays = read(first)
    mine = {name: array for name, array in arrays.items() if name.startswith(PREFIX)}
    # Means over donors and no donor: a few numbers a tissue.
    assert sum(array.size for array in mine.values()) < 50 * len(cohort.tissues)
    model.reference = None
    model.save(tmp_path / "older.safetensors")
    assert load(tmp_path / "older.safetensors").reference is None
