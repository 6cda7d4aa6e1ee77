"""Simulate a cohort in GTEx's file formats, with its truth."""

from mtm.scripting import run
from mtm.simulate import SimulationSettings, simulate_cohort


def main(snakemake):
    """Write every file of the cohort."""
    output = snakemake.output
    simulate_cohort(
        SimulationSettings.of(snakemake.params.settings),
        expression=output.expression,
        sample_attributes=output.sample_attributes,
        subject_phenotypes=output.subject_phenotypes,
        controlled_phenotypes=output.controlled_phenotypes,
        gene_model=output.gene_model,
        truth=output.truth,
    )


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
