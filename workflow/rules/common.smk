import gc
import os
import shutil
import sys
import time
from contextlib import suppress
from difflib import get_close_matches
from functools import cache
from pathlib import Path

# Plans live as long as the run: looking through them for garbage took a fifth of a dry run.
gc.set_threshold(100_000, 50, 100)


def own_folder():
    """Return this workflow's folder, whether it is run itself, as a module or from a git host.

    What stands in a git repository alone, as `github(...)` names it, is unpacked once a commit.
    """
    here = workflow.current_basedir.join("../..")
    if not hasattr(here, "ref"):
        return Path(str(here)).resolve()
    import tarfile
    from tempfile import TemporaryDirectory, TemporaryFile

    from git import Repo

    hosted = hasattr(here, "hosted_repo")
    repository = here.hosted_repo.repo if hosted else Repo(here.repo_path)
    commit = repository.commit(here.ref).hexsha
    folder = Path(".snakemake", "unpacked", commit).resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not folder.exists():
        with TemporaryDirectory(dir=folder.parent) as made, TemporaryFile() as archive:
            repository.archive(archive, commit)
            archive.seek(0)
            # The filter is of Python 3.11.4; the tree is that of the workflow itself.
            safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            tarfile.open(fileobj=archive).extractall(made, **safely)
            # Of two runs that unpack at once, one is first.
            with suppress(OSError):
                os.rename(made, folder)
    return folder


HOME = own_folder()
SOURCE_ROOT = Path(HOME, "src")
# Scripts import the library from here, installed or not.
os.environ.update(PYTHONPATH=str(SOURCE_ROOT))
sys.path.insert(0, str(SOURCE_ROOT))

from snakemake.jobs import Job
from snakemake.script import PythonScript

from mtm.pipeline import code_digest as digest
from mtm.errors import NO_TPM, InputError
from mtm.io import clear_leftovers
from mtm.pipeline import failing
from mtm.pipeline import resources as asked
from mtm.pipeline.datasets import (
    COHORT_INPUTS,
    external_roles,
    gene_names_dataset,
    optional_files,
    read_manifest,
    resolve_file,
    series_dataset,
    series_of,
    unknown_dataset,
)
from mtm.pipeline.input_digests import input_digests
from mtm.pipeline.tissue_names import demand_tissues
from mtm.pipeline.warm_start import start_jobs_warm
from mtm.settings.check import check_config
from mtm.settings.cohort import Columns
from mtm.settings.models.base import COVARIATES, declared
from mtm.vocabulary import OWN_UNITS


def files_of_config():
    """Return the files whose lines errors of the configuration name; a module is handed none."""
    own = workflow.modifier.is_main_snakefile()
    return own * (workflow.overwrite_configfiles or [Path("config", "config.yaml")])


failing.keep_earlier_results(Job)
check_config(
    config,
    files_of_config(),
    workflow.config_settings.config,
)

DATASETS = read_manifest(Path(HOME, "config", "datasets.tsv"), series_of(config))
# Files that jobs download: like every file that a job makes, they are followed by their time, too.
MADE_FILES = {f"resources/{dataset.file}" for dataset in DATASETS.values()}
# The hyper-parameters of each model, and with them what its class declares.
PARAMETERS = {
    name: declared(model["class"]).of(model["parameters"])
    for name, model in config["models"].items()
}

MODELS = list(config["models"])
# The model whose fits each predicts with, which is itself for all but those that share another's.
FITS = {name: model["of"] or name for name, model in config["models"].items()}
# The cohort's own covariates.
OWN_COLUMNS = Columns.of(config["columns"])
FITTED_MODELS = list(dict.fromkeys(FITS.values()))
SCORED_MODELS = MODELS + (["oracle"] if config["simulation"] is not None else [])
# Models whose fit takes epochs have a learning curve.
ITERATIVE_MODELS = [name for name in FITTED_MODELS if PARAMETERS[name].in_epochs]
FOLDS = range(config["folds"]["n_folds"])
# Who takes this workflow in as a module may say where `results/` lies (`replace_prefix`).
RESULTS = Path(workflow.modifier.modify_path(f"results/{config['cohort']}"))
FILTERING = Path(RESULTS, "cohort", "filtering.tsv")
COHORT_SIZE = asked.cohort_size(config["simulation"], FILTERING)
RULE_RESOURCES = asked.rule_resources(COHORT_SIZE, len(SCORED_MODELS))


wildcard_constraints:
    cohort=config["cohort"],
    model="|".join(SCORED_MODELS),
    fold=r"\d+",


for name in config["local_files"]:
    if name not in DATASETS:
        raise unknown_dataset(
            f"local_files.{name}", name, "a dataset of config/datasets.tsv", DATASETS
        )


def resolve_input(role):
    """Return the path of one of `inputs`."""
    return resolve_file(
        f"inputs.{role}", config["inputs"][role], DATASETS, config["local_files"]
    )


if config["simulation"] is None:
    demand_tissues(config, resolve_input("sample_attributes"))


