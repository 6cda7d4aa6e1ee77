from dataclasses import replace

import numpy as np
import pytest
import torch
from cohorts import simulated_cohort

from mtm.models.base import Requests, Training
from mtm.models.joint.conditional import condition
from mtm.models.registry import build
from mtm.models.requests import predict_with_sd_in_blocks

SMALL = {"n_factors": 2, "noise_rank": 2, "fits": 2, "iterations": 10}


@pytest.fixture(scope="module")
def cohort():
    return simulated_cohort(n_donors=60)


@pytest.fixture(scope="module")
def model(cohort):
    """Fitted without any sample of liver."""
    kept = cohort.tissue != cohort.tissue_index("Liver")
    training = replace(
        cohort,
        **{name: getattr(cohort, name)[kept] for name in ("expr_tpm", "donor", "tissue")},
        samples=cohort.samples[kept],
    )
    fitted = build("joint", SMALL)
    fitted.fit(Training(training, cohort.tissue_index("Whole Blood"), device="cpu"))
    return fitted


def test_variance_is_the_mean_of_all_fits(cohort, model):
    blood, lung, nerve = map(cohort.tissue_index, ("Whole Blood", "Lung", "Nerve - Tibial"))
    known = np.ones(len(model.design), bool)
    of_fits = [condition(fit, [blood, nerve], None, known).variance(lung) for fit in model.fits]
    expected = torch.stack(of_fits).mean(0).numpy()
    found = model.expected_variance([blood, nerve], [nerve, lung])
    assert found.shape == (2, cohort.n_genes)
    np.testing.assert_allclose(found[1], expected, rtol=1e-5)


def test_more_samples_leave_less_and_an_unknown_tissue_leaves_all(cohort, model):
    blood, lung, nerve, liver = map(
        cohort.tissue_index, ("Whole Blood", "Lung", "Nerve - Tibial", "Liver")
    )
    none, one, two = (
        model.expected_variance(given, [lung]) for given in ([], [blood], [blood, nerve])
    )
    assert (two < one).all()
    assert (one < none).all()
    np.testing.assert_array_equal(model.expected_variance([blood, liver], [lung]), one)


def test_a_donor_without_samples_is_told_from_covariates(cohort, model):
    # A sample of a tissue that training never saw says nothing but whose it is.
    liver = np.flatnonzero(cohort.tissue == cohort.tissue_index("Liver"))
    target = np.full(len(liver), cohort.tissue_index("Lung"))
    known = model.predict(cohort, Requests(liver[:, None], target))
    asked = Requests(np.full((len(liver), 1), -1), target, cohort.donor[liver])
    np.testing.assert_allclose(model.predict(cohort, asked), known, atol=1e-6)
    assert known.std(0).min() > 1e-4
    own_sd = [
        np.concatenate([sd for _, sd in predict_with_sd_in_blocks(model, cohort, requests)])
        for requests in (asked, Requests(liver[:, None], target))
    ]
    np.testing.assert_allclose(*own_sd)
    assert build("joint").parameters.without_samples
    assert not build("joint", {"covariates": ()}).parameters.without_samples
    assert not build("ridge").parameters.without_samples
