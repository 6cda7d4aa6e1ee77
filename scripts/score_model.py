"""Score one model's held-out predictions: per gene, per sample and per tissue."""

from mtm.analyses.accuracy.score import score_predictions
from mtm.io import write_parquet, write_tsv
from mtm.pipeline.held_out import held_out
from mtm.pipeline.scripting import run
from mtm.settings.accuracy import AccuracySettings


def main(snakemake):
    """Read the predictions of all folds, score them on both scales, write their tables."""
    scores = score_predictions(
        held_out(snakemake),
        snakemake.wildcards.model,
        AccuracySettings.of(snakemake.params.accuracy),
        snakemake.params.learned,
    )
    write_parquet(scores.gene_wise, snakemake.output.gene_wise)
    write_parquet(scores.sample_wise, snakemake.output.sample_wise)
    write_tsv(scores.by_tissue, snakemake.output.by_tissue)
    write_parquet(scores.draws, snakemake.output.draws)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
