"""Test one model's predictions, and observed expression, for differential expression."""

from mtm.analyses.disease.dysregulation import differential_expression
from mtm.io import read_parquet, write_parquet, write_tsv
from mtm.pipeline.held_out import held_out
from mtm.pipeline.scripting import run
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.disease import DiseaseSettings
from mtm.vocabulary import PREDICTABLE


def main(snakemake):
    """Read the predictions of all folds and the labels, write genes and agreement."""
    inputs, params, output = snakemake.input, snakemake.params, snakemake.output
    genes, agreement = differential_expression(
        held_out(snakemake),
        snakemake.wildcards.model,
        read_parquet(inputs.labels),
        read_parquet(inputs.gene_wise, PREDICTABLE),
        DiseaseSettings.of(params.disease),
        AccuracySettings.of(params.accuracy),
    )
    write_parquet(genes, output.genes)
    write_tsv(agreement, output.agreement)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
