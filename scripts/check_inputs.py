"""Check every file and name of the configuration before anything is built from them."""

import time

from mtm.io import write_tsv
from mtm.pipeline.datasets import read_manifest, series_of
from mtm.pipeline.input_check import check_inputs
from mtm.pipeline.scripting import run
from mtm.registered import SOURCE_ROOT

MANIFEST = SOURCE_ROOT.parent / "config" / "datasets.tsv"


def main(snakemake):
    """Read the files and list them, with digests of those that the cohort is made of."""
    table, _ = check_inputs(
        snakemake.config, read_manifest(MANIFEST, series_of(snakemake.config)), time.time()
    )
    contents = snakemake.params.contents
    digests = {f"inputs.{role}": digest for role, digest in contents.items()}
    table["digest"] = table["key"].map(digests)
    write_tsv(table, snakemake.output.table)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
