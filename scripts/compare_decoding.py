"""Compare decoding paths with the similarity of tissues, layer by layer."""

from mtm.analyses.representations.decoding import decoding_similarity
from mtm.analyses.representations.networks import bundles_by_model
from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.io import write_tsv
from mtm.models.donors import DonorsKey
from mtm.pipeline.scripting import run


def main(snakemake):
    """Read the cohort, load the bundles of all folds, write pairs of tissues and their summary."""
    inputs, params, output = snakemake.input, snakemake.params, snakemake.output
    pairs, summary = decoding_similarity(
        Cohort.read(inputs.expression, inputs.donors),
        params.source,
        read_folds(inputs.folds),
        bundles_by_model(inputs.bundles, params.models, params.folds),
        params.permutations,
        params.seed,
        DonorsKey.read(inputs.donors_key),
    )
    write_tsv(pairs, output.pairs)
    write_tsv(summary, output.summary)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
