from dataclasses import replace

import numpy as np
import pytest
from cohorts import simulated_cohort
from scipy import stats

from mtm.errors import InputError
from mtm.models.base import Requests, Training
from mtm.models.joint.model import Joint, organs
from mtm.models.joint.silence import LEAST_SHARE
from mtm.models.registry import build, load

SMALL = {"n_factors": 2, "noise_freedom": 0, "noise_rank": 2, "fits": 2, "iterations": 30}


def fitted(cohort, tmp_path=None, **changes):
    model = build("joint", SMALL | changes)
    source = cohort.tissue_index("Whole Blood")
    table = model.fit(Training(cohort, source=source, device="cpu", checkpoint=tmp_path))
    return model, table


def requested(cohort, n_sources, target):
    """Ask for `target` of every donor who has it, from blood first and then other tissues."""
    rows, index = cohort.row_of(), cohort.tissue_index(target)
    donors = np.flatnonzero(rows[:, index] >= 0)
    others = [cohort.tissue_index("Whole Blood")]
    others += [t for t in range(len(cohort.tissues)) if t not in (others[0], index)]
    sources = rows[donors][:, others[:n_sources]]
    sources = np.take_along_axis(sources, np.argsort(sources < 0, axis=1, kind="stable"), 1)
    return Requests(sources, np.full(len(donors), index)), rows[donors, index]


def error(model, cohort, n_sources):
    requests, rows = requested(cohort, n_sources, "Lung")
    observed = model.scaler.transform(cohort.expr_tpm[rows], cohort.tissue[rows])
    return ((model.predict(cohort, requests) - observed) ** 2).mean() / (observed**2).mean()


def test_new_donors_are_told_from_blood_and_better_from_more():
    cohort = simulated_cohort(n_donors=300)
    ids = cohort.donors.index
    model, table = fitted(cohort.of_donors(ids[:150]))
    new = cohort.of_donors(ids[150:])
    ridge = build("ridge", {})
    ridge.fit(Training(cohort.of_donors(ids[:150]), model.tissues.index("Whole Blood")))
    assert error(model, new, 1) < error(ridge, new, 1)
    assert error(model, new, 3) < error(model, new, 1)
    assert list(table.columns) == ["fit", "n_factors", "iteration", "bound", "seconds"]
    assert (table.groupby("fit")["bound"].diff().dropna() > 0).all()


def test_its_sd_falls_with_every_source_and_is_of_the_right_size():
    cohort = simulated_cohort(n_donors=120)
    ids = cohort.donors.index
    model, _ = fitted(cohort.of_donors(ids[:90]))
    new = cohort.of_donors(ids[90:])
    everyone = [requested(new, n, "Lung") for n in (1, 2, 3)]
    all_given = (everyone[-1][0].source_rows >= 0).all(1)
    sds = [model.predict_with_sd(new, requests)[1][all_given] for requests, _ in everyone]
    assert (sds[0] > sds[1]).all()
    assert (sds[1] > sds[2]).all()
    # The same for everyone who brings the same tissues and covariates.
    assert (sds[2] == sds[2][0]).all()
    requests, rows = everyone[0]
    left, sd = model.predict_with_sd(new, requests)
    left -= model.scaler.transform(new.expr_tpm[rows], new.tissue[rows])
    assert np.square(left / sd).mean() == pytest.approx(1, abs=0.3)


def test_its_sd_is_on_the_scale_of_its_predictions_where_it_sees_ranks():
    cohort = simulated_cohort(n_donors=60)
    model, _ = fitted(cohort, inputs="ranks")
    source = cohort.tissue_index("Whole Blood")
    blood = requested(cohort, 2, "Whole Blood")[0]
    asked = replace(blood, source_rows=blood.source_rows[:, 1:])
    sd = model.predict_with_sd(cohort, asked)[1]
    assert model.ranks.tissue == source
    slope, model.ranks = model.ranks.slope, None
    _, plain = model.predict_with_sd(cohort, asked)
    np.testing.assert_allclose(sd, plain * np.abs(slope), rtol=1e-6)
    assert np.abs(slope - 1).max() > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("absent", [True, False])
def test_covariates_that_a_person_has_are_used_without_those_that_are_missing(absent):
    cohort = simulated_cohort(n_donors=80)
    # Both go with what all tissues share.
    blood = cohort.row_of()[:, cohort.tissue_index("Whole Blood")]
    level = stats.zscore(np.log2(1 + cohort.expr_tpm[blood]).mean(1))
    traits = {"sex": 1 + (level > 0.5), "age": 50 + 10 * np.sin(2 * level)}
    cohort = replace(cohort, donors=cohort.donors.assign(**traits))
    model, _ = fitted(cohort, covariates=["sex", "age"])
    requests, _ = requested(cohort, 1, "Lung")
    whole, sd = model.predict_with_sd(cohort, requests)
    donors = cohort.donors.drop(columns="age") if absent else cohort.donors.assign(age=np.nan)
    without = replace(cohort, donors=donors)
    told, told_sd = model.predict_with_sd(without, requests)
    assert np.abs(told - whole).max() > 1e-3
    assert (told_sd > sd).all()
    # The other sex is told otherwise still.
    other = replace(without, donors=donors.assign(sex=3 - donors["sex"]))
    assert np.abs(model.predict(other, requests) - told).max() > 1e-3
    # Each is told as in a table in which all lack the same.
    mixed = replace(cohort, donors=cohort.donors.assign(age=cohort.donors["age"].where(
        np.arange(80) % 2 == 0)))  # fmt: skip
    even = cohort.donor[requests.source_rows[:, 0]] % 2 == 0
    expected = np.where(even[:, None], whole, told)
    np.testing.assert_allclose(model.predict(mixed, requests), expected, atol=1e-5)