def inputs_of(*roles):
    """Return the paths of those of `inputs` that are set, by role."""
    return {role: resolve_input(role) for role in roles if config["inputs"][role]}


def followed(files):
    """Return a rule's inputs: where no job makes them, their content alone is followed."""
    return {
        role: (
            path
            if config["simulation"] is not None or path in MADE_FILES
            else ancient(path)
        )
        for role, path in files.items()
    }


def contents_of(files):
    """Return the param that follows the content of files; downloads are verified by themselves."""
    return lambda wildcards: input_digests(
        {role: path for role, path in files.items() if path not in MADE_FILES}
    )


def results_of(*patterns, **wildcards):
    """Return the files that patterns below the cohort's results folder name."""
    return expand(
        [f"results/{{cohort}}/{pattern}" for pattern in patterns],
        cohort=config["cohort"],
        **wildcards,
    )


@cache
def code_of(script, *modules, without=()):
    """Return the digest of the code that a rule runs."""
    path = Path(HOME, "scripts", script)
    return digest.code_digest(path, modules, without)


def models_of(section, *preferred, otherwise=MODELS[:1]):
    """Return the models of an analysis: those its section names, else the preferred ones of the run.

    Where the run has none of these, `otherwise`, which is its first model.
    """
    named = config[section]["models"]
    preferred = [name for name in dict.fromkeys(preferred) if name in MODELS]
    return named or preferred or otherwise


def for_jobs(section, *further):
    """Return a section without what the plan alone takes of it, and `further`, what others take.

    A change of these reruns no job that is told the rest.
    """
    left_out = ("models", "baseline", *further)
    return {name: value for name, value in section.items() if name not in left_out}


# Models in the parts that He et al. 2023 give them, and the first covariates-only model.
ROLES = config["comparison"]["roles"]
REFERENCE_MODELS = [
    name for name in MODELS if config["models"][name]["class"] == "covariates"
][:1]


# Files of a model that several rules name.
PREDICTIONS = "results/{cohort}/predictions/{model}/fold{fold}.h5ad"
GENE_WISE = "results/{cohort}/accuracy/gene_wise/{model}.parquet"


def of_its_fits(path):
    """Return the function that names a file of the fits which a model predicts with."""
    return lambda wildcards: path.replace("{model}", FITS[wildcards.model])


def predictions_of(models):
    """Return the held-out predictions of models, all folds."""
    return expand(PREDICTIONS, model=models, fold=FOLDS, allow_missing=True)


# What later .smk files add to, each in its own place: figures (see figures.smk), tables that
# belong to the whole run, training tables of networks (see trainings.smk), and analyses left out.
FIGURES = {}
TABLES = []
TRAININGS = []
SKIPPED = []


def add_figure(name, category, title, external=None, **tables):
    """Add a figure: its place in the report, and the tables its module takes, by name.

    Its caption is workflow/report/{name}.rst. That of an external cohort, of which there may be
    several, stands among its tables.
    """
    FIGURES[f"{name}-{external}" if external else name] = {
        "figure": name,
        "place": (
            f"transfer/{external}/figures/{name}" if external else f"figures/{name}"
        ),
        "category": category,
        "title": f"{title}, {external}" if external else title,
        "tables": tables,
    }


def skip(analysis, reason, remedy):
    """Say in tables/skipped.tsv that this configuration leaves an analysis out, and why.

    What can be known only from the cohort, a script says by `mtm.errors.CannotDo`.
    """
    SKIPPED.append({"analysis": analysis, "reason": reason, "remedy": remedy})


# What stands for phenotypes that are not there, and what would bring them.
if "gtex" in str(config["inputs"]["expression"]).lower():
    NO_PHENOTYPES = "no controlled-access phenotype file"
    MORE_PHENOTYPES = "set inputs.controlled_phenotypes (dbGaP phs000424)"
else:
    NO_PHENOTYPES = "the cohort's tables have no such column"
    MORE_PHENOTYPES = (
        "name columns of yours in columns.covariates, with use: [trait] or [status]"
    )
if config["inputs"]["controlled_phenotypes"] is None:
    skip("exact age, BMI, disease", NO_PHENOTYPES, MORE_PHENOTYPES)


# The size of a cohort from files is a guess until it is built: no reason to stop.
SIZE_IS_KNOWN = config["simulation"] is not None or FILTERING.exists()


# Before the first job, as what is found days later would stop the run then.
onstart:
    failing.demand_past(
        {file for job in workflow.dag.needrun_jobs() for file in job.input},
        time.time(),
    )
    clear_leftovers(RESULTS)
    if config["warm_start"] and workflow.local_exec:
        start_jobs_warm(PythonScript)
    if SIZE_IS_KNOWN:
        # Downloads look for themselves.
        asked.require_disk(
            Path.cwd(),
            sum(
                disk_mb
                for job in workflow.dag.needrun_jobs()
                if job.rule.name != "fetch_dataset"
                # Defaults of an executor are text until a job's input is there.
                and isinstance(disk_mb := job.resources.get("disk_mb"), int)
            ),
            shutil.disk_usage(".").free / 1e6,
        )


onerror:
    failing.end_with_reasons()
