"""Predict people from elsewhere with a model fitted without them, and score it."""

from mtm.analyses.accuracy.external import score_external
from mtm.io import write_parquet, write_tsv
from mtm.models.donors import DonorsKey
from mtm.models.registry import load
from mtm.pipeline.held_out import held_out
from mtm.pipeline.scripting import run
from mtm.settings.accuracy import AccuracySettings


def main(snakemake):
    """Predict and score under every alignment, write predictions and three tables."""
    inputs, params, output = snakemake.input, snakemake.params, snakemake.output
    scores = score_external(
        load(inputs.bundle, DonorsKey.read(inputs.donors_key)),
        snakemake.wildcards.model,
        inputs.external_expression,
        inputs.external_donors,
        inputs.external_folds,
        {alignment: output[alignment] for alignment in params.alignments},
        held_out(snakemake),
        snakemake.wildcards.evaluation,
        AccuracySettings.of(params.accuracy),
        params.learned,
    )
    write_parquet(scores.gene_wise, output.gene_wise)
    write_parquet(scores.sample_wise, output.sample_wise)
    write_tsv(scores.by_tissue, output.by_tissue)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
