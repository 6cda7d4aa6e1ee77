"""Join the contrasts of all models, one table a characteristic, and the counts of genes."""

import pandas as pd

from mtm.analyses.genes.contrast import join_contrasts
from mtm.errors import CannotDo
from mtm.io import read_tsv, write_note, write_tsv
from mtm.pipeline.scripting import run


def main(snakemake):
    """Read the tables of all models and characteristics, write the joined ones."""
    inputs, output = snakemake.input, snakemake.output
    contrasts = [read_tsv(path, ["characteristic", "model"]) for path in inputs.contrasts]
    for characteristic in snakemake.params.characteristics:
        try:
            write_tsv(join_contrasts(contrasts, characteristic), output[characteristic])
        except CannotDo as why:
            write_note(why, output[characteristic])
    matching = [read_tsv(path, ["characteristic", "step", "n"]) for path in inputs.matching]
    write_tsv(pd.concat(matching, ignore_index=True), output.matching)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
