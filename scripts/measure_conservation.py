"""Measure the conservation of genes: mean score of a bigWig over exons, or a table's values."""

from mtm.analyses.genes.conservation import measure_conservation
from mtm.analyses.genes.matching import cohort_genes, matching_table
from mtm.io import write_tsv
from mtm.pipeline.scripting import run


def main(snakemake):
    """Measure the cohort's genes, write one row a gene, and count them."""
    inputs, params = snakemake.input, snakemake.params
    genes = measure_conservation(
        inputs.get("conservation") or params.url,
        cohort_genes(inputs.expression).index,
        inputs.get("gene_model"),
        column=params.column,
        processes=snakemake.threads,
    )
    write_tsv(genes, snakemake.output.genes)
    write_tsv(matching_table("conservation", genes), snakemake.output.matching)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
