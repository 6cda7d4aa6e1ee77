"""List the analyses that were left out, by the configuration or for want of data, and why."""

from collections import defaultdict
from pathlib import Path

from mtm.io import write_tsv
from mtm.pipeline.scripting import run
from mtm.pipeline.skipped import skipped_analyses


def main(snakemake):
    """Read the tables of the run, write one row for what each of them lacks."""
    inputs = snakemake.input
    training = defaultdict(list)
    for path in inputs.training:
        training[Path(path).parent.name].append(path)
    table = skipped_analyses(snakemake.params.skipped, inputs.tables, training)
    write_tsv(table, snakemake.output.skipped)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
