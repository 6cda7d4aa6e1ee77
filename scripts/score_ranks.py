"""Score the encoders of rank values on the donors whom each left out."""

from mtm.analyses.ranks.score import score_ranks
from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.io import write_tsv
from mtm.pipeline.scripting import run
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.ranks import Ranks
from mtm.settings.scaling import Scaling


def main(snakemake):
    """Read the cohort and the encoders, write one table."""
    inputs, params = snakemake.input, snakemake.params
    table = score_ranks(
        Cohort.read(inputs.expression, inputs.donors),
        read_folds(inputs.folds),
        dict(enumerate(inputs.encoders)),
        snakemake.config["source"],
        Ranks.of(params.ranks),
        AccuracySettings.of(params.accuracy),
        Scaling.of(params.scaling),
        snakemake.config["training"]["device"],
    )
    write_tsv(table, snakemake.output.summary)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
