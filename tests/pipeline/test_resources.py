"""Stated memory and disk against what runs of known size took."""

import re
from pathlib import Path

import pytest

from mtm.errors import InputError
from mtm.pipeline.resources import (
    GTEX_V8,
    cohort_size,
    graphics_cards,
    prediction_resources,
    require_disk,
    rule_resources,
    sources_resources,
    training_resources,
)
from mtm.settings.models.base import CohortSize, declared
from mtm.settings.simulation import SimulationSettings

DEMO = CohortSize(1003, 600, 10)
PANEL = CohortSize(17_325, 59, 49)
WIDE = CohortSize(1964, 10_000, 10)
SMALL_MTM = {
    "encoder_widths": [256, 128],
    "code_width": 64,
    "generator_widths": [128, 256],
}
SMALL_MLP = {"encoder_widths": [128, 64], "code_width": 32, "decoder_widths": [64, 128]}
TINY_MTM = {"encoder_widths": [64], "code_width": 16, "generator_widths": [64]}
TINY_MLP = {"encoder_widths": [32], "code_width": 16, "decoder_widths": [32]}


# Bundles of the demo, the 59-gene panel and a cohort of 10,000 genes, bytes.
@pytest.mark.parametrize(
    ("name", "changes", "size", "measured"),
    [
        ("mtm", SMALL_MTM, DEMO, 1_699_506),
        ("mlp", SMALL_MLP, DEMO, 6_385_184),
        ("mlp", {}, PANEL, 1_230_831_392),
        ("mtm", TINY_MTM, WIDE, 6_360_842),
        ("mlp", TINY_MLP, WIDE, 24_625_600),
    ],
)
def test_bundle_of_networks_is_as_measured(name, changes, size, measured):
    bundle = declared(name).of(changes).size(size).bundle_mb * 1e6
    assert 0.97 * measured < bundle < 1.1 * measured


def test_bundle_of_other_models_is_bounded():
    measured = {DEMO: (1_668_705, 966_024, 529_120), WIDE: (52_871_834, 30_490_376, 5_541_810)}
    for size, bundles in measured.items():
        for name, taken in zip(("ridge", "nearest_donors", "teebot"), bundles, strict=True):
            assert declared(name)().size(size).bundle_mb * 1e6 > taken


# Largest resident memory in Snakemake's benchmarks, MB.
@pytest.mark.parametrize(
    ("name", "changes", "size", "measured"),
    [
        ("mtm", SMALL_MTM, DEMO, 590),
        ("mtm", {}, PANEL, 1068),
        ("mlp", {}, PANEL, 5492),
        ("mtm", TINY_MTM, WIDE, 491),
        ("mlp", TINY_MLP, WIDE, 546),
        ("teebot", {}, WIDE, 563),
        ("ridge", {}, WIDE, 445),
    ],
)
def test_training_is_given_the_memory_it_took_and_not_far_more(name, changes, size, measured):
    asked = training_resources([declared(name).of(changes)], size)["mem_mb"]
    assert measured < asked < 2.5 * measured + 2000


def test_prediction_with_many_networks_is_given_room_for_them():
    asked = prediction_resources([declared("mlp")()], PANEL)["mem_mb"]
    assert 2425 < asked < 6000
    # Rules that also load a bundle take the larger of both: `memory_beside_bundle`.
    assert asked > rule_resources(PANEL, 5)["score_external"]["mem_mb"]


def test_any_sources_are_given_room_for_the_bundles_of_all_folds():
    joint = [declared("joint")()]
    assert 700 < sources_resources(joint, PANEL, 5)["mem_mb"] < 3000
    bundle_mb = joint[0].size(GTEX_V8).bundle_mb
    five, ten = (sources_resources(joint, GTEX_V8, n)["mem_mb"] for n in (5, 10))
    assert ten - five == pytest.approx(5 * bundle_mb, abs=200)


def test_a_model_made_of_others_is_given_room_for_their_bundles():
    average, mlp = declared("average")(), declared("mlp")()
    one = prediction_resources([mlp], PANEL)["mem_mb"]
    two = prediction_resources([average, mlp, mlp], PANEL)["mem_mb"]
    assert two - one > 3 * 1230
    # It is trained by reading them and writing one bundle.
    asked = training_resources([average, mlp, mlp], PANEL)
    assert 2400 < asked["disk_mb"] < 3000
    assert asked["mem_mb"] > 2 * 2425


def test_published_networks_of_every_tissue_outgrow_a_small_disk():
    """One perceptron a tissue at 19,291 genes: tens of GB a fold, which nobody expects."""
    parameters = declared("mlp")()
    assert training_resources([parameters], GTEX_V8)["disk_mb"] > 50_000
    unsaved = training_resources([parameters.with_(checkpoint_every=0)], GTEX_V8)
    assert 15_000 < unsaved["disk_mb"] < 20_000
    assert training_resources([declared("mtm")()], GTEX_V8)["disk_mb"] < 5000


