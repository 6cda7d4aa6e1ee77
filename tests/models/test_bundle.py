import json
import os
import pickle
import stat
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from mtm.cohort.cohort import Cohort
from mtm.errors import InputError
from mtm.models.base import Requests, Training
from mtm.models.bundle import read_header
from mtm.models.registry import build, load

TISSUES = ("Liver", "Lung", "Whole Blood")
SMALL_MTM = {
    "target_scale": "log2_z",
    "encoder_widths": (6,),
    "code_width": 4,
    "generator_widths": (6,),
    "discriminator_widths": (6,),
    "mapping_widths": (4,),
    "noise_width": 3,
    "batch_size": 8,
    "steps": 2,
    "precision": "float32",
}


@pytest.fixture(scope="module")
def cohort():
    n_donors, n_genes = 6, 10
    donor, tissue = np.repeat(np.arange(n_donors), 3), np.tile(np.arange(3), n_donors)
    return Cohort(
        np.random.default_rng(1).gamma(1, 60, (len(donor), n_genes)).astype(np.float32),
        pd.DataFrame(index=[f"S{i}" for i in range(len(donor))]),
        donor,
        tissue,
        pd.DataFrame(index=[f"D{i}" for i in range(n_donors)]),
        TISSUES,
        pd.DataFrame(
            {"symbol": [f"G{i}" for i in range(n_genes)]},
            index=pd.Index([f"ENSG{i:011d}.3" for i in range(n_genes)], name="gene_id"),
        ),
    )


@pytest.fixture(scope="module")
def requests():
    return Requests(np.array([[2], [5], [8]]), np.array([0, 1, 0]))


@pytest.fixture(scope="module", params=["train_mean", "mtm"])
def model(request, cohort):
    fitted = build(request.param, SMALL_MTM if request.param == "mtm" else {})
    fitted.fit(Training(cohort, source=2, seed=3, device="cpu"))
    fitted.provenance.fold = "1"
    fitted.provenance.cohort = "test"
    return fitted


@pytest.fixture
def bundle(tmp_path, model):
    path = tmp_path / "model.safetensors"
    model.save(path)
    return path


def test_round_trip(bundle, model, cohort, requests):
    loaded = load(bundle)
    assert type(loaded) is type(model)
    assert loaded.parameters == model.parameters
    assert loaded.tissues == model.tissues
    pd.testing.assert_frame_equal(loaded.genes, model.genes)
    assert (loaded.scaler.scale, loaded.scaler.clip) == (model.scaler.scale, model.scaler.clip)
    np.testing.assert_array_equal(loaded.scaler.mean, model.scaler.mean)
    np.testing.assert_array_equal(loaded.scaler.sd, model.scaler.sd)
    np.testing.assert_array_equal(
        loaded.predict(cohort, requests), model.predict(cohort, requests)
    )


def test_equal_models_give_equal_bytes(tmp_path, bundle):
    load(bundle).save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == bundle.read_bytes()


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_bundle_has_the_rights_that_the_umask_leaves(tmp_path, model, umask, mode):
    before = os.umask(umask)
    try:
        model.save(tmp_path / "model.safetensors")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "model.safetensors").stat().st_mode) == mode


def test_header_is_readable_alone(bundle, model):
    header = read_header(bundle)
    assert header["model"] == model.name
    assert header["provenance"]["n_training_donors"] == 6
    assert header["provenance"]["training_donors"] == []
    assert header["provenance"]["source"] == "Whole Blood"


def envelope_of(bundle):
    with safe_open(str(bundle), framework="numpy") as handle:
        return json.loads(handle.metadata()["mtm"])


def rewrite(bundle, change):
    """Write the bundle again with its header changed and the old checksum."""
    envelope = envelope_of(bundle)
    change(envelope["header"])
    save_file(load_file(bundle), bundle, metadata={"mtm": json.dumps(envelope)})


def test_another_version_is_refused(bundle):
    rewrite(bundle, lambda header: header.update(bundle_version=99))
    for read in (load, read_header):
        with pytest.raises(InputError, match="found bundle version 99; expected version 2"):
            read(bundle)


def test_an_edited_header_is_refused(bundle):
    rewrite(bundle, lambda header: header["tissues"].reverse())
    with pytest.raises(InputError, match="checksum"):
        load(bundle)


def test_an_edited_array_is_refused(bundle):
    tensors = load_file(bundle)
    tensors["scaler/mean"][0, 0] += 1e-3
    save_file(tensors, bundle, metadata={"mtm": json.dumps(envelope_of(bundle))})
    with pytest.raises(InputError, match="checksum"):
        load(bundle)


def test_any_flipped_byte_is_refused(bundle):
    whole = bundle.read_bytes()
    for place in [*range(0, len(whole), max(1, len(whole) // 150)), len(whole) - 1]:
        damaged = bytearray(whole)
        damaged[place] ^= 0x01
        bundle.write_bytes(damaged)
        with pytest.raises(InputError):
            load(bundle)


@pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.9, 0.999])
def test_a_truncated_bundle_is_refused(bundle, share):
    whole = bundle.read_bytes()
    bundle.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match="model.safetensors"):
        load(bundle)


class Bomb:
    exploded = False

    def __reduce__(self):
        return (setattr, (Bomb, "exploded", True))


def test_a_pickle_is_refused_and_never_run(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps({"weights": Bomb()}))
    with pytest.raises(InputError, match="never unpickled"):
        load(path)
    assert not Bomb.exploded


def test_other_safetensors_are_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"x": np.zeros(3)}, path)
    with pytest.raises(InputError, match="no bundle"):
        load(path)
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "none.safetensors")


WITHOUT_TORCH = """
import sys
from mtm.models.donors import DonorsKey
from mtm.models.registry import load
model = load(sys.argv[1])
assert "torch" not in sys.modules
"""


@pytest.mark.parametrize("name", ["bgex", "nearest_donors", "same_gene", "teebot"])
@pytest.mark.slow
def test_a_linear_bundle_is_loaded_without_pytorch(tmp_path, cohort, name):
    fitted = build(name)
    fitted.fit(Training(cohort, source=2, seed=3, device="cpu"))
    fitted.save(tmp_path / "model.safetensors")
    command = [sys.executable, "-c", WITHOUT_TORCH, tmp_path / "model.safetensors"]
    subprocess.run(command, check=True)


def test_an_array_that_could_not_be_read_again_is_not_written(cohort, tmp_path):
    fitted = build("train_mean")
    fitted.fit(Training(cohort, 2, device="cpu"))
    fitted.scaler = replace(fitted.scaler, mean=fitted.scaler.mean[:, :-1])
    with pytest.raises(InputError, match="array scaler/mean: .* shape"):
        fitted.save(tmp_path / "m.safetensors")
    assert not any(tmp_path.iterdir())
