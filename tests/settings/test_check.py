import copy
from pathlib import Path

import pytest
import yaml

from mtm.errors import InputError
from mtm.settings.check import check_config

ROOT = Path(__file__).parents[2]
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


def average(*members):
    return {"class": "average", "parameters": {"models": list(members)}}


def checked(**changes):
    config = copy.deepcopy(SMALLEST) | changes
    check_config(config)
    return config


@pytest.mark.parametrize("path", CONFIGS)
def test_configs_of_the_project_are_valid(path):
    check_config(yaml.safe_load((ROOT / path).read_text()))


def test_a_model_may_be_taken_out_whose_bundles_would_go():
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    dropped = config["storage"]["drop_fold_bundles"]
    mine = config | {"models": {k: v for k, v in config["models"].items() if k not in dropped}}
    check_config(copy.deepcopy(mine))
    mine["storage"] = {"drop_fold_bundles": [*dropped, "joint_other"]}
    with pytest.raises(InputError, match="found 'joint_other'.*Did you mean 'joint_others'"):
        check_config(mine)


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


def test_a_model_of_several_seeds_becomes_one_entry_a_seed_and_their_average():
    net = {"class": "mtm", "seeds": [3, 1, 2], "parameters": {"target_scale": "log2_z"}}
    config = checked(models={"net": net, "mean": {"class": "train_mean"}})
    models = config["models"]
    assert list(models) == ["net", "net_seed1", "net_seed2", "net_average", "mean"]
    assert [models[name]["seeds"] for name in models] == [[3], [1], [2], [], []]
    assert models["net_seed1"] == models["net"] | {"seeds": [1]}
    assert models["net_average"]["class"] == "average"
    assert models["net_average"]["parameters"] == {
        "models": ["net", "net_seed1", "net_seed2"],
        "scale": "log2_z",
    }
    # Snakemake's jobs read a configuration that was filled in before.
    again = copy.deepcopy(config)
    check_config(again)
    assert again == config


def test_a_model_shares_the_fits_of_another():
    joint = {"class": "joint", "seeds": [3, 1], "parameters": {"n_factors": 5}}
    others = {"of": "joint", "sources": "others"}
    config = checked(
        models={"joint": joint, "all": others, "mean": others | {"of": "joint_average"}}
    )
    models = config["models"]
    assert models["all"] == models["joint"] | {"of": "joint", "sources": "others", "seeds": []}
    assert models["mean"]["parameters"] == models["joint_average"]["parameters"]
    assert models["joint"]["of"] is None
    again = copy.deepcopy(config)
    check_config(again)
    assert again == config


@pytest.mark.parametrize(
    ("entry", "key", "text"),
    [
        ({"of": "jont", "sources": "others"}, "of", "before it: joint, ridge"),
        ({"of": "late", "sources": "others"}, "of", "before it: joint, ridge"),
        ({"of": "shared", "sources": "others"}, "of", "before it: joint, ridge"),
        ({"of": "joint", "sources": "others", "class": "ridge"}, "class", "that of joint"),
        ({"of": "joint", "sources": "others", "seeds": [1]}, "seeds", "that of joint"),
        (
            {"of": "joint", "sources": "others", "parameters": {"fits": 1}},
            "parameters",
            "that of joint",
        ),
        ({"of": "joint"}, "sources", "others than joint predicts from"),
        ({"of": "ridge", "sources": "others"}, "sources", "class ridge sees one tissue"),
        ({"of": "both", "sources": "others"}, "sources", "class average sees one tissue"),
        ({}, "", "no key 'class'"),
        ({"class": None}, "class", "a class, or a model"),
    ],
)
def test_what_a_model_cannot_share_is_told(entry, key, text):
    models = {
        "joint": {"class": "joint"},
        "ridge": {"class": "ridge"},
        "both": average("joint", "ridge"),
        "shared": {"of": "joint", "sources": ["Lung"]},
        "m": entry,
        "late": {"class": "joint"},
    }
    with pytest.raises(InputError) as caught:
        checked(models=models)
    assert caught.value.where == f"config key models.m.{key}".rstrip(".")
    assert text in str(caught.value)
    assert "\n" not in str(caught.value).strip()


