import copy
import dataclasses
import typing
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from mtm.errors import InputError
from mtm.models.registry import model_class, model_names
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.check import check_config, key_rows, read_schema, with_key_tables
from mtm.settings.simulation import SimulationSettings

ROOT = Path(__file__).parents[2]
SCHEMA = read_schema(ROOT / "workflow/schemas/config.schema.yaml")
CONFIGS = ["config/config.yaml", "config/demo.yaml", "tests/real/panel.yaml"]
SMALLEST = {
    "cohort": "mine",
    "inputs": {
        "expression": "a.gct",
        "sample_attributes": "b.tsv",
        "subject_phenotypes": "c.tsv",
        "gene_model": "d.gtf",
    },
    "models": {"mean": {"class": "train_mean"}},
}


def checked(**changes):
    config = copy.deepcopy(SMALLEST) | changes
    check_config(config, SCHEMA)
    return config


def test_schema_is_a_valid_schema():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", CONFIGS)
def test_configs_of_the_project_are_valid(path):
    check_config(yaml.safe_load((ROOT / path).read_text()), SCHEMA)


def test_defaults_are_filled_in_at_every_level():
    config = checked(
        models={"net": {"class": "mtm", "parameters": {"steps": 7}}}, folds={"n_folds": 3}
    )
    assert config["source"] == "Whole Blood"
    assert config["folds"] == {"n_folds": 3, "scheme": "published", "seed": 666}
    assert config["models"]["net"]["sources"] == "source"
    assert config["models"]["net"]["parameters"]["steps"] == 7
    assert config["models"]["net"]["parameters"]["batch_size"] == 256
    assert config["simulation"] is None


def test_defaults_are_not_shared_between_configs():
    checked()["filters"]["gene_biotypes"].append("lncRNA")
    assert checked()["filters"]["gene_biotypes"] == ["protein_coding"]


@pytest.mark.parametrize(
    ("changes", "where", "hint"),
    [
        ({"modells": {}}, "modells", "'models'"),
        ({"folds": {"schema": "published"}}, "folds.schema", "'folds.scheme'"),
        ({"n_folds": 3}, "n_folds", "'folds.n_folds'"),
        (
            {"models": {"net": {"class": "mtm", "parameters": {"learning_rat": 0.1}}}},
            "models.net.parameters.learning_rat",
            "'models.net.parameters.learning_rate'",
        ),
        (
            {"models": {"net": {"class": "train_mean", "parameters": {"steps": 1}}}},
            "models.net.parameters.steps",
            "parameters[mtm].steps",
        ),
        ({"simulation": {"n_donor": 20}}, "simulation.n_donor", "'simulation.n_donors'"),
        ({"zzzz": 1}, "zzzz", "config/README.md"),
    ],
)
def test_unknown_key_is_named_with_the_nearest_known_one(changes, where, hint):
    with pytest.raises(InputError) as caught:
        checked(**changes)
    assert caught.value.where == f"config key {where}"
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "where", "text"),
    [
        ({"cohort": "a b"}, "cohort", "'a b'"),
        ({"models": {}}, "models", "{}"),
        ({"models": None}, "models", "nothing (null)"),
        ({"models": {"net": {"class": "mtmm"}}}, "models.net.class", "Did you mean 'mtm'?"),
        ({"models": {"Net 1": {"class": "mtm"}}}, "models", "'Net 1'"),
        ({"models": {"net": {}}}, "models.net", "no key 'class'"),
        ({"folds": {"seed": -1}}, "folds.seed", "at least 0"),
        ({"folds": {"scheme": "holdout"}}, "folds.n_folds", "1 with the scheme holdout"),
        ({"scaling": {"log2_clip": "5e0"}}, "scaling.log2_clip", "without quotes"),
        ({"training": {"device": "tpu"}}, "training.device", "auto, cpu, cuda"),
        ({"filters": {"exclude_tissues": ["Whole Blood"]}}, "filters.exclude_tissues", "source"),
        ({"source": "Lung", "simulation": {}}, "simulation.source", "'Lung'"),
        (
            {"simulation": {}, "models": {"oracle": {"class": "mtm"}}},
            "models.oracle",
            "another name",
        ),
        (
            {
                "filters": {"exclude_tissues": ["Lung"]},
                "models": {"m": {"class": "tissue_average", "sources": ["Lung"]}},
            },
            "models.m.sources",
            "Lung",
        ),
        (
            {"inputs": {**SMALLEST["inputs"], "gene_model": None}},
            "inputs.gene_model",
            "filters.gene_biotypes",
        ),
    ],
)
def test_bad_value_says_which_key_what_was_found_and_what_is_allowed(changes, where, text):
    with pytest.raises(InputError) as caught:
        checked(**changes)
    assert caught.value.where == f"config key {where}"
    assert text in str(caught.value)


def test_gene_list_stands_in_for_a_gene_model():
    inputs = {**SMALLEST["inputs"], "gene_model": None, "gene_list": "genes.tsv"}
    assert checked(inputs=inputs)["inputs"]["gene_model"] is None


def resolved(schema):
    if "$ref" not in schema:
        return schema
    return SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]] | schema


def assert_same_settings(properties, settings):
    """Keys, defaults and choices of a schema are those of a dataclass."""
    hints = typing.get_type_hints(settings)
    properties = {key: resolved(choice) for key, choice in properties.items()}
    defaults = {item.name: item.default for item in dataclasses.fields(settings)}
    stated = {
        key: tuple(choice["default"]) if isinstance(choice["default"], list) else choice["default"]
        for key, choice in properties.items()
    }
    assert stated == defaults
    for key, default in defaults.items():
        assert type(stated[key]) is type(default) or isinstance(default, int | float), key
        choices = typing.get_args(hints[key]) if typing.get_origin(hints[key]) else ()
        if typing.get_origin(hints[key]) is typing.Literal:
            assert set(properties[key]["enum"]) == set(choices), key


@pytest.mark.parametrize("name", model_names())
def test_schema_states_every_parameter_of_every_model(name):
    assert_same_settings(SCHEMA["$defs"][name]["properties"], model_class(name).Parameters)


def test_schema_knows_the_registered_models_alone():
    assert sorted(SCHEMA["$defs"]["model"]["properties"]["class"]["enum"]) == model_names()


@pytest.mark.parametrize(
    ("section", "settings"), [("accuracy", AccuracySettings), ("simulation", SimulationSettings)]
)
def test_schema_states_every_setting_of_the_library(section, settings):
    assert_same_settings(SCHEMA["properties"][section]["properties"], settings)


def schemas_of_objects(node, path=()):
    if isinstance(node, dict):
        if "properties" in node and "description" in node:
            yield ".".join(map(str, path)), node
        for key, child in node.items():
            yield from schemas_of_objects(child, (*path, key))


def test_no_level_takes_unknown_keys():
    levels = dict(schemas_of_objects(SCHEMA))
    assert len(levels) > 10
    assert [
        name for name, node in levels.items() if node["additionalProperties"] is not False
    ] == []


def test_every_key_is_described():
    rows = key_rows(SCHEMA)
    assert len(rows) > 100
    assert [row["key"] for row in rows if len(row["meaning"]) < 5 or not row["allowed"]] == []


def test_manual_has_every_key_as_the_schema_states_it():
    manual = (ROOT / "config/README.md").read_text()
    assert with_key_tables(manual, SCHEMA) == manual, "run: python -m mtm.settings.check"
    missing = [row["key"] for row in key_rows(SCHEMA) if row["key"].split(".")[-1] not in manual]
    assert missing == []
