"""Compare latent codes within and between held-out donors."""

from mtm.analyses.representations.codes import code_similarity
from mtm.analyses.representations.networks import bundles_by_model
from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.io import write_tsv
from mtm.models.donors import DonorsKey
from mtm.pipeline.scripting import run


def main(snakemake):
    """Read the cohort, load the bundles of all folds, write one table a level."""
    inputs, params, output = snakemake.input, snakemake.params, snakemake.output
    donors, tissue_pairs, summary = code_similarity(
        Cohort.read(inputs.expression, inputs.donors),
        read_folds(inputs.folds),
        bundles_by_model(inputs.bundles, params.models, params.folds),
        params.permutations,
        params.bootstraps,
        params.seed,
        DonorsKey.read(inputs.donors_key),
    )
    write_tsv(donors, output.donors)
    write_tsv(tissue_pairs, output.tissue_pairs)
    write_tsv(summary, output.summary)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
