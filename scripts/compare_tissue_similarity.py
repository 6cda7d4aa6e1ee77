"""Compare the similarity of tissues in expression with that in predictability."""

from mtm.analyses.representations.tissue_similarity import tissue_similarity
from mtm.cohort.cohort import Cohort
from mtm.io import read_parquet, write_tsv
from mtm.pipeline.scripting import run


def main(snakemake):
    """Read the cohort and gene-wise accuracy, write pairs of tissues and their summary."""
    inputs, params, output = snakemake.input, snakemake.params, snakemake.output
    cohort = Cohort.read(inputs.expression, inputs.donors)
    gene_wise = {
        model: read_parquet(path)
        for model, path in zip(params.models, inputs.gene_wise, strict=True)
    }
    pairs, summary = tissue_similarity(cohort, gene_wise, params.permutations, params.seed)
    write_tsv(pairs, output.pairs)
    write_tsv(summary, output.summary)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
