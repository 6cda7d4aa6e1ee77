"""Measure the expression level of genes: mean TPM in each tissue."""

from mtm.analyses.genes.expression_level import mean_expression
from mtm.analyses.genes.matching import matching_table
from mtm.io import write_parquet, write_tsv
from mtm.pipeline.scripting import run


def main(snakemake):
    """Read the cohort's expression, write one table a gene and tissue, and count the genes."""
    table, genes = mean_expression(snakemake.input.expression)
    write_parquet(table, snakemake.output.genes)
    write_tsv(matching_table("expression_level", genes), snakemake.output.matching)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
