"""Build the cohort: expression, donors and the filtering table."""

from mtm.cohort.build import build_cohort
from mtm.pipeline.scripting import run
from mtm.settings.cohort import Columns


def main(snakemake):
    """Filter samples and genes and write the three files of a cohort."""
    inputs, output = snakemake.input, snakemake.output
    build_cohort(
        inputs.expression,
        inputs.sample_attributes,
        inputs.get("subject_phenotypes"),
        columns=Columns.of(snakemake.params.columns),
        gene_model=inputs.get("gene_model"),
        gene_list=inputs.get("gene_list"),
        controlled_phenotypes=inputs.get("controlled_phenotypes"),
        source=snakemake.params.source,
        units=snakemake.params.units,
        out_expression=output.expression,
        out_donors=output.donors,
        out_filtering=output.filtering,
        **snakemake.params.filters,
    )


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
