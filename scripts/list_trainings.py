"""Put the ends of all trainings into one table."""

from mtm.analyses.trainings import training_summary
from mtm.io import read_tsv, write_tsv
from mtm.pipeline.scripting import run


def main(snakemake):
    """Read every training table, write one row each."""
    tables = {path: read_tsv(path) for path in snakemake.input.tables}
    write_tsv(training_summary(tables, snakemake.params.seeds), snakemake.output.trainings)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
