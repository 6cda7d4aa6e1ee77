"""Estimate how well any model could predict every tissue."""

from mtm.analyses.accuracy.ceiling import estimate_ceilings
from mtm.cohort.cohort import Cohort
from mtm.io import write_tsv
from mtm.pipeline.scripting import run
from mtm.settings.scaling import Scaling


def main(snakemake):
    """Read the cohort, write one table."""
    inputs, params = snakemake.input, snakemake.params
    cohort = Cohort.read(inputs.expression, inputs.donors)
    table = estimate_ceilings(cohort, params.source, Scaling.of(params.scaling))
    write_tsv(table, snakemake.output.ceiling)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
