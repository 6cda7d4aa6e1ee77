"""Every job of a configuration run in this process: no job pays for its own imports."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import yaml
from scripts import load_script
from snakemake.api import SnakemakeApi
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    OutputSettings,
    Quietness,
    ResourceSettings,
)

from mtm.pipeline.scripting import run

ROOT = Path(__file__).parents[2]


def plan(config: dict, folder: Path, targets: Sequence[str] = ()):
    """Return the jobs of some targets, or all, in an order in which they can run."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=[path]),
            snakefile=ROOT / "Snakefile",
            workdir=folder,
        )
        workflow.dag(dag_settings=DAGSettings(targets=frozenset(targets))).execute_workflow(
            executor="dryrun"
        )
        dag = workflow._workflow.dag
        return [job for level in dag.toposorted() for job in level if job.rule.script]


def run_all(config: dict, folder: Path, targets: Sequence[str] = ()) -> None:
    """Take a configuration through every rule, figures too, below `folder`."""
    before = Path.cwd()
    try:
        jobs = plan(config, folder, targets)
        os.chdir(folder)
        for job in jobs:
            snakemake = SimpleNamespace(
                rule=job.rule.name,
                config=job.rule.workflow.config,
                threads=1,
                **{name: getattr(job, name) for name in ("input", "output", "params", "log")},
                wildcards=job.wildcards,
            )
            with run(snakemake, in_place=job.rule.name == "fetch_dataset"):
                load_script(Path(job.rule.script).stem).main(snakemake)
            # As Snakemake does: a run that follows finds nothing left to do.
            asyncio.run(job.rule.workflow.persistence.finished(job))
    finally:
        os.chdir(before)