@pytest.mark.parametrize("member", ["net_average", "others"])
def test_an_ensemble_is_not_made_of_the_average_of_seeds(member):
    models = {
        "net": {"class": "joint", "seeds": [0, 7], "sources": ["Lung"]},
        "others": {"of": "net_average", "sources": "others"},
        "own": {"class": "joint", "sources": "others" if member == "others" else ["Lung"]},
        "ens": average(member, "own") | {"class": "ensemble"},
    }
    models["ens"]["sources"] = models["own"]["sources"]
    with pytest.raises(InputError) as caught:
        checked(models=models)
    assert caught.value.where == "config key models.ens.parameters.models"
    assert "Name net, net_seed7 instead" in str(caught.value)
    # One of any models, seeds or not, may be averaged again.
    assert checked(models=models | {"ens": models["ens"] | {"class": "average"}})


def test_one_seed_stays_one_model():
    assert list(checked(models={"net": {"class": "mtm", "seeds": [7]}})["models"]) == ["net"]


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
        ({"models": {"m": {"class": "mtm", "seeds": [1, 1]}}}, "models.m.seeds", "1 twice"),
        (
            {"models": {"m": {"class": "mtm", "seeds": [0, 1]}, "m_seed1": {"class": "mtm"}}},
            "models.m_seed1",
            "models.m.seeds adds m_seed1, m_average",
        ),
        (
            {"models": {"r": {"class": "ridge", "seeds": [0, 1]}}},
            "models.r.seeds",
            "2 seeds of a ridge; expected one at most. Nothing in its fit is random",
        ),
        (
            {"models": {"m": {"class": "mtm", "parameters": {"restart_step": 5}}}},
            "models.m.parameters.restart_step",
            "5 without restarts",
        ),
        (
            {
                "models": {
                    "m": {
                        "class": "mtm",
                        "parameters": {"restarts": 1, "restart_step": 5, "steps": 4},
                    }
                }
            },
            "models.m.parameters.restart_step",
            "at most 4",
        ),
        (
            {"models": {"a": {"class": "average", "parameters": {"models": ["b", "c"]}}}},
            "models.a.parameters.models",
            "'b'",
        ),
        (
            {"models": {"b": {"class": "ridge"}, "a": average("b")}},
            "models.a.parameters.models",
            "two or more",
        ),
        (
            {
                "models": {
                    "b": {"class": "ridge"},
                    "c": {"class": "tissue_average", "sources": "others"},
                    "a": average("b", "c"),
                }
            },
            "models.a.sources",
            "'others', as c",
        ),
        (
            {
                "models": {
                    "b": {"class": "ridge"},
                    "c": {"class": "ridge"},
                    "a": average("b", "c") | {"seeds": [1]},
                }
            },
            "models.a.seeds",
            "not trained",
        ),
        (
            {
                "models": {
                    "b": {"class": "ridge"},
                    "c": {"class": "covariates"},
                    "both": average("b", "c"),
                    "a": average("b", "both") | {"class": "ensemble"},
                }
            },
            "models.a.parameters.models",
            "Name b, c instead",
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


TWO = {"a": {"class": "ridge"}, "b": {"class": "train_mean"}}


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"pairs": [["a", "b"], ["a", "a"]]}, "comparison.pairs.1"),
        ({"venn_models": ["a"]}, "comparison.venn_models"),
        ({"venn_models": ["a", "a"]}, "comparison.venn_models"),
        ({"venn_models": ["a", "b", "c", "d"]}, "comparison.venn_models"),
    ],
)
def test_what_models_cannot_be_compared_by_is_refused_before_any_is_trained(values, where):
    models = TWO | {"c": {"class": "covariates"}, "d": {"class": "same_gene"}}
    with pytest.raises(InputError) as caught:
        checked(models=models, comparison=values)
    assert caught.value.where == f"config key {where}"


