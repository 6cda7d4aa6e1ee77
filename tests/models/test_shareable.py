"""What bundles hold of single people, and their forms without it."""

from dataclasses import replace

import anndata
import numpy as np
import pandas as pd
import pytest
from tests.cohorts import simulated_cohort
from tests.hostile.models import (
    CLASSES,
    KEY,
    SOURCE,
    TINY,
    bundle_of,
    certificate,
    write_models,
)

import mtm
from mtm import cli
from mtm.errors import InputError
from mtm.models.base import Requests, Training
from mtm.models.bundle import read_header
from mtm.models.card import holds, in_words, told
from mtm.models.header import CardHeader, TargetAccuracy
from mtm.models.registry import build, load, model_names
from mtm.models.requests import held_out_requests

ALL = [*TINY, "dual_ridge"]
# Kinds of bundles that hold single people, and what of them.
INDIVIDUAL = {
    "nearest_donors": {"shared/source", "source_position", "target"},
    "dual_ridge": {"shared/source", "source_position", "dual"},
    "average": {"members/nearest_donors/shared/source"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("bundles")
    write_models(made)
    return made


def test_every_class_is_tried():
    tried = {CLASSES.get(name, name) for name in TINY}
    assert tried == set(model_names()), "TINY of tests/hostile/models.py has every class, small"


@pytest.mark.parametrize("name", ALL)
def test_a_bundle_names_no_donor_and_tells_each_by_the_key(folder, name):
    donors = simulated_cohort().donors.index
    content = bundle_of(folder, name).read_bytes()
    assert not [donor for donor in donors if donor.encode() in content]
    told = load(bundle_of(folder, name), KEY).provenance.training_donors
    assert len(told) == len(donors)
    assert told.among(donors).all()
    assert not told.among([donor + "0" for donor in donors]).any()


@pytest.mark.parametrize("name", ALL)
def test_a_bundle_says_what_it_holds(folder, name):
    model = load(bundle_of(folder, name))
    held = model.individual_arrays()
    for ending in INDIVIDUAL.get(name, ()):
        assert any(array.endswith(ending) for array in held)
    assert bool(held) == (name in INDIVIDUAL)
    said = "individual-level data of 24 donors" if held else "summary statistics only"
    assert holds(model).startswith(said)


@pytest.mark.parametrize("name", ["nearest_donors", "average"])
def test_a_model_that_needs_people_is_not_shared(folder, name):
    with pytest.raises(InputError, match="arrays of single people"):
        load(bundle_of(folder, name)).shareable(4, 1)


def other_people():
    cohort = simulated_cohort(n_donors=12, n_genes=40, seed=5)
    return cohort, held_out_requests(cohort, cohort.donors.index, SOURCE)[0]


@pytest.mark.parametrize("rank", [None, 3])
def test_a_ridge_over_all_axes_predicts_as_over_donors(rank, tmp_path):
    cohort = simulated_cohort(n_genes=40)
    people, requests = other_people()
    model = build("ridge", {"rank": rank})
    model.fit(Training(cohort, source=cohort.tissue_index(SOURCE), device="cpu"))
    model.shareable(99, 1).save(tmp_path / "shared.safetensors")
    shared = load(tmp_path / "shared.safetensors")
    expected = model.predict(people, requests)
    np.testing.assert_allclose(shared.predict(people, requests), expected, atol=2e-5)
    assert holds(shared).startswith("summary")
    told = read_header(tmp_path / "shared.safetensors")["provenance"]["notes"]["shareable"]
    # z-scores sum to 0 over the 24 donors.
    assert (told["axes"], told["error_over"]) == (23, "training donors")
    assert told["rms_error_z"] < 1e-6
    assert (told["of_axes"], shared.cut, model.cut) == (23, "", "")


def test_fewer_axes_change_predictions_as_the_bundle_says(tmp_path):
    cohort = simulated_cohort(n_genes=40)
    people, requests = held_out_requests_of(cohort)
    model = build("ridge")
    model.fit(Training(cohort, source=cohort.tissue_index(SOURCE), device="cpu"))
    whole, before = model.predict(people, requests), np.inf
    for rank in (1, 4, 16):
        shared = model.shareable(rank, 1)
        told = shared.provenance.notes["shareable"]["rms_error_z"]
        assert shared.shared["axes"].shape == (40, rank)
        assert shared.cut == f"{rank} of 23 axes are left"
        # Over all training samples of the source, in every tissue: here over those that have it.
        changed = np.sqrt(np.square(shared.predict(people, requests) - whole).mean())
        assert changed == pytest.approx(told, rel=0.2)
        assert told < before
        before = told
    assert "source" in model.shared
    with pytest.raises(InputError, match="found 24 training samples of Whole Blood"):
        model.shareable(4, 25)


@pytest.mark.parametrize("name", ["ridge", "ridge_of_rank_2"])
def test_coefficients_over_genes_are_cut_down_too(folder, name):
    model = load(bundle_of(folder, name))
    assert "source" not in model.shared
    people = simulated_cohort(n_donors=12, seed=5)
    people = replace(people, samples=people.samples.assign(rin=7.0))
    requests = held_out_requests(people, people.donors.index, SOURCE)[0]
    whole, changes = model.predict(people, requests), []
    for rank in (1, 3, 12):
        shared = model.shareable(rank, 1)
        told = shared.provenance.notes["shareable"]
        assert told["error_over"] == "independent genes"
        assert shared.shared["axes"].shape == (12, min(rank, told["axes"]))
        assert bool(shared.cut) == (told["axes"] < told["of_axes"]) == (rank < 12)
        error = np.abs(shared.predict(people, requests) - whole).max()
        changes.append((error, told["rms_error_z"]))
    assert changes[0] > changes[1] > changes[2]
    assert changes[2][0] < 1e-4
    with pytest.raises(InputError, match="2 axes or more"):
        model.shareable(2, 1).shareable(1, 1)


def held_out_requests_of(cohort):
    return cohort, held_out_requests(cohort, cohort.donors.index, SOURCE)[0]


def test_tissues_of_few_donors_are_left_out(folder):
    model = load(bundle_of(folder, "ridge"))
    counts = model.reference.n_samples
    fewest = int(counts.max())
    shared = model.shareable(4, fewest)
    few = counts < fewest
    assert few.any()
    assert np.isnan(shared.scaler.mean[few]).all()
    assert np.isnan(shared.scaler.sd[few]).all()
    np.testing.assert_array_equal(shared.scaler.mean[~few], model.scaler.mean[~few])
    assert np.isfinite(model.scaler.mean).all()
    model.reference.n_samples[1] = 2
    assert holds(model) == "individual-level data: mean and sd of 1 tissues with under 3 samples"


SPARES = ["ridge", "dual_ridge", "bgex", "covariates", "mlp", "mtm", "joint", "ensemble"]


@pytest.mark.parametrize("name", SPARES)
def test_nothing_that_was_learned_of_a_tissue_of_few_donors_alone_is_shared(
    folder, name, tmp_path
):
    model = load(bundle_of(folder, name))
    lung = model.tissues.index("Lung")
    for part in (model, *getattr(model, "members", {}).values()):
        part.reference.n_samples[lung] = 2
    assert holds(model).startswith("individual-level data")
    model.provenance.notes["tissues_not_fitted"] = "Lung (1 pairs); Liver (2 pairs)"
    model.shareable(4, 3).save(tmp_path / "shared.safetensors")
    shared = load(tmp_path / "shared.safetensors")
    if name == "mlp":
        assert shared.provenance.notes["tissues_not_fitted"] == "Liver (2 pairs)"
    assert holds(shared) == "summary statistics only, of 24 donors"
    of_lung = (f"tissue/{lung}/", f"{lung}/")
    assert not [array for array in shared.arrays() if array.startswith(of_lung)]
    if name == "joint":
        assert not any(fit.factors[lung].any() or fit.own[lung].any() for fit in shared.fits)
        assert all(fit.factors[lung].any() for fit in model.fits)
        # Fits draw loadings to means over tissues, which hold a tissue's own beside the others'.
        assert not any(fit.organ.any() or fit.own_mean.any() for fit in shared.fits)
    if name == "mtm":
        assert all(len(set(values[lung])) == 1 for key, values in shared.arrays().items()
                   if key.endswith(("gamma", "beta")))  # fmt: skip
    if name == "ensemble":
        assert list(shared.weights[lung]) == [0.5, 0.5]
    # The model that it was made of stays whole, and other tissues are told alike.
    elsewhere = simulated_cohort(n_donors=12, n_genes=len(model.genes), seed=5)
    people = replace(elsewhere, samples=elsewhere.samples.assign(rin=7.0))
    requests = held_out_requests(people, people.donors.index, SOURCE)[0]
    kept = requests.target != lung
    other = Requests(requests.source_rows[kept], requests.target[kept])
    whole = model.shareable(40, 1)
    np.testing.assert_allclose(
        model.shareable(40, 3).predict(people, other), whole.predict(people, other), atol=1e-5
    )


def test_a_form_of_members_says_what_each_lacks(folder):
    model = load(bundle_of(folder, "ensemble"))
    assert model.cut == ""
    assert model.shareable(2, 1).cut == "of member ridge 2 of 12 axes are left"
    assert model.shareable(99, 1).cut == ""


@pytest.fixture(scope="module")
def certified(folder, tmp_path_factory):
    """Hold a bundle with all that is told of tissues, Lung of them of too few samples."""
    model = load(bundle_of(folder, "ridge"))
    model.reference.n_samples[model.tissues.index("Lung")] = 4
    model.reference.sexes.votes[:] = 0.5
    shape = len(model.tissues), len(model.genes)
    for part in (model.reference.typical, model.reference.limits):
        part[:] = 0.5
    model.certificate = certificate(shape)
    rows = [TargetAccuracy(target=t, n_samples=9, n_genes=12, rho=0.4) for t in model.tissues]
    model.card = CardHeader(level=0.9, accuracy=tuple(rows[1:]))
    path = tmp_path_factory.mktemp("certified") / "ridge.safetensors"
    model.save(path)
    return path


@pytest.fixture
def exported(certified, tmp_path):
    out = tmp_path / "out.safetensors"
    assert cli.main(["export", str(certified), str(out), "--shareable", "--min-samples", "5"]) == 0
    return out


def test_of_a_tissue_that_is_left_out_its_name_alone_is_shared(certified, exported, capsys):
    model, shared = load(certified), load(exported)
    lung = model.tissues.index("Lung")
    others = np.arange(len(model.tissues)) != lung
    empty = {np.dtype("float32"): (0, np.nan), np.dtype("int32"): (0, -1), np.dtype("uint8"): (0,)}
    names = [name for name in shared.arrays() if name.startswith(("certificate/", "reference/"))]
    assert len(names) == 16
    for name in names:
        values, before = shared.arrays()[name], model.arrays()[name]
        np.testing.assert_array_equal(values[others], before[others])
        cell = np.unique(values[lung])
        assert len(cell) == 1
        assert any(np.array_equal(cell, [one], equal_nan=True) for one in empty[values.dtype])
        if name.startswith("certificate/"):
            assert not np.array_equal(before[lung], values[lung])
    assert "Lung" in model.known_tissues
    assert {row.target for row in shared.card.accuracy} == set(shared.known_tissues[1:])
    words = in_words(told(shared, read_header(exported)))
    assert "Lung" not in str(words)
    assert words["tissues"][0].startswith(f"{others.sum()} (samples): ")
    # The certificate of a bundle without a card.
    shared.card = None
    assert "Lung" not in str(in_words(told(shared, read_header(exported))))


def test_what_is_left_out_is_said(certified, exported, capsys):
    model = mtm.load(exported)
    assert "Lung" not in model.tissues
    cohort = simulated_cohort(n_donors=3)
    blood = cohort.expr_tpm[cohort.tissue == cohort.tissue_index(SOURCE)]
    people = anndata.AnnData(blood, var=pd.DataFrame(index=cohort.genes.index))
    people.obs["rin"] = 7.0
    with pytest.raises(InputError, match="'Lung', of which .* too few for this form.* Liver"):
        model.predict(people, source=SOURCE, target="Lung")
    told_of = set(model.predict(people, source=SOURCE).obs["target"])
    assert told_of == set(model.tissues) - {SOURCE}
    again = exported.with_name("again.safetensors")
    capsys.readouterr()
    command = ["export", str(certified), str(again), "--shareable", "--min-samples"]
    assert cli.main([*command, "5"]) == 0
    assert "left out, of fewer than 5 training samples: Lung\n" in capsys.readouterr().err
    assert cli.main([*command, "4", "--force"]) == 0
    assert "left out" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("out", "option", "says"),
    [
        ("x.tsv", "--force", "expected a bundle (.safetensors). Call it x.tsv.safetensors."),
        ("x.safetensors", "--rank=abc", "found 'abc'; expected a whole number, 1 or more"),
        ("x.safetensors", "--min-samples=0", "found '0'; expected a whole number, 1 or more"),
    ],
)
def test_what_export_expects_is_said(certified, tmp_path, out, option, says, capsys):
    path = tmp_path / out
    try:
        code = cli.main(["export", str(certified), str(path), "--shareable", option])
    except SystemExit as done:
        code = done.code
    assert code in (1, 2)
    assert says in capsys.readouterr().err
    assert not path.exists()
