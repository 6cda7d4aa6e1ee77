"""Contrast the genes that one model predicts best with those it predicts worst."""

from pathlib import Path

from mtm.analyses.genes.contrast import contrast_genes
from mtm.analyses.genes.rho_draws import resampled_rho
from mtm.io import read_parquet, read_table, write_tsv
from mtm.pipeline.held_out import held_out
from mtm.pipeline.scripting import run
from mtm.settings.accuracy import AccuracySettings


def main(snakemake):
    """Read accuracy, predictions and characteristics, write one row a tissue and reading."""
    inputs, params = snakemake.input, snakemake.params
    characteristics = {Path(path).stem: read_table(path) for path in inputs.characteristics}
    settings = AccuracySettings.of(params.accuracy).with_(bootstraps=params.bootstraps)
    table = contrast_genes(
        snakemake.wildcards.model,
        read_parquet(inputs.gene_wise),
        characteristics,
        resampled_rho(held_out(snakemake), settings),
        quantile=params.quantile,
    )
    write_tsv(table, snakemake.output.contrasts)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
