"""Test observed tissues for the contrast that an external cohort stands for, or read a table."""

from mtm.analyses.transfer.reference import read_reference, reference_contrast
from mtm.cohort.cohort import Cohort
from mtm.io import write_parquet, write_tsv
from mtm.pipeline.scripting import run
from mtm.settings.disease import DiseaseSettings
from mtm.settings.transfer import TransferSettings


def main(snakemake):
    """Read the cohort, write genes and tissues."""
    inputs, params = snakemake.input, snakemake.params
    cohort = Cohort.read(inputs.expression, inputs.donors)
    settings = TransferSettings.of(params.transfer, params.disease)
    if path := getattr(inputs, "reference", None):
        genes, tissues = read_reference(path, cohort, params.source, settings)
    else:
        disease = DiseaseSettings.of(params.disease)
        genes, tissues = reference_contrast(cohort, params.source, disease, settings)
    write_parquet(genes, snakemake.output.genes)
    write_tsv(tissues, snakemake.output.tissues)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
