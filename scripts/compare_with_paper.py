"""Set the accuracy numbers of He et al. 2023 beside those of this run."""

from mtm.analyses.accuracy.paper import Results, paper_table
from mtm.io import read_tsv, write_tsv
from mtm.pipeline.scripting import run


def main(snakemake):
    """Read the tables of accuracy and comparison, write the numbers side by side."""
    inputs, params = snakemake.input, snakemake.params
    results = Results(
        summary=read_tsv(inputs.summary, ["model", "tissue"]),
        pairs=read_tsv(inputs.pairs, ["model_a", "model_b"]),
        overlaps=read_tsv(inputs.overlaps, ["model_a", "model_b"]),
        fold_changes=read_tsv(inputs.fold_changes, ["model_a", "model_b"]),
    )
    table = paper_table(results, params.roles, params.models, params.cohort)
    write_tsv(table, snakemake.output.table)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
