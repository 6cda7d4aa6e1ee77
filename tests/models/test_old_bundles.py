"""Bundles of every version that was written are read for ever, with this library and without."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.bundles import write
from tests.bundles.write import KEYS, KINDS, PEOPLE, PLACE, predicted

from mtm.models.bundle import BUNDLE_VERSION, read_header
from mtm.models.header import ModelHeader
from mtm.models.registry import load

PAGE = (Path(__file__).parents[2] / "docs/bundle.md").read_text(encoding="utf-8")
FOLDERS = sorted(PLACE.glob("version_*"))
KEPT = [path for folder in FOLDERS for path in sorted(folder.glob("*.safetensors"))]


def test_this_version_is_kept_of_every_class_in_few_bytes():
    names = {path.stem for path in (PLACE / f"version_{BUNDLE_VERSION}").glob("*.safetensors")}
    assert names == set(KINDS), "of a new class: PYTHONPATH=.:src python -m tests.bundles.write"
    assert max(path.stat().st_size for path in KEPT) < 20_000


def test_of_a_new_class_a_bundle_is_written_beside_those_that_are_kept(tmp_path, monkeypatch):
    kept = PLACE / f"version_{BUNDLE_VERSION}"
    folder = shutil.copytree(kept, tmp_path / kept.name)
    for suffix in (".safetensors", ".tsv"):
        (folder / "train_mean").with_suffix(suffix).unlink()
    monkeypatch.setattr(write, "PLACE", tmp_path)
    write.main()
    for path in kept.iterdir():
        same = (folder / path.name).read_bytes() == path.read_bytes()
        assert same == (path.stem != "train_mean"), path.name
    assert len(pd.read_csv(folder / "train_mean.tsv", sep="\t")) == 6
    assert {path.name for path in folder.iterdir()} == {path.name for path in kept.iterdir()}


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_kept_bundle_predicts_as_it_did(path, tmp_path):
    now = predicted(path, path.parent, tmp_path / "told.parquet")
    then = pd.read_csv(path.with_suffix(".tsv"), sep="\t")
    assert len(now) > 0
    key = ["quantity", *KEYS]
    now, then = (table.set_index(key).sort_index() for table in (now, then[now.columns]))
    pd.testing.assert_frame_equal(now, then, check_dtype=False, rtol=0, atol=1e-6)


def thirty_lines():
    """Return the functions of the page."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    assert len([line for line in code.splitlines() if line.strip()]) <= 33
    assert "mtm" not in re.findall(r"import (\w+)", code)
    functions = {}
    exec(code, functions)  # noqa: S102
    return functions


@pytest.mark.parametrize(
    "name", ["ridge", "dual_ridge", "shareable_ridge", "ridge_of_rank_2", "joint"]
)
def test_the_lines_of_the_page_read_and_predict_alike(name, tmp_path):
    folder = PLACE / f"version_{BUNDLE_VERSION}"
    bundle = folder / f"{name}.safetensors"
    people = pd.read_csv(folder / PEOPLE, sep="\t", index_col=0)
    if name == "ridge_of_rank_2":
        bundle = without_covariates(bundle, tmp_path)
    header = read_header(bundle)
    expr_tpm = people.loc[header["gene_ids"]].to_numpy().T
    told = predicted(bundle, folder, tmp_path / "told.parquet", traits=False)
    by_target = told[told["quantity"] == "prediction"].groupby("target")
    assert len(by_target) == 2
    for target, rows in by_target:
        found = thirty_lines()["predict"](bundle, expr_tpm, target)
        expected = rows.set_index("sample_id").loc[people.columns, header["gene_ids"]]
        np.testing.assert_allclose(found, expected.to_numpy(float), rtol=0, atol=1e-6)
        assert np.abs(found).max() > 0.01


def without_covariates(bundle, folder):
    """Write the bundle without what covariates add, which the page leaves out."""
    model = load(bundle)
    for fit in model.fits.values():
        fit.pop("covariate_coef")
        fit.pop("covariate_weight")
    columns = np.frombuffer(b"[]", np.uint8)
    model.shared["design"] = columns
    model.save(folder / "bare.safetensors")
    return folder / "bare.safetensors"


def test_the_page_tells_of_every_key_of_the_header():
    table = PAGE.split("## The header")[1].split("## The arrays")[0]
    told = re.findall(r"\w+", " ".join(re.findall(r"^\| ([\w, ]+) \|", table, re.M)))
    assert set(told) - {"key"} == {*ModelHeader.model_fields, "bundle_version", "versions"}
