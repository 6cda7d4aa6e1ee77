"""``mtm init``: a first configuration of a cohort of your own."""

import argparse
import os
import shlex
from pathlib import Path
from typing import get_args

from mtm.cli.output import demand_free
from mtm.cli.say import say, say_all
from mtm.errors import InputError, numbered, shown
from mtm.vocabulary import Units

ROLES = {
    "expression": "expression",
    "sample_attributes": "samples",
    "subject_phenotypes": "donors",
    "gene_model": "gene_model",
}


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    init = commands.add_parser(
        "init",
        help="write a first configuration of a cohort of your own",
        description="Look at the files of a cohort and write a short configuration for it, with "
        "sizes that suit it. Nothing is asked, and no file is replaced.",
    )
    init.add_argument("name", help="name of the cohort, of letters, digits, - and _")
    init.add_argument(
        "--expression",
        required=True,
        help="genes by samples (.tsv, .csv, .gct; .gz too) or .h5ad, in TPM, counts, RPKM, "
        "logarithms or z-scores",
    )
    init.add_argument(
        "--samples", required=True, help="a row a sample (.tsv, .csv): sample, donor, tissue, ..."
    )
    init.add_argument("--donors", help="a row a donor (.tsv, .csv), where there is such a table")
    init.add_argument("--gene-model", help="GTF: biotypes, and lengths of genes for counts")
    for role in ("sample-id", "donor", "tissue"):
        init.add_argument(
            f"--{role}", metavar="COLUMN", help="its column in --samples (default: found)"
        )
    init.add_argument(
        "--units",
        choices=get_args(Units),
        help="units of the expression, as inputs.units of the configuration (default: found)",
    )
    init.add_argument("--out", type=Path, help="file to write (default: NAME.yaml)")
    init.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Run ``mtm init``."""
    from mtm.io import atomic_path
    from mtm.pipeline.first_config import first_config, look

    out = options.out or Path(f"{options.name}.yaml")
    if os.path.exists(out):
        found = "a folder" if os.path.isdir(out) else "a file that is there already"
        raise InputError(shown(str(out)), found, "a new file", "Name another: --out.")
    demand_free(out, force=True)
    given = {role: getattr(options, option) for role, option in ROLES.items()}
    files = {role: path for role, path in given.items() if path}
    named = {role: getattr(options, role) for role in ("sample_id", "donor", "tissue")}
    with say_all():
        tables = options.samples, options.donors, options.gene_model
        seen = look(options.expression, *tables, named, options.units)
        for warning in seen.phenotypes.warnings:
            say(f"warning: {warning}")
        text = first_config(options.name, files, seen)
        _check(text, seen)
    with atomic_path(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    _say_seen(out, seen)
    print(f"snakemake{_snakefile()} --configfile {shlex.quote(str(out))} --cores 8")


def _check(text: str, seen) -> None:
    """Raise what is wrong with the files, all together."""
    import yaml

    from mtm.pipeline.first_config import advised
    from mtm.pipeline.input_check import check_loaded

    problems = seen.problems
    problems.of(check_loaded, yaml.safe_load(text))
    problems.found = [advised(problem, seen) for problem in problems.found]
    problems.demand_none()


def _say_seen(out: Path, seen) -> None:
    """Say what of the cohort the configuration takes, and by which columns."""
    from mtm.pipeline.first_config import left_out, too_few

    kept = seen.kept
    n_donors, n_tissues = kept["donor"].nunique(), kept["tissue"].nunique()
    say(
        f"{out}: {numbered(len(kept), 'sample')} of {numbered(n_donors, 'donor')} in "
        f"{numbered(n_tissues, 'tissue')}; read it, and change what you know better"
    )
    say(f"donor: {seen.donor or 'by the names of samples'}, tissue: {seen.tissue}")
    if few := left_out(seen):
        say(f"left out: {few}")
    if few := too_few(seen):
        say(f"warning: {few}")


def _snakefile() -> str:
    """Option that names the workflow, where it is not that of the working folder."""
    from mtm.registered import SOURCE_ROOT

    snakefile = SOURCE_ROOT.parent / "Snakefile"
    if Path("Snakefile").exists() or not snakefile.exists():
        return ""
    return f" --snakefile {shlex.quote(str(snakefile))}"