def test_other_rules_are_given_what_they_took():
    # Measured on WIDE: memory, and the bytes of text and truth, expression and gene-wise table.
    asked = rule_resources(WIDE, 3)
    memory = {
        "simulate_cohort": 256,
        "build_cohort": 229,
        "score_model": 440,
        "score_partial": 527,
    }
    assert all(asked[rule]["mem_mb"] > taken for rule, taken in memory.items())
    disk = {"simulate_cohort": 224.6, "build_cohort": 85.1, "score_model": 6.9}
    assert all(taken < asked[rule]["disk_mb"] < 3 * taken + 100 for rule, taken in disk.items())


# Largest resident memory in Snakemake's benchmarks, MB: the demo, the panel with 14 models.
@pytest.mark.parametrize(
    ("size", "n_models", "measured"),
    [
        (
            DEMO,
            14,
            {"associate_traits": 455, "compare_dysregulation": 473, "contrast_reference": 409,
             "transfer_model": 451, "draw_figure": 281},
        ),
        (
            PANEL,
            14,
            {"compare_codes": 875, "compare_decoding": 706, "compare_models": 641,
             "compare_tissue_similarity": 252, "draw_figure": 702, "associate_traits": 472},
        ),
    ],
)  # fmt: skip
def test_analyses_are_given_the_memory_they_took(size, n_models, measured):
    asked = rule_resources(size, n_models)
    assert all(asked[rule]["mem_mb"] > taken for rule, taken in measured.items())


def test_every_rule_asks_by_the_size_of_the_cohort():
    asked = rule_resources(DEMO, 3)
    rules = Path(__file__).parents[2] / "workflow" / "rules"
    text = "\n".join(path.read_text() for path in sorted(rules.glob("*.smk")))
    named = set(re.findall(r'RULE_RESOURCES\["(\w+)"\]', text))
    assert set(asked) < named
    assert asked["an analysis to come"] == asked["score_model"]
    blocks = re.findall(r"^ *resources:\n((?: +[^\n]+\n)+?)(?= *\w+:\n)", text, re.MULTILINE)
    assert len(blocks) >= len(asked)
    for block in blocks:
        assert "RULE_RESOURCES" in block or ("mem_mb=" in block and "disk_mb=" in block), block


def test_everything_grows_with_every_side_of_the_cohort():
    small = CohortSize(2000, 5000, 20)
    for larger in (
        CohortSize(20_000, 5000, 20),
        CohortSize(2000, 50_000, 20),
        CohortSize(2000, 5000, 200),
    ):
        for rule, asked in rule_resources(small, 5).items():
            grown = rule_resources(larger, 5)[rule]
            assert all(grown[name] >= asked[name] for name in asked), rule
    compared = rule_resources(small, 50)["compare_models"]
    assert compared["mem_mb"] > rule_resources(small, 5)["compare_models"]["mem_mb"]


def test_simulated_cohort_is_bounded_by_its_settings(tmp_path):
    settings = vars(SimulationSettings())
    size = cohort_size(settings, tmp_path / "filtering.tsv")
    assert size.n_samples >= 1003 + 12
    assert size.n_samples < 2 * 1015
    assert (size.n_genes, size.n_tissues) == (660, 12)


def test_cohort_from_files_is_as_large_as_gtex_until_it_is_built(tmp_path):
    filtering = tmp_path / "filtering.tsv"
    assert cohort_size(None, filtering) == GTEX_V8
    filtering.write_text(
        "step\tn_samples\tn_donors\tn_tissues\tn_genes\tdetail\n"
        "read\t17382\t948\t54\t59\t\n"
        "donors with two samples\t17325\t944\t49\t59\t\n"
    )
    assert cohort_size(None, filtering) == PANEL


def test_too_small_a_disk_is_refused_with_both_figures(tmp_path):
    require_disk(tmp_path, 10_000, 10_000)
    with pytest.raises(InputError, match=r"found 9\.9 GB free; expected 10\.0 GB") as caught:
        require_disk(tmp_path, 10_000, 9_900)
    assert caught.value.where == str(tmp_path)


def test_a_card_is_asked_for_where_there_may_be_one(monkeypatch, tmp_path):
    monkeypatch.setattr("mtm.pipeline.resources.CARD_DRIVERS", (str(tmp_path / "driver"),))
    assert graphics_cards("auto", local=True) == 0
    assert graphics_cards("auto", local=False) == 1
    assert graphics_cards("cuda", local=True) == 1
    assert graphics_cards("cpu", local=False) == 0
    (tmp_path / "driver").touch()
    assert graphics_cards("auto", local=True) == 1
