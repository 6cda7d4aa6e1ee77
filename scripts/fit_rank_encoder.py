"""Train the encoder of rank values of a fold."""

from mtm.analyses.ranks.encoder import save
from mtm.analyses.ranks.fold import fit_encoder
from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.io import write_tsv
from mtm.models.device import choose_device
from mtm.pipeline.scripting import run
from mtm.settings.ranks import Ranks


def main(snakemake):
    """Read the cohort, write the weights and the training table."""
    inputs, params = snakemake.input, snakemake.params
    cohort = Cohort.read(inputs.expression, inputs.donors)
    encoder, table = fit_encoder(
        cohort,
        read_folds(inputs.folds),
        int(snakemake.wildcards.fold),
        Ranks.of(params.ranks),
        choose_device(snakemake.config["training"]["device"]),
        inputs.get("rank_encoder"),
    )
    save(encoder, list(cohort.genes.index), snakemake.output.encoder)
    write_tsv(table, snakemake.output.training)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
