import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mtm import __version__

ROOT = Path(__file__).parents[2]
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_version_is_that_of_the_citation():
    """Between releases the version is the next one's, as developed."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"]
    assert __version__.removesuffix(".dev0") == citation
    assert project()["dynamic"] == ["version"]


def constraints():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): str(pin.specifier) for pin in pins}


def test_constraints_are_exact_and_meet_the_requirements():
    pins = constraints()
    assert all(re.fullmatch(r"==[^+,*]+", pin) for pin in pins.values())
    wanted = [*project()["dependencies"], *sum(project()["optional-dependencies"].values(), [])]
    for requirement in map(Requirement, wanted):
        version = pins[canonicalize_name(requirement.name)].removeprefix("==")
        assert requirement.specifier.contains(version), requirement


def test_conda_environment_has_the_same_versions():
    environment = yaml.safe_load((ROOT / "envs/mtm.yaml").read_text())
    entries = [entry.split(" =") for entry in environment["dependencies"]]
    conda = {CONDA_NAMES.get(name, canonicalize_name(name)): pin for name, pin in entries}
    assert conda.pop("python") == "3.11"
    pins = constraints()
    # Snakemake makes the environment and is not in it.
    of_jobs = set(project()["optional-dependencies"]["workflow"]) - {
        "snakemake==9.27.1",
        "pygments",
    }
    wanted = [*project()["dependencies"], *of_jobs]
    direct = [canonicalize_name(Requirement(text).name) for text in wanted]
    assert conda == {name: pins[name].removeprefix("==") for name in direct}


def test_image_has_the_same_versions():
    lines = (ROOT / "envs/Dockerfile").read_text().splitlines()
    python = next(line for line in lines if line.startswith("FROM "))
    assert python.startswith("FROM python:3.11-")
    copied = [name for line in lines if line.startswith("COPY ") for name in line.split()[1:-1]]
    assert "constraints.txt" in copied
    assert all((ROOT / name).exists() for name in copied)
    assert any("pip install" in line and "--constraint constraints.txt" in line for line in lines)
