"""List the analyses that were left out, by the configuration or for want of data, and why."""

from collections import defaultdict
from pathlib import Path

from mtm.io import write_tsv
from mtm.pipeline.scripting import run
from mtm.pipeline.skipped import skipped_analyses
from mtm.statistics.small_counts import without_small_counts


def main(snakemake):
    """Read the tables of the run, write one row for what each of them lacks."""
    inputs, params = snakemake.input, snakemake.params
    training = defaultdict(list)
    for path in inputs.training:
        training[Path(path).parent.name].append(path)
    table = skipped_analyses(params.skipped, inputs.tables, training)
    reasons = [without_small_counts(reason, params.fewest_people) for reason in table["reason"]]
    table = table.assign(reason=reasons)
    write_tsv(table, snakemake.output.skipped)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
