"""Test the cohort's observed tissues for the contrast that an external cohort stands for."""

from mtm.analyses.transfer.reference import reference_contrast
from mtm.cohort.cohort import Cohort
from mtm.io import write_parquet, write_tsv
from mtm.pipeline.scripting import run
from mtm.settings.disease import DiseaseSettings
from mtm.settings.transfer import TransferSettings


def main(snakemake):
    """Read the cohort, write genes and tissues."""
    inputs, params = snakemake.input, snakemake.params
    genes, tissues = reference_contrast(
        Cohort.read(inputs.expression, inputs.donors),
        params.source,
        DiseaseSettings.of(params.disease),
        TransferSettings.of(params.transfer, params.disease),
    )
    write_parquet(genes, snakemake.output.genes)
    write_tsv(tissues, snakemake.output.tissues)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
