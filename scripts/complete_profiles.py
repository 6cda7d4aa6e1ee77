"""Complete profiles of genes over tissues, and measure how well that is done."""

from mtm.analyses.profiles.complete import profile_tables
from mtm.cohort.cohort import Cohort
from mtm.io import write_parquet, write_tsv
from mtm.pipeline.scripting import run
from mtm.settings.profiles import ProfileSettings


def main(snakemake):
    """Read the table, else the cohort, and what is known of genes; write two tables."""
    inputs, params = snakemake.input, snakemake.params
    own = {
        key: inputs[key] for key in ("table", "promoters", "conservation") if key in inputs.keys()
    }
    cohort = None if "table" in own else Cohort.read(inputs.expression, inputs.donors)
    completed, accuracy = profile_tables(
        cohort,
        ProfileSettings.of(params.profiles),
        inputs.gene_model,
        own,
        snakemake.config["training"]["device"],
    )
    write_parquet(completed, snakemake.output.completed)
    write_tsv(accuracy, snakemake.output.accuracy)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
