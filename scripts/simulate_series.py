"""Write the simulated external cohort as a GEO series, and a captcha for NCBI's gene table."""

from pathlib import Path

from mtm.io import read_tsv
from mtm.pipeline.scripting import run
from mtm.simulation.series import write_series


def main(snakemake):
    """Read the external cohort and the genes' Entrez ids, write the series."""
    inputs = snakemake.input
    genes = read_tsv(inputs.gene_identifiers, ["ensembl_gene_id", "entrez_id"])
    first = Path(snakemake.output.matrix)
    write_series(
        inputs.expression,
        inputs.samples,
        genes.set_index("ensembl_gene_id")["entrez_id"],
        first.parent,
        first.name.split("_")[0],
        gene_table=False,
    )


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
