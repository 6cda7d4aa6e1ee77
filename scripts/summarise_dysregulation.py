"""Join the dysregulation of all models: agreement, Table S3, summary, and the genes of Fig 3a."""

import pandas as pd

from mtm.analyses.disease.agreement_tables import (
    kept_pairs,
    pair_genes,
    summarise_agreement,
    volcano_pair,
    with_q_values,
)
from mtm.io import read_parquet, read_tsv, write_tsv
from mtm.pipeline.scripting import run
from mtm.statistics.small_counts import of_enough_people


def main(snakemake):
    """Read one table of genes and one of agreement a model, write one table a question."""
    inputs, params, output = snakemake.input, snakemake.params, snakemake.output
    tables = [read_tsv(path, ["model", "tissue", "contrast"]) for path in inputs.agreement]
    agreement = with_q_values(pd.concat(tables, ignore_index=True))
    least = params.disease["min_de_genes"]
    write_tsv(agreement.assign(min_de_genes=least), output.agreement)
    s3 = of_enough_people(kept_pairs(agreement, least), params.fewest_people)
    write_tsv(s3, output.s3)
    write_tsv(summarise_agreement(agreement, least), output.summary)
    pair = volcano_pair(
        agreement, params.disease["volcano_tissue"], params.disease["volcano_contrast"]
    )
    genes = [pair_genes(read_parquet(path), pair) for path in inputs.genes]
    volcano = pd.concat(genes, ignore_index=True)
    write_tsv(volcano.assign(q_below=params.disease["q_below"]), output.volcano)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
