"""Make a panel of landmarks whole in held-out donors, by one method, and score it."""

from mtm.analyses.landmarks.panel import read_panels
from mtm.analyses.landmarks.score import score_landmarks
from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.io import write_tsv
from mtm.pipeline.scripting import run
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.landmarks import Landmarks
from mtm.settings.scaling import Scaling


def main(snakemake):
    """Read the cohort and the panels, write one table."""
    inputs, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
    cohort = Cohort.read(inputs.expression, inputs.donors)
    table = score_landmarks(
        cohort,
        read_folds(inputs.folds),
        read_panels(inputs.panels, cohort.genes.index),
        wildcards.panel,
        wildcards.method,
        Landmarks.of(params.landmarks),
        AccuracySettings.of(params.accuracy),
        Scaling.of(params.scaling),
        snakemake.config["training"]["device"],
    )
    write_tsv(table, snakemake.output.accuracy)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
