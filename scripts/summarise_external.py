"""Join the accuracy for people from elsewhere into one table, and pick the headline rows."""

import pandas as pd

from mtm.analyses.accuracy.tables import external_headline
from mtm.errors import CannotDo
from mtm.io import read_tsv, write_tsv
from mtm.pipeline.scripting import run


def main(snakemake):
    """Read every model's table and the tissues of every evaluation, write three tables."""
    inputs, output = snakemake.input, snakemake.output
    tissues = {
        name: read_tsv(path, ["tissue", "status"])
        for name, path in zip(snakemake.params.evaluations, inputs.tissues, strict=True)
    }
    write_tsv(pd.concat(tissues, names=["cohort"]).reset_index("cohort"), output.tissues)
    tables, notes = [], []
    for path in inputs.by_tissue:
        try:
            tables.append(read_tsv(path, ["cohort", "alignment", "model"]))
        except CannotDo as why:
            notes.append(why)
    if not tables:
        reasons = dict.fromkeys(f"{why.analysis}: {why.reason}" for why in notes)
        raise CannotDo("accuracy for people from elsewhere", "; ".join(reasons), notes[0].remedy)
    summary = pd.concat(tables, ignore_index=True)
    write_tsv(summary, output.summary)
    write_tsv(external_headline(summary), output.headline)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
