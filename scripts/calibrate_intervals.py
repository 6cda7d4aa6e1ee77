"""Calibrate one model's intervals on its held-out donors, judge them, and class its genes."""

from mtm.analyses.intervals.score import calibrate_intervals
from mtm.io import read_parquet, write_parquet, write_tsv
from mtm.pipeline.held_out import held_out
from mtm.pipeline.scripting import run
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.intervals import IntervalSettings


def main(snakemake):
    """Read the predictions of all folds and the accuracy of genes, write four tables."""
    inputs, params, output = snakemake.input, snakemake.params, snakemake.output
    calibrated = calibrate_intervals(
        held_out(snakemake),
        read_parquet(inputs.gene_wise),
        snakemake.wildcards.model,
        IntervalSettings.of(params.intervals),
        AccuracySettings.of(params.accuracy),
        params.learned,
    )
    write_parquet(calibrated.genes, output.genes)
    write_tsv(calibrated.quantiles, output.quantiles)
    write_tsv(calibrated.coverage, output.coverage)
    write_tsv(calibrated.reliability, output.reliability)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
