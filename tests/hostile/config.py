"""Configurations: what the dry run says of them."""

from tests.hostile.case import Case
from tests.hostile.files import config, write_cohort, write_config


def prepare(folder):
    """Write the cohort that the configurations name, and an earlier result."""
    write_cohort(folder)
    earlier = folder / "results/small/accuracy"
    earlier.mkdir(parents=True)
    (earlier / "summary.tsv").write_text("earlier\n")


def dry(content):
    """Return the maker of a dry run of a configuration."""
    return lambda folder: write_config(folder, content)


CASES = [
    Case("config", "a good configuration", "accept", dry(config()), r"build_cohort"),
    Case(
        "config",
        "folds.n_folds is text",
        "refuse",
        dry(config(folds={"n_folds": "three"})),
        r"found 'three'; expected integer, at least 1",
        "folds.n_folds",
    ),
]
