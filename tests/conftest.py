import pytest
from cohorts import SmallCohort, noisy_predictions, reference_rho, simulated_cohort


@pytest.fixture
def make_cohort(tmp_path):
    def make(**changes) -> SmallCohort:
        return SmallCohort(tmp_path, **changes)

    return make


@pytest.fixture
def noisy():
    return noisy_predictions


@pytest.fixture
def rho_of():
    return reference_rho


@pytest.fixture
def cohort():
    return simulated_cohort()
