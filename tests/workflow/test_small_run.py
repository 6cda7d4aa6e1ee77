"""A very small simulated cohort through every rule but the figures."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from mtm.models.base import load

ROOT = Path(__file__).parents[2]
FOLDER = "resources/simulated/small"
CONFIG = {
    "cohort": "small",
    "inputs": {
        "expression": f"{FOLDER}/expression.gct.gz",
        "sample_attributes": f"{FOLDER}/sample_attributes.tsv",
        "subject_phenotypes": f"{FOLDER}/subject_phenotypes.tsv",
        "gene_model": f"{FOLDER}/gene_model.gtf",
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
}

TARGETS = ["accuracy", "tables", "results/small/models/mtm/all.safetensors"]

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small_run")
    (folder / "small.yaml").write_text(yaml.safe_dump(CONFIG))
    run = snakemake(folder, "--cores", "2", *TARGETS)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


def snakemake(folder, *arguments):
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(folder / "small.yaml")]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=ROOT)


def test_models_are_ranked_as_they_must_be(workdir):
    summary = pd.read_csv(workdir / "results/small/accuracy/summary.tsv", sep="\t")
    rows = summary[
        (summary["tissue"] == "(mean of tissues)")
        & (summary["scale"] == "log2_z")
        & (summary["convention"] == "per_fold")
    ].set_index("model")["mean_rho"]
    assert set(rows.index) == {"mtm", "train_mean", "oracle"}
    assert rows["train_mean"] == 0
    assert rows["oracle"] > max(0.3, rows["mtm"])


def test_bundle_names_its_training_donors(workdir):
    folds = pd.read_csv(workdir / "results/small/cohort/folds.tsv", sep="\t")
    model = load(workdir / "results/small/models/mtm/fold0.safetensors")
    assert set(model.provenance.training_donors) == set(folds.loc[folds["fold"] != 0, "donor"])
    assert (model.provenance.cohort, model.provenance.fold) == ("small", "0")
    everyone = load(workdir / "results/small/models/mtm/all.safetensors")
    assert set(everyone.provenance.training_donors) == set(folds["donor"])
    assert everyone.provenance.fold == "all"


def test_training_state_is_gone_and_logs_are_in_place(workdir):
    assert not list((workdir / "checkpoints").rglob("*.pt"))
    assert "3 steps" in (workdir / "logs/small/train_fold/mtm/fold0.log").read_text()
    skipped = pd.read_csv(workdir / "results/small/tables/skipped.tsv", sep="\t")
    assert list(skipped["analysis"]) == ["exact age, BMI, disease"]


def test_second_run_has_nothing_to_do_even_after_touching_the_code(workdir):
    os.utime(ROOT / "scripts/train_fold.py")
    run = snakemake(workdir, "-n", *TARGETS)
    assert "Nothing to be done" in run.stdout + run.stderr


def test_changed_parameter_reruns_one_model_alone(workdir):
    config = yaml.safe_load((workdir / "small.yaml").read_text())
    config["models"]["mtm"]["parameters"]["steps"] = 4
    (workdir / "small.yaml").write_text(yaml.safe_dump(config))
    run = snakemake(workdir, "-n", "accuracy")
    (workdir / "small.yaml").write_text(yaml.safe_dump(CONFIG))
    output = run.stdout + run.stderr
    assert "Training mtm without" in output
    assert "Training train_mean without" not in output
