"""The section of external cohorts: a series or files, and presets that are allowed."""

from pathlib import Path

import pytest
import yaml

from mtm.errors import InputError
from mtm.settings.check import check_config
from mtm.settings.external import External

ROOT = Path(__file__).parents[2]
BASE = {
    "cohort": "c",
    "inputs": {"expression": "e.gct", "sample_attributes": "s.tsv", "subject_phenotypes": "p.tsv"},
    "filters": {"gene_biotypes": None},
    "models": {"ridge": {"class": "ridge"}, "joint": {"class": "joint"}},
}


def checked(**changes):
    config = BASE | changes
    check_config(config)
    return config


def test_a_cohort_is_a_series_or_files_with_defaults():
    given = {
        "lab": {"geo": "GSE7", "keep": {"tissue": ["blood", 1]}},
        "own": {"expression": "x.tsv"},
    }
    external = checked(external=given)["external"]
    assert external["lab"]["keep"] == {"tissue": ["blood", 1]}
    assert external["own"]["group"] == {"field": "group", "case": "case", "control": "control"}
    assert checked(external=None)["external"] is None
    # As `--config external=null` gives it.
    assert checked(external="null")["external"] is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, (r"external.lab.geo", "neither a series nor files")),
        ({"geo": "GSE7", "expression": "x"}, ("external.lab.geo", "a series and files")),
        ({"geo": "GSE7", "units": "log2"}, ("external.lab.units", "files beside a series")),
        ({"geo": "GSM7"}, ("external.lab.geo", "GSM7")),
        ({"expression": "x", "platform": "GPL1"}, ("external.lab.platform",)),
        ({"geo": "GSE7", "follow_up": {"a": "b"}}, ("external.lab.donor", "follow_up")),
        ({"geo": "GSE7", "source": "Lung"}, ("external.lab.source", "transfer.models")),
        ({"geo": "GSE7", "groups": {}}, ("external.lab.groups", "Did you mean")),
    ],
)
def test_what_cannot_be_is_told_by_its_key(given, words):
    with pytest.raises(InputError) as caught:
        checked(external={"lab": given})
    assert all(word in str(caught.value) for word in words), caught.value


def test_another_source_needs_models_that_take_any():
    lab = {"lab": {"geo": "GSE7", "source": "Lung"}}
    assert checked(external=lab, transfer={"models": ["joint"]})["external"]["lab"]["source"]


def test_names_are_parts_of_file_names():
    with pytest.raises(InputError, match="external"):
        checked(external={"a/b": {"geo": "GSE7"}})


def test_keys_of_earlier_versions_are_unknown():
    with pytest.raises(InputError, match=r"inputs\.external_expression: found an unknown key"):
        checked(inputs=BASE["inputs"] | {"external_expression": "x"})
    with pytest.raises(InputError, match=r"transfer\.units: found an unknown key"):
        checked(transfer={"units": "log2"})


def test_presets_are_allowed():
    presets = yaml.safe_load((ROOT / "config/geo.yaml").read_text())["external"]
    assert len(presets) == 3
    for name, preset in presets.items():
        assert not list(External.of(preset).problems())
        assert preset["geo"] == name