@pytest.mark.parametrize(
    "section",
    ["growth", "transfer", "evaluation", "any_sources", "disease", "disease_status",
     "gene_characteristics"],
)  # fmt: skip
def test_the_oracle_is_no_model_where_one_is_fitted_or_taken_elsewhere(section):
    with pytest.raises(InputError) as caught:
        checked(models=TWO, simulation={}, **{section: {"models": ["oracle"]}})
    assert caught.value.where == f"config key {section}.models"
    for able in ("traits", "representations"):
        assert checked(models=TWO, simulation={}, **{able: {"models": ["oracle"]}})


def test_gene_list_stands_in_for_a_gene_model():
    inputs = {**SMALLEST["inputs"], "gene_model": None, "gene_list": "genes.tsv"}
    assert checked(inputs=inputs)["inputs"]["gene_model"] is None


def test_a_configuration_stays_what_yaml_gives():
    """Parameters of rules are compared as text: no tuples, no objects of the library."""
    config = checked(models={"net": {"class": "mtm"}}, simulation={})
    assert yaml.safe_load(yaml.safe_dump(config)) == config
    again = copy.deepcopy(config)
    check_config(again)
    assert again == config


@pytest.mark.parametrize(
    ("section", "values", "where"),
    [
        ("folds", {"seed": True}, "folds.seed"),
        ("folds", {"n_folds": 3.0}, "folds.n_folds"),
        ("folds", {"n_folds": "3"}, "folds.n_folds"),
        ("scaling", {"log2_clip": float("nan")}, "scaling.log2_clip"),
        ("scaling", {"log2_clip": float("inf")}, "scaling.log2_clip"),
        ("accuracy", {"bootstraps": 10**12}, "accuracy.bootstraps"),
        ("training", {"seed": 2**32}, "training.seed"),
        ("comparison", {"pairs": [["mtm"]]}, "comparison.pairs.0"),
        ("comparison", {"roles": {"MTM": 1}}, "comparison.roles.MTM"),
        ("disease", {"hardy_cases": [0, 0]}, "disease.hardy_cases"),
        ("disease", {"kinds": ["hardie"]}, "disease.kinds.0"),
        ("simulation", {"n_external_donors": 7}, "simulation.n_external_donors"),
        ("simulation", {"n_rare_samples": 151}, "simulation.n_rare_samples"),
        ("models", {"m": {"class": "mtm", "parameters": {"steps": 10**12}}},
         "models.m.parameters.steps"),
        ("models", {"m": {"class": "mtm", "parameters": {"encoder_widths": [10**9]}}},
         "models.m.parameters.encoder_widths.0"),
        ("models", {"m": {"class": "teebot", "parameters": {"n_folds": 11}}},
         "models.m.parameters.min_pairs"),
        ("models", {"m": {"class": "ridge", "sources": "others"}}, "models.m.sources"),
        ("models", {"m": {"class": "tissue_average", "sources": 3}}, "models.m.sources"),
    ],
)  # fmt: skip
def test_strange_values_are_refused(section, values, where):
    with pytest.raises(InputError) as caught:
        checked(**{section: values})
    assert caught.value.where == f"config key {where}"
    assert "\n" not in str(caught.value)


def test_whole_numbers_stand_for_decimal_ones():
    assert checked(scaling={"log2_clip": 4})["scaling"]["log2_clip"] == 4


def test_all_problems_come_in_one_message():
    with pytest.raises(InputError) as caught:
        checked(
            cohort="a b",
            modls={},
            folds={"seed": -1, "n_fold": 3},
            models={"net": {"class": "mtm", "parameters": {"steps": -1}}, "odd": {}},
        )
    first, *lines = str(caught.value).splitlines()
    assert first == "6 problems:"
    for where in ("cohort", "modls", "folds.seed", "folds.n_fold", "models.net.parameters.steps"):
        assert sum(line.startswith(f"config key {where}: found") for line in lines) == 1, where
    assert sum("no key 'class'" in line for line in lines) == 1


