"""Join the trait agreement of all models and summarise it beside the paper's numbers."""

import pandas as pd

from mtm.analyses.traits.summary import summarise_traits
from mtm.io import read_tsv, write_tsv
from mtm.pipeline.scripting import run


def main(snakemake):
    """Read one table a model, write the joined one and the summary."""
    tables = [read_tsv(path, ["model", "trait", "rho"]) for path in snakemake.input.agreement]
    agreement = pd.concat(tables, ignore_index=True)
    write_tsv(agreement, snakemake.output.agreement)
    write_tsv(summarise_traits(agreement), snakemake.output.summary)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
