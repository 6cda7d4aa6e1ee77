import json

import numpy as np
import pandas as pd
import pytest
from tests.hostile.models import certificate

from mtm.errors import InputError
from mtm.models.base import Training
from mtm.models.bundle import read_header, write_bundle
from mtm.models.card import _of_target, card_of, in_words, told
from mtm.models.registry import build, load
from mtm.settings.model_card import ModelCard
from mtm.vocabulary import MEAN_OF_TISSUES

SOURCE = "Whole Blood"


def by_tissue(rho):
    """Return the table of accuracy, with rows that are not the headline's."""
    rows = []
    for scale, level, convention in (
        ("log2_z", "gene_wise", "per_fold"),
        ("log2_z", "gene_wise", "pooled_z"),
        ("log2_z", "sample_wise", "per_sample"),
        ("tpm_z", "gene_wise", "per_fold"),
    ):
        for place, (tissue, value) in enumerate(rho.items()):
            right = (scale, level, convention) == ("log2_z", "gene_wise", "per_fold")
            value = value if right else 0.9
            numbers = {"n_samples": 50 + place, "n_genes": 12, "mean_rho": value}
            ends = {"ci_low": value - 0.1, "ci_high": value + 0.1}
            null = {"null_low": -0.05, "null_high": 0.05}
            key = {"scale": scale, "level": level, "convention": convention, "tissue": tissue}
            rows.append(key | numbers | ends | null)
    return pd.DataFrame(rows)


@pytest.fixture
def card():
    coverage = pd.DataFrame(
        [
            ("Lung", 0.5, "all", 0.51),
            ("Lung", 0.9, "all", 0.91),
            ("Lung", 0.9, "expression", 0.77),
            ("Liver", 0.9, "all", np.nan),
            (MEAN_OF_TISSUES, 0.9, "all", 0.9),
        ],
        columns=["tissue", "level", "by", "coverage"],
    )
    table = by_tissue({"Liver": np.nan, "Lung": 0.4, MEAN_OF_TISSUES: 0.4})
    covariates = by_tissue({"Lung": 0.2, MEAN_OF_TISSUES: 0.2})
    said = ModelCard(licence="Free for research", citation="Somebody (2026)")
    return card_of(table, [covariates], coverage, said)


@pytest.fixture
def bundle(cohort, card, tmp_path):
    model = build("same_gene")
    model.provenance.name, model.provenance.cohort, model.provenance.fold = "mine", "test", "all"
    model.fit(Training(cohort, source=cohort.tissue_index(SOURCE), device="cpu"))
    model.card = card
    model.save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_a_card_has_the_headline_of_every_target_beside_covariates_and_null(card):
    liver, lung = sorted(card.accuracy, key=lambda row: row.target)
    assert (lung.target, lung.n_samples, lung.n_genes) == ("Lung", 51, 12)
    assert (lung.rho, lung.covariates_rho, lung.coverage) == (0.4, 0.2, 0.91)
    assert (lung.ci_low, lung.null_high) == (0.3, 0.05)
    assert (liver.rho, liver.covariates_rho, liver.coverage) == (None, None, None)
    assert card.level == 0.9


def test_a_bundle_gives_its_card_back(bundle, card, cohort, tmp_path):
    model = load(bundle)
    assert model.card == card
    model.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == bundle.read_bytes()
    plain = told(model, read_header(bundle))
    assert json.loads(json.dumps(plain)) == plain
    assert plain["model"] == "mine"
    assert plain["class"] == "same_gene"
    assert plain["for_new_people"]
    assert plain["sources"] == [SOURCE]
    assert plain["n_donors"] == len(cohort.donors)
    sizes = np.bincount(cohort.tissue)
    assert plain["tissues"][1] == {"tissue": cohort.tissues[1], "n_samples": sizes[1]}


def test_words(bundle):
    words = in_words(told(load(bundle), read_header(bundle)))
    assert words["model"] == ["mine (class same_gene)"]
    assert words["accuracy"][1] == (
        "Lung: 0.400 (0.300 to 0.500), covariates alone 0.200, permuted donors -0.050 to 0.050, "
        "90% intervals hold 91.0%; 51 samples, 12 genes"
    )
    assert words["accuracy"][2] == "Liver: not known (50 samples)"
    assert words["licence"] == ["Free for research"]


