"""Score a model by number of training donors, and say what more of them promise."""

from mtm.analyses.accuracy.growth import score_growth, training_sizes
from mtm.cohort.folds import read_folds
from mtm.io import write_tsv
from mtm.pipeline.held_out import held_out
from mtm.pipeline.scripting import run
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.growth import Growth


def main(snakemake):
    """Read the predictions of every number of donors that folds exceed, write one table."""
    inputs, params = snakemake.input, snakemake.params
    settings = Growth.of(params.growth)
    whole = held_out(snakemake)
    folds = read_folds(inputs.folds)
    smallest, usual = training_sizes(folds[folds.index.isin(whole.samples["donor"])])
    parts = {n: held_out(snakemake, inputs[f"of_{n}"]) for n in settings.donors if n < smallest}
    table = score_growth(
        whole,
        parts,
        snakemake.wildcards.model,
        usual,
        settings,
        AccuracySettings.of(params.accuracy),
        params.learned,
    )
    write_tsv(table, snakemake.output.growth)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
