"""Perturb genes in the sentences of held-out samples and see where their codes go."""

from mtm.analyses.ranks.perturb import perturb_genes
from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.io import write_tsv
from mtm.pipeline.scripting import run
from mtm.settings.ranks import Ranks


def main(snakemake):
    """Read the cohort and the encoders, write one table."""
    inputs = snakemake.input
    table = perturb_genes(
        Cohort.read(inputs.expression, inputs.donors),
        read_folds(inputs.folds),
        dict(enumerate(inputs.encoders)),
        snakemake.config["source"],
        Ranks.of(snakemake.params.ranks),
        snakemake.config["training"]["device"],
    )
    write_tsv(table, snakemake.output.perturbation)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
