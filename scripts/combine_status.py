"""Join the parts of one model's disease status and compare inputs over all pairs."""

from mtm.analyses.disease.status_tables import combine_status
from mtm.io import read_parquet, write_parquet, write_tsv
from mtm.pipeline.scripting import run
from mtm.settings.disease_status import StatusSettings


def main(snakemake):
    """Read the parts, write auROC, curves and comparisons."""
    inputs, output = snakemake.input, snakemake.output
    parts = (inputs.status, inputs.curves, inputs.replicates)
    tables = [[read_parquet(path) for path in files] for files in parts]
    status, curves, summary = combine_status(*tables, StatusSettings.of(snakemake.params.status))
    write_tsv(status, output.status)
    write_parquet(curves, output.curves)
    write_tsv(summary, output.summary)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
