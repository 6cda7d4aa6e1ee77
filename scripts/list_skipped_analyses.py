"""List the analyses that a configuration leaves out, and why."""

import pandas as pd

from mtm.io import write_tsv
from mtm.pipeline.scripting import run


def main(snakemake):
    """Write one row a skipped analysis."""
    table = pd.DataFrame(snakemake.params.skipped, columns=["analysis", "reason", "remedy"])
    write_tsv(table, snakemake.output.skipped)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
