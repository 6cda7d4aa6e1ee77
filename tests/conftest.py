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


# What makes the same slow fixture runs on one worker; everything else goes file by file.
TOGETHER = {
    "small run": ("test_small_run.py", "test_readme.py", "test_rerun_hygiene.py"),
    "little run": ("test_little_data.py", "test_late_faults.py"),
}


# Whole runs, and commands on hostile input; they begin first, and of these the longest: what is
# made once for several files is a chain that one worker ends alone.
SLOW = ("tests/workflow/", "tests/hostile/")
CHAINED = [name for names in TOGETHER.values() for name in names]


def pytest_collection_modifyitems(items):
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: (not item.nodeid.startswith(SLOW), _place(item.path.name)))


def _place(name):
    """Return the place of a test's file among those that share what they are made from."""
    return CHAINED.index(name) if name in CHAINED else len(CHAINED)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Spread files, not single tests, unless `--dist` says how: fixtures are made once a file."""
    if config.getvalue("dist") != "load":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            path = nodeid.split("::")[0]
            name = path.rpartition("/")[2]
            return next((group for group, files in TOGETHER.items() if name in files), path)

    config.option.loadscopereorder = False
    return ByFile(config, log)