def test_figures_that_are_nothing_have_no_sign():
    row = {"rho": -0.0004, "ci_low": -0.0021, "ci_high": 0.0013, "covariates_rho": -1e-9,
           "null_low": None, "null_high": None, "coverage": None, "n_samples": 9,
           "n_genes": 8}  # fmt: skip
    told = "0.000 (-0.002 to 0.001), covariates alone 0.000; 9 samples, 8 genes"
    assert _of_target(row, None) == told


def test_a_bundle_of_a_fold_says_so_and_one_without_a_card_has_none(cohort, tmp_path):
    model = build("same_gene")
    model.provenance.fold = "3"
    model.fit(Training(cohort, source=cohort.tissue_index(SOURCE), device="cpu"))
    model.save(tmp_path / "fold3.safetensors")
    loaded = load(tmp_path / "fold3.safetensors")
    plain = told(loaded, read_header(tmp_path / "fold3.safetensors"))
    assert not plain["for_new_people"]
    words = in_words(plain)
    assert words["fold"][0].startswith("3 held out: made to measure accuracy")
    assert words["model"] == ["same_gene"]
    assert words["accuracy"] == ["not recorded"]
    assert words["citation"] == ["not stated"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"accuracy": [{"target": "Moon", "n_samples": 1, "n_genes": 1}]}, "card.accuracy"),
        ({"accuracy": [{"target": "Lung", "n_samples": 1, "n_genes": 1, "rho": 7.0}]}, "rho"),
        ({"accuracy": [{"target": "Lung", "n_samples": -1, "n_genes": 1}]}, "n_samples"),
        ({"accuracy": [{"target": "Lung", "n_samples": 1, "n_genes": 1}] * 2}, "twice"),
        ({"licence": "x" * 3000}, "licence"),
        ({"level": 2.0}, "level"),
        ({"level": None}, "level"),
    ],
)
def test_a_card_that_no_run_makes_is_refused(bundle, change, says):
    model = load(bundle)
    header = model.header()
    write_bundle(bundle, header | {"card": header["card"] | change}, model.arrays())
    with pytest.raises(InputError, match=says):
        load(bundle)


def test_checks_are_told_where_the_bundle_has_limits_alone(cohort, tmp_path):
    model = build("same_gene")
    model.fit(Training(cohort, source=cohort.tissue_index(SOURCE), device="cpu"))
    model.save(tmp_path / "model.safetensors")
    header, source = read_header(tmp_path / "model.safetensors"), model.tissues.index(SOURCE)
    # 24 samples a tissue are too few for limits.
    plain = told(model, header)
    assert plain["unchecked_sources"] == [SOURCE]
    assert in_words(plain)["checks"] == [
        "none: no tissue it predicts from has 25 training samples"
    ]  # fmt: skip
    model.reference.limits[source] = 1
    assert in_words(told(model, header))["checks"] == [
        "of every new sample; 2% of samples like the training donors' are warned of"
    ]
    plain = told(model, header) | {"sources": ["Lung", SOURCE], "unchecked_sources": ["Lung"]}
    assert in_words(plain)["checks"][0].startswith("of new samples but those of Lung; 2% of")
    model.reference = None
    assert in_words(told(model, header))["checks"][0].startswith("none: train it again")


def test_figures_of_a_form_that_lacks_something_are_said_to_be_of_the_whole(bundle):
    model, header = load(bundle), read_header(bundle)
    model.certificate = certificate((len(model.tissues), len(model.genes)))
    whole = "of the model that this form was made from (2 of 9 axes are left), not measured again"
    for of_axes, expected in ((9, whole), (2, None)):
        model.provenance.notes["shareable"] = {"axes": 2, "of_axes": of_axes, "rms_error_z": 0.2}
        plain = told(model, header)
        assert plain["cut"] == (expected and "2 of 9 axes are left")
        words = in_words(plain)
        for name in ("accuracy", "intervals", "reliability"):
            assert (whole in words[name]) == (expected is not None)
        assert whole not in words["checks"]
    # What a bundle of before says, and what anybody may write there.
    for note, said in (
        ({"rank": 3, "of": 6, "rms_error_z": 0.09}, "not all axes are left"),
        ({"rank": 6, "of": 6, "rms_error_z": 1e-7}, None),
        ({"axes": [], "of_axes": {}, "rms_error_z": "x"}, None),
        ("x", None),
    ):
        model.provenance.notes["shareable"] = note
        assert told(model, header)["cut"] == said
