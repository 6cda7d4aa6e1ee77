"""Draw one figure: tables in, PDF, PNG and the drawn table out."""

from pathlib import Path

import pandas as pd

from mtm.figures.registry import make_figure
from mtm.figures.style import save_figure
from mtm.io import read_tsv
from mtm.pipeline.scripting import run


def read(path):
    """Read one table."""
    return pd.read_parquet(path) if Path(path).suffix == ".parquet" else read_tsv(path)


def main(snakemake):
    """Read every named input, several files under one name as a dict, and draw."""
    tables = {
        name: read(paths) if isinstance(paths, str) else {path: read(path) for path in paths}
        for name, paths in snakemake.input.items()
    }
    figure, table = make_figure(snakemake.params.figure, tables)
    output = snakemake.output
    save_figure(figure, table, output.pdf, output.png, output.tsv)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
