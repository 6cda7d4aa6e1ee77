"""Set people from elsewhere beside the training donors: one cohort, one held-out fold."""

from mtm.pipeline.scripting import run
from mtm.predictions.external import People, join_people


def main(snakemake):
    """Read both sides, or part the cohort in two, and write the joined files."""
    inputs, params, output = snakemake.input, snakemake.params, snakemake.output
    training = People.read(inputs.expression, inputs.donors)
    if params.part:
        training, external = training.split(params.part["hold_out"], params.part["values"])
    else:
        external = People.read(inputs.external_expression, inputs.external_donors)
    join_people(
        training,
        external,
        source=params.source,
        min_donors=params.min_donors,
        min_gene_overlap=params.min_gene_overlap,
        out_expression=output.expression,
        out_donors=output.donors,
        out_folds=output.folds,
        out_tissues=output.tissues,
    )


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
