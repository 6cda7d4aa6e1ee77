"""All that is wrong with a configuration's files and names, in one message, before any job."""

import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from mtm.analyses.genes.connectivity import read_gene_identifiers, read_interactions
from mtm.analyses.genes.conservation import (
    conservation_values,
    is_table,
    read_chromosomes,
)
from mtm.analyses.imputation.counts import check_counts
from mtm.analyses.profiles.promoters import read_promoters
from mtm.analyses.profiles.table import check_table
from mtm.analyses.ranks.weights import described
from mtm.analyses.transfer.reading import Files, check_people, said_by_config
from mtm.cohort.checks import Problems, check_cohort
from mtm.cohort.filters import check_source
from mtm.cohort.folds import make_folds
from mtm.cohort.genes import read_gene_list, read_gtf_genes
from mtm.io import require_file
from mtm.pipeline.datasets import (
    COHORT_INPUTS,
    Dataset,
    external_roles,
    input_files,
    manifest_path,
    read_manifest,
    series_of,
)
from mtm.pipeline.failing import demand_past
from mtm.pipeline.name_check import check_folds, check_names
from mtm.settings.check import check_config
from mtm.settings.cohort import Columns
from mtm.settings.external import External
from mtm.settings.yaml_file import read_values

# Of another cohort every gene and sample that it has is taken.
ELSEWHERE_FILTERS = {
    "gene_biotypes": None,
    "min_samples_per_tissue": 1,
    "min_samples_per_donor": 1,
}


def check_configfile(path: str | Path) -> tuple[pd.DataFrame, list[str]]:
    """Check a configuration file, then `check_inputs`.

    The datasets are those of ``config/datasets.tsv`` here or, where there is none, of the checkout
    that this code is of.
    """
    path = Path(path)
    return check_loaded(read_values(path), [path])


def check_loaded(
    config: dict[str, Any], files: Sequence[Path] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """Check a configuration that was read from `files`; the rest as of `check_configfile`."""
    check_config(config, files)
    manifest = manifest_path()
    datasets = read_manifest(manifest, series_of(config)) if manifest.exists() else {}
    return check_inputs(config, datasets, time.time())


def check_inputs(
    config: Mapping[str, Any], manifest: Mapping[str, Dataset], now: float
) -> tuple[pd.DataFrame, list[str]]:
    """Read every file of a configuration as far as it is cheap, and look up every name.

    Parameters
    ----------
    config
        A checked configuration, its defaults filled in.
    manifest
        From `mtm.pipeline.datasets.read_manifest`.
    now
        Seconds since the epoch.

    Returns
    -------
    pd.DataFrame
        One row a file: ``key``, ``file``, ``bytes``.
    list of str
        Keys of files that are yet to be fetched or simulated, and so were not read.

    Raises
    ------
    InputError
        Of all problems of all files and names, each in full.
    """
    files = input_files(config, manifest)
    made = {f"resources/{dataset.file}" for dataset in manifest.values()}
    absent = [
        key
        for key, path in files.items()
        if not Path(path).exists() and (path in made or config["simulation"] is not None)
    ]
    there = {key: path for key, path in files.items() if key not in absent}
    problems = Problems()
    for path in there.values():
        problems.of(require_file, Path(path), "an existing file")
    if not problems.found:
        problems.of(demand_past, there.values(), now)
        _check_cohorts(problems, config, there, absent)
        _check_annotation(problems, config, there)
        _check_external(problems, config, there)
    problems.demand_none()
    rows = [(key, path, Path(path).stat().st_size) for key, path in there.items()]
    return pd.DataFrame(rows, columns=["key", "file", "bytes"]), absent


def _roles(files: Mapping[str, str], absent: Collection[str], prefix: str) -> dict[str, str]:
    """Return a cohort's files by role; none where one that it is made of is not there yet."""
    if any(prefix + role in absent for role in COHORT_INPUTS[:3]):
        return {}
    return {role: files[prefix + role] for role in COHORT_INPUTS if prefix + role in files}


def _check_cohorts(
    problems: Problems,
    config: Mapping[str, Any],
    files: Mapping[str, str],
    absent: Collection[str],
) -> None:
    """Note problems of this cohort's files, of other cohorts' and of tissues that are named."""
    columns = Columns.of(config["columns"])
    if own := _roles(files, absent, "inputs."):
        units = config["inputs"]["units"]
        known = check_cohort(problems, own, config["filters"], units, columns)
        if known is not None:
            check_names(problems, config, known)
            if config["source"] in known.tissues:
                samples = {name: known.samples[name].to_numpy() for name in ("donor", "tissue")}
                made = problems.of(
                    make_folds, **config["folds"], **samples, source=config["source"]
                )
                if made is not None:
                    check_folds(problems, config, made[0], known)
    for name, other in config["evaluation"]["external"].items():
        if theirs := _roles(files, absent, f"evaluation.external.{name}."):
            known = check_cohort(problems, theirs, ELSEWHERE_FILTERS, other["units"], columns)
            where = f"config key source, tissues of evaluation.external.{name}"
            if known is not None:
                problems.of(check_source, known.tissues, config["source"], where)


def _check_annotation(
    problems: Problems, config: Mapping[str, Any], files: Mapping[str, str]
) -> None:
    """Note problems of the files of single analyses."""
    readers = {
        "inputs.interactions": read_interactions,
        "inputs.gene_identifiers": read_gene_identifiers,
        "inputs.landmarks": read_gene_list,
        "inputs.counts": check_counts,
        "inputs.rank_encoder": described,
        "profiles.promoters": read_promoters,
    }
    for key, read in readers.items():
        if key in files:
            problems.of(read, files[key])
    if "profiles.table" in files and "inputs.gene_model" in files:
        paths = files["profiles.table"], files["inputs.gene_model"]
        problems.of(check_table, *paths, files.get("profiles.promoters"))
    if "inputs.gene_model" in files and not config["filters"]["gene_biotypes"]:
        # Where biotypes are chosen, it was read with the cohort; else genes may lack them.
        problems.of(read_gtf_genes, files["inputs.gene_model"])
    conservation = files.get("inputs.conservation")
    if conservation and is_table(conservation):
        column = config["gene_characteristics"]["conservation_column"]
        problems.of(conservation_values, conservation, column)
    elif conservation:
        problems.of(read_chromosomes, conservation)


def _check_external(
    problems: Problems, config: Mapping[str, Any], files: Mapping[str, str]
) -> None:
    """Note problems of external cohorts: their samples, and whose they are."""
    for name, external in (config["external"] or {}).items():
        roles = list(external_roles(external))
        there = {
            role: Path(files[key]) for role in roles if (key := f"external.{name}.{role}") in files
        }
        if len(there) == len(roles):
            problems.of(
                check_people,
                External.of(external),
                Files(**there),
                min_per_group=config["transfer"]["min_per_group"],
                said_by=partial(said_by_config, name=name),
            )
