"""Set the numbers of He et al. 2023 beside those of this run."""

from pathlib import Path

from mtm.analyses.paper.results import Results, read_tables
from mtm.analyses.paper.table import paper_table
from mtm.analyses.paper.verdict import papers_data
from mtm.io import write_tsv
from mtm.pipeline.scripting import run


def main(snakemake):
    """Read the tables of all analyses that ran, write the numbers side by side."""
    params = snakemake.params
    # Benchmarks are no inputs: one that was deleted must not train a model again.
    benchmarks = [path for path in params.benchmarks if Path(path).exists()]
    files = dict(snakemake.input.items()) | {"benchmarks": benchmarks}
    tables, absent = read_tables(files, params.fewest_people)
    results = Results(tables, params.absent | absent, params.roles, params.models)
    same_data = papers_data(params.inputs, tables)
    table = paper_table(results, params.cohort, same_data, params.reference)
    write_tsv(table, snakemake.output.table)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