def test_a_wrong_key_hides_no_other_of_its_section():
    with pytest.raises(InputError) as caught:
        checked(
            models=TWO,
            evaluation={"min_gene_overlap": 7, "models": ["nope"]},
            growth={"modls": [], "models": ["zz"], "donors": [0, 1]},
            comparison={"venn_models": ["a"], "pairs": [["a", "a"]], "roles": {"MTM": 3}},
            folds={"scheme": "held", "n_folds": 1},
        )
    assert sorted(problem.where.removeprefix("config key ") for problem in caught.value.parts) == [
        "comparison.pairs.0",
        "comparison.roles.MTM",
        "comparison.venn_models",
        "evaluation.min_gene_overlap",
        "evaluation.models",
        "folds.scheme",
        "growth.donors.0",
        "growth.donors.1",
        "growth.models",
        "growth.modls",
    ]
    # Sections that disagree within themselves, too.
    with pytest.raises(InputError, match="external.x.*\n.*evaluation.models"):
        checked(evaluation={"external": {"x": {}}, "models": ["nope"]})


def test_a_wrong_key_makes_no_other_of_its_section_wrong():
    for section, values, wrong in (
        ("intervals", {"low_rho": 0.55, "moderate_rho": "x", "high_rho": 0.9}, "moderate_rho"),
        ("ranks", {"width": 90, "heads": "six"}, "heads"),
    ):
        with pytest.raises(InputError) as refused:
            checked(**{section: values})
        assert [part.where for part in refused.value.parts] == [f"config key {section}.{wrong}"]


@pytest.mark.parametrize(
    "section", ["traits", "disease", "gene_characteristics", "representations"]
)
def test_a_baseline_of_ones_own_is_a_model_of_the_run(section):
    with pytest.raises(InputError, match="found 'ridgg'.*Did you mean 'ridge'") as caught:
        checked(models={"ridge": {"class": "ridge"}}, **{section: {"baseline": "ridgg"}})
    assert caught.value.where == f"config key {section}.baseline"
    # That of the default may be missing, and is none of what a filled-in configuration names.
    again = checked(**{section: {"baseline": "mean"}})
    check_config(again)
    checked(**{section: {}})


def test_all_disagreements_come_in_one_message():
    filters = {"exclude_tissues": ["Whole Blood", "Lung"]}
    models = {"m": {"class": "tissue_average", "sources": ["Lung"]}}
    with pytest.raises(InputError) as caught:
        checked(filters=filters, models=models)
    assert len(str(caught.value).splitlines()) == 3


def test_units_of_another_cohort_agree_with_ours():
    config = {
        "cohort": "a",
        "inputs": {"expression": "e.csv", "sample_attributes": "s.csv"},
        "filters": {"gene_biotypes": None},
        "models": {"ridge": {"class": "ridge"}},
        "evaluation": {
            "external": {"b": {"expression": "x", "sample_attributes": "y", "units": "counts"}}
        },
    }
    with pytest.raises(InputError, match="lengths of genes are not read"):
        check_config(copy.deepcopy(config))
    check_config(config | {"inputs": config["inputs"] | {"units": "counts"}})


FILES = ("expression", "sample_attributes", "subject_phenotypes")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"expression": "a.gct"},
        {"hold_out": "center"},
        {"values": ["C1"]},
        dict.fromkeys(FILES, "a") | {"hold_out": "center", "values": ["C1"]},
    ],
)
def test_an_external_evaluation_is_another_cohort_or_a_part_of_this_one(given):
    with pytest.raises(
        InputError, match=r"evaluation\.external\.lab: found .* or hold_out and val"
    ):
        checked(evaluation={"external": {"lab": given}})


def test_external_evaluations_take_files_or_values_of_any_kind():
    site = {"hold_out": "hardy", "values": [0, "C1"]}
    lab = dict.fromkeys(FILES, "a.gct")
    evaluation = checked(evaluation={"external": {"site": site, "lab": lab}})["evaluation"]
    assert evaluation["external"]["site"]["values"] == [0, "C1"]
    assert evaluation["alignments"] == ["none", "log2"]
    with pytest.raises(InputError, match=r"evaluation\.external: found the name 'a/b'"):
        checked(evaluation={"external": {"a/b": lab}})
