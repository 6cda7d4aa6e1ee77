"""Join coverage of intervals and reliability of genes of all models."""

import pandas as pd

from mtm.io import read_tsv, write_tsv
from mtm.pipeline.scripting import run


def main(snakemake):
    """Read every model's two tables, write them under each other."""
    for name in ("coverage", "reliability"):
        tables = [read_tsv(path, ["model", "tissue"]) for path in snakemake.input[name]]
        write_tsv(pd.concat(tables, ignore_index=True), snakemake.output[name])


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
