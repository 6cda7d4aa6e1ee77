"""Score one model beyond covariates: partial rho, and rho within classes of death."""

from mtm.analyses.accuracy.partial import partial_accuracy
from mtm.cohort.cohort import Cohort
from mtm.io import write_tsv
from mtm.pipeline.held_out import held_out
from mtm.pipeline.scripting import run
from mtm.settings.accuracy import AccuracySettings


def main(snakemake):
    """Read the predictions of all folds and the cohort's covariates, write one table."""
    inputs, params = snakemake.input, snakemake.params
    table = partial_accuracy(
        held_out(snakemake),
        Cohort.read_samples(inputs.expression, inputs.donors),
        params.source,
        snakemake.wildcards.model,
        AccuracySettings.of(params.accuracy),
        params.learned,
        params.covariates,
    )
    write_tsv(table, snakemake.output.partial)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
