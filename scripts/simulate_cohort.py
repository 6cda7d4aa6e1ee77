"""Simulate a cohort in GTEx's file formats, its annotation and an external cohort, with truth."""

from mtm.scripting import run
from mtm.simulate import SimulationSettings, simulate_cohort, simulate_population
from mtm.simulate_annotation import write_annotation
from mtm.simulate_external import write_external


def main(snakemake):
    """Write every file of the simulation."""
    output = snakemake.output
    settings = SimulationSettings.of(snakemake.params.settings)
    simulate_cohort(
        settings,
        expression=output.expression,
        sample_attributes=output.sample_attributes,
        subject_phenotypes=output.subject_phenotypes,
        controlled_phenotypes=output.controlled_phenotypes,
        gene_model=output.gene_model,
        truth=output.truth,
    )
    write_annotation(
        simulate_population(settings),
        conservation=output.conservation,
        interactions=output.interactions,
        gene_identifiers=output.gene_identifiers,
        gene_truth=output.gene_truth,
    )
    if settings.n_external_donors:
        write_external(
            settings,
            expression=output.external_expression,
            samples=output.external_samples,
            truth=output.external_truth,
        )


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
