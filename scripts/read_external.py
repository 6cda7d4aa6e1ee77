"""Read an external cohort, a GEO series or files, and bring it to the cohort's genes."""

from functools import partial
from pathlib import Path

import anndata
import pandas as pd

from mtm.analyses.transfer.reading import Files, read_people, said_by_config
from mtm.cohort.genes import gene_lengths
from mtm.cohort.units import lengths_of
from mtm.io import read_tsv
from mtm.pipeline.scripting import run
from mtm.settings.external import External


def main(snakemake):
    """Read the files, write expression, samples and what was counted."""
    inputs, params, output = snakemake.input, snakemake.params, snakemake.output
    settings = External.of(params.external)
    genes = anndata.read_h5ad(inputs.expression, backed="r").var[["symbol"]]
    names = getattr(inputs, "names", None)
    lengths = None
    if model := getattr(inputs, "gene_model", None):
        lengths = pd.Series(lengths_of(genes.index, gene_lengths(model)), genes.index)
    counts = Path(params.counts) if params.counts and Path(params.counts).exists() else None
    reading = read_people(
        settings,
        Files(
            Path(inputs.external_expression),
            Path(inputs.external_samples) if getattr(inputs, "external_samples", None) else None,
            counts,
        ),
        genes,
        None if names is None else read_tsv(names, dtype=str),
        lengths,
        min_per_group=params.min_per_group,
        said_by=partial(said_by_config, name=snakemake.wildcards.external),
    )
    reading.write(output.expression, output.samples, output.report)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
