from pathlib import Path

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


def pytest_collection_modifyitems(items):
    # Side by side, but a file's fixtures are made once, and the small run of the workflow, too.
    for item in items:
        folder = Path(item.path).parent.name
        group = folder if folder == "workflow" else str(item.path)
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(group))
