"""What a change of the code makes anew: nothing, or what it can have changed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PARTS = ("config", "envs", "profiles", "scripts", "src", "workflow")
CONTRASTS = {
    "list_skipped_analyses",
    "compare_with_paper",
    "contrast_genes",
    "join_gene_contrasts",
    "draw_fig_s8_connectivity",
    "draw_fig_s10",
    "draw_fig_s11",
}

pytestmark = pytest.mark.workflow


@pytest.fixture
def checkout(tmp_path):
    """Return a copy of the project that a test may change."""
    for name in PARTS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    shutil.copy(ROOT / "Snakefile", tmp_path)
    return tmp_path


def planned(checkout, results, targets, config="small.yaml"):
    """Return how many jobs of each rule a dry run of `checkout` on `results` plans."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(checkout / "Snakefile")]
    command += ["--directory", str(results), "--configfile", str(results / config), "-n"]
    run = subprocess.run([*command, *targets], cwd=checkout, capture_output=True, text=True)
    output = run.stdout + run.stderr
    assert run.returncode == 0, output
    if "Nothing to be done" in output:
        return {}
    table = output.split("Job stats:")[1].split("\n\n")[0]
    rows = re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)
    return {name: int(count) for name, count in rows if name != "total"}


def replace(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} in {path}"
    path.write_text(text.replace(old, new))


def test_touched_scripts_and_comments_rerun_nothing(checkout, small_run, small_targets):
    for path in (checkout / "scripts").glob("*.py"):
        os.utime(path)
    for path in (checkout / "src").rglob("*.py"):
        path.write_text(path.read_text() + "\n# A remark.\n")
    assert planned(checkout, small_run, small_targets) == {}


def test_constant_of_one_analysis_reruns_it_and_its_figures(checkout, small_run, small_targets):
    analysis = checkout / "src/mtm/analyses/genes/contrast.py"
    replace(analysis, "QUANTILE = 0.25", "QUANTILE = 0.2")
    jobs = set(planned(checkout, small_run, small_targets)) - {"tables", "accuracy"}
    assert "contrast_genes" in jobs
    assert jobs <= CONTRASTS
    figures = planned(checkout, small_run, ["figures"])
    assert {"draw_fig_s10", "draw_fig_s11"} <= set(figures)
    assert not {"train_fold", "predict_fold", "score_model"} & set(figures)


def test_style_of_one_figure_reruns_that_figure(checkout, small_run):
    figure = "results/small/figures/fig_s10.pdf"
    assert planned(checkout, small_run, [figure]).get("contrast_genes", 0) == 0
    with (checkout / "src/mtm/figures/gene_characteristics.py").open("a") as module:
        module.write("\nUNUSED = 1\n")
    jobs = set(planned(checkout, small_run, [figure]))
    assert "draw_fig_s10" in jobs
    assert not jobs - {"draw_fig_s10", "contrast_genes", "join_gene_contrasts"}


def test_hyper_parameter_reruns_its_models_chain(checkout, small_run, small_targets):
    config = yaml.safe_load((small_run / "small.yaml").read_text())
    config["models"]["mtm"]["parameters"]["steps"] = 4
    (small_run / "changed.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    jobs = planned(checkout, small_run, small_targets, "changed.yaml")
    assert jobs["train_fold"] == jobs["predict_fold"] == jobs["score_model"] == 1
    assert not {"simulate_cohort", "build_cohort", "make_folds", "find_contrasts"} & set(jobs)


def test_style_of_one_figure_reruns_that_figure_and_the_page(checkout, little_run):
    with (checkout / "src/mtm/figures/learning_curve.py").open("a") as module:
        module.write("\nUNUSED = 1\n")
    jobs = planned(checkout, little_run, ["results/little/index.html"], "config.yaml")
    assert jobs == {"draw_learning_curve": 1, "build_page": 1}