def test_a_covariate_of_samples_is_refused():
    cohort = simulated_cohort(n_donors=40)
    cohort = replace(cohort, samples=cohort.samples.assign(rin=7.0))
    with pytest.raises(InputError, match="rin, which samples have"):
        fitted(cohort, covariates=["sex", "rin"])


def test_a_bundle_needs_no_covariates_and_other_sources_may_be_unknown(tmp_path):
    cohort = simulated_cohort(n_donors=40)
    spleen = cohort.tissue == cohort.tissue_index("Liver")
    training = replace(
        cohort,
        **{name: getattr(cohort, name)[~spleen] for name in ("expr_tpm", "donor", "tissue")},
        samples=cohort.samples[~spleen],
    )
    model, _ = fitted(training)
    model.save(tmp_path / "joint.safetensors")
    again = load(tmp_path / "joint.safetensors")
    requests, _ = requested(cohort, 3, "Lung")
    expected = model.predict(cohort, requests)
    np.testing.assert_array_equal(again.predict(cohort, requests), expected)
    bare = replace(cohort, donors=cohort.donors[[]])
    told = again.predict(bare, requests)
    assert np.isfinite(told).all()
    assert np.abs(told - expected).max() > 1e-4
    liver, _ = requested(cohort, 1, "Liver")
    assert np.isfinite(again.predict(cohort, liver)).all()


# Two trials of 30 iterations come first.
@pytest.mark.parametrize("killed_at", [67, 93])
@pytest.mark.slow
def test_a_killed_fit_goes_on_to_the_same_bits(tmp_path, monkeypatch, killed_at):
    cohort = simulated_cohort(n_donors=40)
    options = {"checkpoint_every": 5, "tolerance": 0, "noise_freedom": [0, 20]}
    whole, _ = fitted(cohort, **options)
    import mtm.models.joint.model as module

    real, calls = module.iterate, []

    def killed(*arguments):
        calls.append(1)
        if len(calls) > killed_at:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(module, "iterate", killed)
    with pytest.raises(KeyboardInterrupt):
        fitted(cohort, tmp_path, **options)
    calls.clear()
    killed_at = 1000
    resumed, table = fitted(cohort, tmp_path, **options)
    assert len(calls) <= 60, "trials, or what had been kept, were done again"
    for name, value in whole.state().items():
        np.testing.assert_array_equal(resumed.state()[name], value)
    assert table["iteration"].dropna().tolist() == [*range(1, 31)] * 2


def test_tissues_of_one_organ():
    names = ("Brain - Cortex", "Brain - Spinal cord", "Liver", "Skin")
    assert organs(names).tolist() == [0, 0, 1, 2]


@pytest.mark.slow
def test_the_noise_that_tells_donors_left_out_best_is_chosen(tmp_path):
    cohort = simulated_cohort(n_donors=80)
    options = {"noise_freedom": [0, 20], "checkpoint_every": 5}
    model, table = fitted(cohort, tmp_path, **options)
    trials = table[table["fit"] == "trial"]
    assert list(trials["noise_freedom"]) == [0, 20]
    best = trials.loc[trials["rho"].idxmax()]
    assert model.noise_freedom == model.provenance.notes["noise_freedom"] == best["noise_freedom"]


