"""Every command in the README runs, on the small cohort where it needs results."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import anndata
import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()
COMMANDS = [
    line.split("    #")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
ENVIRONMENT = os.environ | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
}

pytestmark = pytest.mark.workflow


def run(command, folder=ROOT):
    return subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=300
    )


def test_all_kinds_of_commands_are_known():
    assert {command.split()[0] for command in COMMANDS} - {"cut"} == {"make", "snakemake", "mtm"}


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make")])
def test_make_targets_exist_and_are_what_ci_runs(command):
    assert run(["make", "-n", *shlex.split(command)[1:]]).returncode == 0
    assert command in (ROOT / ".ci/run").read_text()


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("snakemake")])
def test_snakemake_commands_plan_their_jobs(command):
    words = shlex.split(command)
    if "--report" in words:
        words = words[: words.index("--report")]
    result = run([*words, "-n"])
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", re.findall(r"\]\(((?!https?:)[^)#]+)\)", TEXT))
def test_links_lead_somewhere(path):
    assert (ROOT / path).exists()


def test_commands_on_results_run_on_a_small_cohort(small_run, tmp_path):
    """The demo's own files are made by `make demo`; here a smaller cohort stands in for them."""
    config = yaml.safe_load((small_run / "small.yaml").read_text())["cohort"]
    results = small_run / "results" / config
    blood = anndata.read_h5ad(results / "cohort/expression.h5ad")
    blood = blood[blood.obs["tissue"] == "Whole Blood"][:3]
    write_blood(blood, tmp_path)
    for release in ("gtex_v8", "gtex_v10"):
        summary = (results / "accuracy/summary.tsv").read_text()
        path = tmp_path / "results" / release / "accuracy/summary.tsv"
        path.parent.mkdir(parents=True)
        path.write_text(summary.replace(f"\n{config}\t", f"\n{release}\t"))
    for command in (c for c in COMMANDS if c.startswith("cut")):
        assert run(["sh", "-c", command], tmp_path).returncode == 0
    said = ""
    for command in (c for c in COMMANDS if c.startswith("mtm")):
        # Of the small cohort there is one bundle of all donors.
        command = command.replace("bundles/joint", "bundles/mtm")
        words = shlex.split(command.replace("results/demo", str(results)))
        result = run(words, tmp_path)
        assert result.returncode == 0, result.stdout + result.stderr
        said += result.stderr
    assert (tmp_path / "both.tsv").exists()
    lines = (tmp_path / "lung.tsv").read_text().splitlines()
    assert len(lines) == 1 + 3 * len(blood.var_names)
    assert all("\tLung\t" in line for line in lines[1:])
    assert (tmp_path / "lung.html").exists()
    for header in re.findall(r"^donor .*$", TEXT, re.MULTILINE):
        assert set(header.split()) <= set(lines[0].split("\t"))
    for shown in re.findall(r"^mtm: (?!warning|.*lack are).*$", TEXT, re.MULTILINE):
        assert any(kind(shown) in kind(line) for line in said.splitlines()), shown


def kind(line):
    """What a printed line is about, whatever its numbers and names."""
    about = ("read as TPM", "genes found", "of Whole Blood: ", "samples x", "intervals and rel",
             "a page about", "training donor's")  # fmt: skip
    return next((words for words in about if words in line), line)


def write_blood(blood, folder):
    """Write three people's blood as the README's files, and as the demo leaves its own."""
    demo = folder / "resources/simulated/demo"
    demo.mkdir(parents=True)
    gct = [f"#1.2\n{blood.n_vars}\t{blood.n_obs}"]
    gct.append("\t".join(["Name", "Description", *blood.obs_names]))
    tsv = ["\t".join(["gene_id", *blood.obs_names, *(f"more-{i}" for i in range(3))])]
    for gene, symbol, values in zip(blood.var_names, blood.var["symbol"], blood.X.T, strict=True):
        texts = [f"{value:.4g}" for value in values]
        gct.append("\t".join([gene, symbol, *texts]))
        tsv.append("\t".join([gene, *texts, *texts]))
    (folder / "blood.gct").write_text("\n".join(gct) + "\n")
    (demo / "external_expression.tsv").write_text("\n".join(tsv) + "\n")
