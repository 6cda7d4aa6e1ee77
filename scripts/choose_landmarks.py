"""Set up the panels of landmarks: a list, the choice of the data for every fold, chance."""

from mtm.analyses.landmarks.panel import panel_table
from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.io import write_tsv
from mtm.pipeline.scripting import run
from mtm.settings.landmarks import Landmarks
from mtm.settings.scaling import Scaling


def main(snakemake):
    """Read the cohort and the list, if there is one, and write one row a landmark."""
    inputs, params = snakemake.input, snakemake.params
    panels = panel_table(
        Cohort.read(inputs.expression, inputs.donors),
        read_folds(inputs.folds),
        Landmarks.of(params.landmarks),
        Scaling.of(params.scaling),
        inputs.get("landmarks"),
    )
    write_tsv(panels, snakemake.output.panels)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
