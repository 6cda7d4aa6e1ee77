"""Held-out donors never reach a bundle, and a bundle predicts as the model it was saved from."""

from dataclasses import replace

import numpy as np
import pytest
from marks import some_slow

from mtm.models.base import Requests, Training
from mtm.models.donors import DonorsKey
from mtm.models.registry import build, load, model_names

KEY = DonorsKey(b"of these tests")
# Small enough for a test of every model; models not named here run on their defaults.
TINY = {
    "average": {"models": ["ridge", "nearest_donors"]},
    "ensemble": {"models": ["ridge", "joint"], "inner_folds": 3, "inner_fits": 2},
    "bgex": {"n_features": 3, "top_fraction": 0.5},
    "joint": {"n_factors": [2, 3], "noise_rank": 2, "fits": 2, "iterations": 4},
    "mlp": {
        "encoder_widths": [8],
        "code_width": 4,
        "decoder_widths": [8],
        "batch_size": 16,
        "epochs": 2,
        "precision": "float32",
    },
    "mtm": {
        "encoder_widths": [8],
        "code_width": 4,
        "generator_widths": [8],
        "discriminator_widths": [8],
        "mapping_widths": [4],
        "noise_width": 3,
        "batch_size": 16,
        "steps": 3,
        "precision": "float32",
    },
    "nearest_donors": {"n_neighbours": 3},
    "ridge": {"covariates": "own_penalty"},
    "teebot": {"n_components": 3, "covariate_columns": ["sex", "age"]},
}
# Classes that see samples of the source as ranks, where they are told to.
RANKS = {"inputs": "ranks"}
UNTAUGHT = {"encoder_input": "ranks", "lambda_reconstruction": 0.0, "lambda_cycle": 0.0}
OF_RANKS = {
    f"{name} of ranks": (name, TINY.get(name, {}) | (UNTAUGHT if name == "mtm" else RANKS))
    for name in ("bgex", "joint", "mlp", "mtm", "nearest_donors", "ridge", "teebot")
}
NAMES = [*model_names(), *OF_RANKS]


def untrained(name):
    """Build a model, small."""
    return build(*OF_RANKS.get(name, (name, TINY.get(name, {}))))


@pytest.fixture
def cohort(cohort):
    rng = np.random.default_rng(2)
    samples = cohort.samples.assign(
        rin=rng.uniform(5, 9, cohort.n_samples), center=rng.choice(["B1", "C1"], cohort.n_samples)
    )
    return replace(cohort, samples=samples)


def _fold(cohort):
    """Fold of each donor, 0 to 3."""
    return np.arange(len(cohort.donors)) % 4


def _bundle(name, cohort, path):
    """Fit on the donors outside fold 0, as the pipeline does, and return the bundle's bytes."""
    training = cohort.of_donors(cohort.donors.index[_fold(cohort) != 0])
    model = untrained(name)
    members = {part: path.with_name(part) for part in model.parameters.members}
    for part, place in members.items():
        _bundle(part, cohort, place)
    source = cohort.tissue_index("Whole Blood")
    model.fit(Training(training, source=source, device="cpu", members=members, donors_key=KEY))
    model.save(path, KEY)
    return model, path.read_bytes()


def _noise_for(cohort, donors):
    """Return the cohort with everything about `donors` replaced by noise."""
    rng = np.random.default_rng(9)
    rows = donors[cohort.donor]
    expr_tpm = cohort.expr_tpm.copy()
    expr_tpm[rows] = rng.exponential(1e4, (rows.sum(), cohort.n_genes))
    samples, table = cohort.samples.copy(), cohort.donors.copy()
    samples.loc[rows, "rin"] = rng.uniform(-90, 90, rows.sum())
    samples.loc[rows, "center"] = "Z9"
    table.loc[donors, "age"] = rng.uniform(200, 300, donors.sum())
    table.loc[donors, "age_bracket"] = "200-209"
    table.loc[donors, "hardy"] = 9.0
    table.loc[donors, "sex"] = 3
    return replace(cohort, expr_tpm=expr_tpm, samples=samples, donors=table)


@pytest.mark.slow
@pytest.mark.parametrize("name", some_slow(NAMES, "teebot of ranks"))
def test_noise_in_held_out_donors_leaves_the_bundle_alone(name, cohort, tmp_path):
    path = tmp_path / "bundle.safetensors"
    bundle = _bundle(name, cohort, path)[1]
    held_out = _fold(cohort) == 0
    assert _bundle(name, _noise_for(cohort, held_out), path)[1] == bundle
    # The same noise in one training donor must show, or this test could not fail.
    trained = np.flatnonzero(~held_out)[0] == np.arange(len(held_out))
    assert _bundle(name, _noise_for(cohort, trained), path)[1] != bundle


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_loaded_bundle_predicts_the_same(name, cohort, tmp_path):
    path = tmp_path / "bundle.safetensors"
    model = _bundle(name, cohort, path)[0]
    held_out = cohort.of_donors(cohort.donors.index[_fold(cohort) == 0])
    blood = cohort.tissue_index("Whole Blood")
    sources = np.flatnonzero(held_out.tissue == blood)
    targets = [index for index in range(len(cohort.tissues)) if index != blood]
    requests = Requests(
        np.repeat(sources, len(targets))[:, None], np.tile(targets, len(sources)).astype(np.int64)
    )
    predicted = model.predict(held_out, requests)
    assert np.isfinite(predicted).all()
    loaded = load(path)
    assert type(loaded) is type(model)
    assert loaded.parameters == model.parameters
    np.testing.assert_array_equal(loaded.predict(held_out, requests), predicted)


@pytest.mark.parametrize("name", OF_RANKS)
def test_what_moves_all_genes_of_a_sample_alike_moves_no_prediction(name, cohort):
    own = replace(cohort, expr_tpm=np.log2(1 + cohort.expr_tpm), measure="own")
    blood = own.tissue_index("Whole Blood")
    model = untrained(name)
    if model.scale == "tpm_z":
        scale = "target_scale" if name.startswith("mtm") else "scale"
        model.parameters = model.parameters.model_copy(update={scale: "log2_z"})
    model.fit(Training(own, source=blood, device="cpu"))
    rows = np.flatnonzero(own.tissue == blood)[:4]
    requests = Requests(rows[:, None], np.full(4, own.tissue_index("Lung")))
    predicted = model.predict(own, requests)
    deeper = own.expr_tpm + np.where(own.tissue == blood, 1.5, 0)[:, None].astype(np.float32)
    np.testing.assert_allclose(
        model.predict(replace(own, expr_tpm=deeper), requests), predicted, atol=1e-4
    )
    lacking = own.expr_tpm.copy()
    lacking[rows, :2] = np.nan
    assert np.isfinite(model.predict(replace(own, expr_tpm=lacking), requests)).all()
