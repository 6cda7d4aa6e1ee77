"""The workflow taken in by another: from a folder, and from a tag of a git host."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PARTS = ["Snakefile", "workflow", "scripts", "src", "config", "envs", "profiles", "CITATION.cff"]

FROM_FOLDER = f"""
configfile: "config/study.yaml"

module mtm:
    snakefile: "{ROOT / "Snakefile"}"
    config: config["tissues"]
    replace_prefix: {{"results/": "imputed/"}}

use rule * from mtm as mtm_*

rule study:
    default_target: True
    input: rules.mtm_all.input
"""
# As `snakedeploy deploy-workflow https://github.com/owner/mtm . --tag v0` writes it.
DEPLOYED = """
from snakemake.utils import min_version
min_version("6.10.0")
configfile: "config/config.yaml"
module mtm:
    snakefile:
        github("owner/mtm", path="workflow/Snakefile", tag="v0")
    config:
        config
use rule * from mtm
"""

pytestmark = pytest.mark.workflow


def snakemake(folder, *arguments, **variables):
    # The library comes with the workflow, wherever that comes from.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=folder,
        env=environment | variables,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


def study(folder, snakefile, name, config):
    (folder / "workflow").mkdir()
    (folder / "workflow/Snakefile").write_text(snakefile)
    (folder / "config").mkdir()
    (folder / "config" / name).write_text(yaml.safe_dump(config))
    return folder


def test_module_with_a_config_and_results_of_its_own(tmp_path, small_config):
    study(tmp_path, FROM_FOLDER, "study.yaml", {"tissues": small_config})
    planned = snakemake(tmp_path, "-n")
    assert "mtm_build_page" in planned
    assert "imputed/small/index.html" in planned
    assert not re.search(r"(?<!\S)results/", planned)
    assert not (tmp_path / "results").exists()


@pytest.fixture
def git_host(tmp_path):
    """Variables under which github.com/owner/mtm is this tree, its tag v0."""
    tree = tmp_path / "host"
    tree.mkdir()
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, tree / part)
    own = ["-c", "user.name=tests", "-c", "user.email=tests@localhost"]
    for command in (["init", "-q"], ["add", "-A"], [*own, "commit", "-qm", "v0"], ["tag", "v0"]):
        subprocess.run(["git", *command], cwd=tree, check=True)
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{tree}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/owner/mtm",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }


@pytest.mark.skipif(shutil.which("git") is None, reason="no git")
def test_deployed_from_a_tag_without_a_clone(tmp_path, git_host, small_config):
    folder = tmp_path / "study"
    folder.mkdir()
    study(folder, DEPLOYED, "config.yaml", small_config)
    truth = "resources/simulated/small/truth.h5ad"
    assert "build_page" in snakemake(folder, "-n", **git_host)
    # The job's script and library come from the tag, as do the manifest and captions beside them.
    snakemake(folder, "--cores", "1", truth, **git_host)
    assert (folder / truth).exists()
    (unpacked,) = (folder / ".snakemake/unpacked").iterdir()
    assert all((unpacked / part).exists() for part in PARTS)
