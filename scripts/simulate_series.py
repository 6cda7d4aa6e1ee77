"""Write the simulated external cohort as a GEO series, and a captcha for NCBI's gene table."""

from mtm.io import read_tsv
from mtm.pipeline.scripting import run
from mtm.simulation.series import SeriesFiles, write_series


def main(snakemake):
    """Read the external cohort and the genes' Entrez ids, write the series."""
    inputs, output = snakemake.input, snakemake.output
    genes = read_tsv(inputs.gene_identifiers, ["ensembl_gene_id", "entrez_id"])
    write_series(
        inputs.expression,
        inputs.samples,
        genes.set_index("ensembl_gene_id")["entrez_id"],
        SeriesFiles(output.matrix, output.tpm, output.counts, output.gene_table),
        snakemake.params.accession,
        captcha=True,
    )


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
