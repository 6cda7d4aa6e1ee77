"""Good bundles of every class of model, new people for them, and ways to spoil a bundle."""

import json
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from tests.cohorts import simulated_cohort

from mtm.models.base import Training
from mtm.models.bundle import _digest
from mtm.models.certificate import OF_GENES, Certificate
from mtm.models.donors import DonorsKey
from mtm.models.registry import build

SOURCE = "Whole Blood"
KEY = DonorsKey(bytes(range(32)))
TINY = {
    "same_gene": {},
    "train_mean": {},
    "tissue_average": {},
    "ridge": {},
    "ridge_of_rank_2": {"rank": 2, "covariates": "own_penalty"},
    "bgex": {"n_features": 3, "top_fraction": 0.5},
    "teebot": {"n_components": 3},
    "nearest_donors": {"n_neighbours": 3},
    "covariates": {},
    "mlp": {"encoder_widths": [8], "code_width": 4, "decoder_widths": [8], "epochs": 2,
            "precision": "float32"},
    "mtm": {"encoder_widths": [8], "code_width": 4, "generator_widths": [8],
            "discriminator_widths": [8], "mapping_widths": [4], "noise_width": 3, "steps": 3,
            "precision": "float32"},
    "joint": {"n_factors": [2], "noise_rank": 2, "fits": 2, "iterations": 4},
    "average": {"models": ["ridge", "nearest_donors"]},
    "ensemble": {"models": ["ridge", "joint"], "inner_folds": 3, "inner_fits": 1},
}  # fmt: skip
N_WIDE = 400
CLASSES = {"ridge_of_rank_2": "ridge"}


def certificate(shape: tuple[int, int], own_sd: bool = False) -> Certificate:
    """Return what cross-validation might have found of predictions from blood."""
    rng = np.random.default_rng(3)
    return Certificate(
        sources=(SOURCE,),
        levels=(0.5, 0.9),
        own_sd=own_sd,
        thresholds={"high": 0.5, "moderate": 0.3, "low": 0.1},
        n_donors=np.full(shape[0], 70, np.int32),
        quantiles=rng.uniform(1, 2, (shape[0], 3, 2)).astype(np.float32),
        tertile=rng.integers(0, 3, shape).astype(np.uint8),
        reliability=rng.integers(0, 4, shape).astype(np.uint8),
        **{name: rng.uniform(0.1, 0.9, shape).astype(np.float32) for name in OF_GENES},
    )


def write_models(folder: Path) -> None:
    """Write ``results/small/bundles/{class}.safetensors`` and ``blood.tsv``."""
    cohort = simulated_cohort()
    cohort = replace(cohort, samples=cohort.samples.assign(rin=7.0 + 0.1 * cohort.donor))
    source = cohort.tissue_index(SOURCE)
    bundles = folder / "results/small/bundles"
    for name, parameters in TINY.items():
        members = {part: bundles / f"{part}.safetensors" for part in parameters.get("models", ())}
        model = build(CLASSES.get(name, name), parameters)
        model.fit(Training(cohort, source=source, device="cpu", members=members, donors_key=KEY))
        model.save(bundles / f"{name}.safetensors", KEY)
        if name in ("same_gene", "joint"):
            shape = len(model.tissues), len(model.genes)
            model.certificate = certificate(shape, own_sd=model.own_sd)
            model.save(bundles / f"certified_{name}.safetensors")
    # More genes than donors: coefficients over donors.
    model = build("ridge")
    model.fit(Training(simulated_cohort(n_genes=40), source=source, device="cpu"))
    model.save(bundles / "dual_ridge.safetensors", KEY)
    wide = simulated_cohort(n_genes=N_WIDE)
    model = build("same_gene")
    model.fit(Training(wide, source=source, device="cpu"))
    model.save(bundles / "wide.safetensors")
    write_people(folder / "blood.tsv", list(cohort.genes.index))


def new_expression(n_genes: int, n_people: int = 3) -> np.ndarray:
    """Return TPM of new people's blood, ``(n_genes, n_people)``, of ordinary sums."""
    expr = np.random.default_rng(7).gamma(1, 60, (n_genes, n_people))
    return expr / expr.sum(0) * 1e4


def write_people(path: Path, gene_ids: list[str], values: np.ndarray | None = None) -> Path:
    """Write new people's blood as a table with genes in rows."""
    values = new_expression(len(gene_ids)) if values is None else values
    names = [f"person-{number}" for number in range(values.shape[1])]
    lines = ["\t".join(["gene_id", *names])]
    lines += [
        "\t".join([gene, *(f"{value:.6g}" for value in row)])
        for gene, row in zip(gene_ids, values, strict=True)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def bundle_of(folder: Path, name: str) -> Path:
    """Return the path of a good bundle in a row's folder."""
    return folder / f"results/small/bundles/{name}.safetensors"


def read(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Return a bundle's header and arrays, unchecked."""
    with safe_open(str(path), framework="numpy") as handle:
        header = json.loads(handle.metadata()["mtm"])["header"]
    return header, load_file(path)


def write(
    path: Path, header: dict, arrays: dict[str, np.ndarray], text: str | None = None
) -> Path:
    """Write a bundle with a checksum that is right, as whoever writes it can."""
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    envelope = {"header": header, "sha256": _digest(header, arrays)}
    save_file(arrays, path, metadata={"mtm": text or json.dumps(envelope, sort_keys=True)})
    return path


def spoiled(
    name: str, change: Callable[[dict, dict[str, np.ndarray]], object]
) -> Callable[[Path], Path]:
    """Return what writes ``spoiled.safetensors``: a good bundle, its header and arrays changed."""

    def make(folder: Path) -> Path:
        header, arrays = read(bundle_of(folder, name))
        change(header, arrays)
        return write(folder / "spoiled.safetensors", header, arrays)

    return make


def raw(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    """Return a safetensors file of this header; its length may be a lie."""
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def copied(folder: Path, name: str) -> Path:
    """Copy a good bundle to ``spoiled.safetensors``."""
    return Path(shutil.copy(bundle_of(folder, name), folder / "spoiled.safetensors"))


def predict(bundle: object, *more: object, expression: object = "blood.tsv") -> list[object]:
    """Return the command that predicts new people's tissues from blood."""
    command = ["mtm", "predict", "--bundle", bundle, "--expression", expression]
    source = [] if "--source" in more else ["--source", SOURCE]
    out = [] if "--out" in more else ["--out", "told.tsv"]
    return [*command, *source, *out, *more]
