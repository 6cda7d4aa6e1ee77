"""Simulate a cohort in GTEx's file formats, its annotation and an external cohort, with truth."""

from mtm.pipeline.scripting import run
from mtm.settings.simulation import SimulationSettings
from mtm.simulation.annotation import write_annotation
from mtm.simulation.external import write_external
from mtm.simulation.files import simulate_cohort
from mtm.simulation.population import simulate_population


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
