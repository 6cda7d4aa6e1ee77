"""Configurations of every release stay readable."""

import re
from pathlib import Path

import pytest

from mtm.settings.check import check_config
from mtm.settings.yaml_file import read_values

ROOT = Path(__file__).parents[2]
KEPT = sorted((ROOT / "tests/releases").glob("*/*.yaml"))


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_configuration_of_a_release_is_still_one(path):
    check_config(read_values(path), [path])


def test_every_release_has_its_configurations_kept():
    released = re.findall(r"^## (\d+\.\d+\.\d+) - ", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert released
    assert {path.parent.name for path in KEPT} == set(released)
