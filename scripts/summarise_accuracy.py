"""Join the accuracy of all models into one table, and pick the headline rows."""

from mtm.analyses.accuracy.tables import headline, join_summaries
from mtm.io import read_tsv, write_tsv
from mtm.pipeline.scripting import run


def main(snakemake):
    """Read every model's table by tissue, write the summary and the headline."""
    tables = [read_tsv(path, ["model", "tissue"]) for path in snakemake.input.by_tissue]
    params = snakemake.params
    summary = join_summaries(tables, params.models, params.cohort, params.members)
    write_tsv(summary, snakemake.output.summary)
    write_tsv(headline(summary), snakemake.output.headline)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
