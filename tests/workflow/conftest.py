"""A very small simulated cohort, taken through the workflow once for all tests here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from little import run_little

ROOT = Path(__file__).parents[2]
FOLDER = "resources/simulated/small"
CONFIG = {
    "cohort": "small",
    "inputs": {
        "expression": f"{FOLDER}/expression.gct.gz",
        "sample_attributes": f"{FOLDER}/sample_attributes.tsv",
        "subject_phenotypes": f"{FOLDER}/subject_phenotypes.tsv",
        "gene_model": f"{FOLDER}/gene_model.gtf",
        "conservation": f"{FOLDER}/conservation.bw",
        "interactions": f"{FOLDER}/interactions.tsv",
        "gene_identifiers": f"{FOLDER}/gene_identifiers.tsv",
    },
    "external": {
        "patients": {
            "expression": f"{FOLDER}/external_expression.tsv",
            "samples": f"{FOLDER}/external_samples.tsv",
        },
    },
    "filters": {"min_samples_per_tissue": 15},
    "folds": {"scheme": "holdout", "n_folds": 1},
    "training": {"device": "cpu"},
    "simulation": {
        "n_donors": 60,
        "n_genes": 40,
        "n_noncoding": 4,
        "n_par_y": 0,
        "tissues": ["Lung", "Thyroid", "Whole Blood"],
        "n_rare_samples": 3,
        "min_availability_share": 0.9,
        "sex_markers": True,
    },
    "models": {
        "mtm": {
            "class": "mtm",
            "parameters": {
                "encoder_widths": [16],
                "code_width": 8,
                "generator_widths": [16],
                "discriminator_widths": [16],
                "mapping_widths": [8],
                "noise_width": 4,
                "steps": 3,
            },
        },
        "train_mean": {"class": "train_mean"},
    },
    "accuracy": {"permutations": 20, "bootstraps": 20},
    "ranks": {
        "epochs": 1,
        "layers": 1,
        "width": 8,
        "heads": 2,
        "components": 4,
        "perturbation": {"samples": 6, "null_genes": 19},
    },
    "profiles": {
        "run": True,
        "parts": ["neighbours", "conservation", "trees"],
        "hidden": [1],
        "seen": [],
        "n_folds": 2,
        "trees": {"iterations": 3, "draws": 1},
    },
    "imputation": {
        "methods": ["gaussian", "vae"],
        "autoencoder": {"widths": [16], "code_width": 4, "epochs": 3},
        "random_features": 20,
        "probe_genes": 20,
    },
}

TARGETS = ["accuracy", "tables", "results/small/bundles/mtm.safetensors"]


def run_small(folder, *arguments):
    """Run Snakemake on the small cohort in `folder`."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(folder / "small.yaml")]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=ROOT)


@pytest.fixture(scope="session")
def small_config():
    """Return the configuration of the small cohort."""
    return CONFIG


@pytest.fixture(scope="session")
def small_targets():
    """Return what is made of the small cohort."""
    return TARGETS


@pytest.fixture(scope="session")
def small_snakemake():
    """Return the function that runs Snakemake on the small cohort."""
    return run_small


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """Return the folder in which the small cohort's results stand."""
    folder = tmp_path_factory.mktemp("small_run")
    # 27 seconds, and 227 where every job imports its libraries, as those through Slurm do.
    (folder / "small.yaml").write_text(yaml.safe_dump(CONFIG | {"warm_start": True}))
    run = run_small(folder, "--cores", "2", *TARGETS, "--max-threads", "1")
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture(scope="session")
def little_run(tmp_path_factory):
    """Return the folder in which everything of a cohort with too little stands, the page too."""
    folder = tmp_path_factory.mktemp("little")
    before = os.umask(0o027)
    try:
        run_little(folder)
    finally:
        os.umask(before)
    return folder


@pytest.fixture
def mount(folder):
    """Put results/ on a file system of its own, of a given size; skip where none may be had."""
    target = folder / "results"
    mounted = []

    def mount(options):
        shutil.copytree(target, folder / "kept")
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(target)], capture_output=True
        )
        if done.returncode:
            pytest.skip("mounting a file system needs privileges")
        mounted.append(target)
        shutil.copytree(folder / "kept", target, dirs_exist_ok=True)
        return target

    yield mount
    for place in mounted:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture(scope="session")
def fault_table(request):
    """Collect rows (fault, what the user sees, lost, next run) and print them at the end."""
    rows = []
    yield rows
    lines = ["", "", "| fault | the user sees | lost | next run |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    # What a fixture prints is captured, and shown only where a test fails.
    with request.config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
        print("\n".join(lines))
