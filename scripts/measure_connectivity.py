"""Measure the connectivity of genes: partners in a protein network."""

from mtm.analyses.genes.connectivity import (
    measure_connectivity,
    read_gene_identifiers,
    read_interactions,
)
from mtm.analyses.genes.matching import cohort_genes, matching_table
from mtm.io import write_tsv
from mtm.pipeline.scripting import run


def main(snakemake):
    """Read the network, write one row a gene, and count genes and interactions."""
    inputs = snakemake.input
    identifiers = inputs.get("gene_identifiers")
    genes, counts = measure_connectivity(
        read_interactions(inputs.interactions),
        cohort_genes(inputs.expression)["symbol"],
        identifiers and read_gene_identifiers(identifiers),
        min_score=snakemake.params.min_score,
        where=inputs.interactions,
    )
    write_tsv(genes, snakemake.output.genes)
    write_tsv(matching_table("connectivity", genes, counts), snakemake.output.matching)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