@pytest.mark.slow
def test_a_tissue_of_noise_is_not_asked_beside_others(tmp_path):
    cohort = simulated_cohort(n_donors=120)
    lung = cohort.tissue_index("Lung")
    of_lung = np.flatnonzero(cohort.tissue == lung)
    others = np.random.default_rng(1).permutation(of_lung)
    cohort.expr_tpm[of_lung] = cohort.expr_tpm[others]
    ids = cohort.donors.index
    model, table = fitted(cohort.of_donors(ids[:90]), noise_freedom=[0, 20])
    alone = table[table["fit"] == "from one tissue"].set_index("tissue")["rho"]
    assert list(alone.index) == list(cohort.tissues)
    assert alone["Lung"] < LEAST_SHARE * alone.median()
    assert model.used_alone == ("Lung",)
    new = cohort.of_donors(ids[90:])
    rows, blood = new.row_of(), new.tissue_index("Whole Blood")
    liver = new.tissue_index("Liver")
    both = np.flatnonzero((rows[:, [blood, lung]] >= 0).all(1))
    target = np.full(len(both), liver)

    def told(model, *given):
        return model.predict(new, Requests(rows[both][:, list(given)], target))

    np.testing.assert_array_equal(told(model, blood, lung), told(model, blood))
    # Of a person who gave nothing else it says what it can.
    assert np.ptp(told(model, lung), axis=0).max() > 0
    sd = model.predict_with_sd(new, Requests(rows[both][:, [lung, blood]], target))[1]
    of_blood = np.tile(model.expected_variance([blood], [liver]), (len(both), 1))
    np.testing.assert_allclose(sd**2, of_blood, rtol=1e-6)
    assert (np.abs(model.expected_variance([lung], [liver]) - of_blood[:1]) > 1e-3).any()
    model.save(tmp_path / "joint.safetensors")
    again = load(tmp_path / "joint.safetensors")
    assert again.used_alone == ("Lung",)
    np.testing.assert_array_equal(told(again, blood, lung), told(model, blood))


def test_each_number_of_factors_is_fitted_as_often(tmp_path):
    options = {"n_factors": [1, 3], "fits": 2, "iterations": 5}
    model, table = fitted(simulated_cohort(n_donors=80), tmp_path, **options)
    assert [fit.factors.shape[2] for fit in model.fits] == [1, 3, 1, 3]
    assert table.groupby("fit")["n_factors"].first().tolist() == [1, 3, 1, 3]


def test_trials_take_some_genes_and_the_fits_all(monkeypatch):
    monkeypatch.setattr("mtm.models.joint.model.MOST_GENES", 7)
    widths = []
    fit = Joint._samples
    monkeypatch.setattr(Joint, "_samples", lambda *a: widths.append(fit(*a)) or widths[-1])
    cohort = simulated_cohort(n_donors=60)
    fitted(cohort, noise_freedom=[0, 20], iterations=2)
    assert [samples.expr_z.shape[1] for samples in widths] == [cohort.n_genes, 7, 7]


def test_genes_that_a_sample_lacks_are_left_out():
    cohort = simulated_cohort(n_donors=120)
    ids = cohort.donors.index
    model, _ = fitted(cohort.of_donors(ids[:60]))
    new = cohort.of_donors(ids[60:])
    requests, _ = requested(new, 1, "Lung")
    plain, plain_sd = model.predict_with_sd(new, requests)
    lacking = replace(new, expr_tpm=new.expr_tpm.copy())
    rows = requests.source_rows[:, 0]
    lacking.expr_tpm[rows[0]] = np.nan
    lacking.expr_tpm[rows[1:4], 6:] = np.nan
    told, sd = model.predict_with_sd(lacking, requests)
    # Whoever lacks nothing is told as before, and who lacks all as one without a sample.
    np.testing.assert_allclose(told[4:], plain[4:], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(sd[4:], plain_sd[4:], rtol=1e-5)
    nobody = Requests(np.array([[-1]]), requests.target[:1], new.donor[rows[:1]])
    np.testing.assert_allclose(told[:1], model.predict(new, nobody), rtol=1e-4, atol=1e-5)
    assert (sd[1:4] > plain_sd[1:4]).mean() > 0.9
    assert (sd[0] > sd[1]).mean() > 0.9
    # Half of the genes say more than as many at their mean.
    filled = replace(new, expr_tpm=lacking.expr_tpm.copy())
    assert np.abs(told[1:4] - plain[1:4]).max() > 1e-3
    mean = model.scaler.inverse(np.zeros((1, 12), np.float32), new.tissue[rows[:1]])
    filled.expr_tpm[rows[1:4], 6:] = mean[0, 6:]
    assert np.abs(model.predict(filled, requests)[1:4] - told[1:4]).max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("n_left", [0, 4])
def test_a_tissue_of_few_samples_tells_nothing_and_gets_its_mean(n_left):
    cohort = simulated_cohort(n_donors=60)
    lung = np.flatnonzero(cohort.tissue == cohort.tissue_index("Lung"))
    kept = np.setdiff1d(np.arange(cohort.n_samples), lung[4:])
    few = replace(
        cohort,
        **{name: getattr(cohort, name)[kept] for name in ("expr_tpm", "donor", "tissue")},
        samples=cohort.samples.iloc[kept],
    )
    if n_left:
        few = few.of_donors(few.donors.index[:n_left])
    model, _ = fitted(few)
    requests, _ = requested(cohort, 1, "Lung")
    assert not model.predict(cohort, requests).any()
    blood, lung, liver = (cohort.tissue_index(name) for name in ("Whole Blood", "Lung", "Liver"))
    assert (model.expected_variance([blood], [lung]) == 1).all()
    with_lung = model.expected_variance([blood, lung], [liver])
    assert (with_lung == model.expected_variance([blood], [liver])).all()
    # Of four donors, none of whose tissues has samples enough, nothing is told at all.
    assert (model.expected_variance([blood], [liver]) == 1).all() == bool(n_left)
