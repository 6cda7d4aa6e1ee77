"""Draw the folds of a cohort and count what each of them trains on."""

from mtm.cohort.folds import make_folds, read_samples
from mtm.errors import InputError
from mtm.io import read_tsv, write_tsv
from mtm.pipeline.scripting import run


def main(snakemake):
    """Read donors and tissues of the samples, draw folds, write folds and counts."""
    inputs, params = snakemake.input, snakemake.params
    samples = read_samples(inputs.expression)
    donors = read_tsv(inputs.donors, ["donor"], dtype={"donor": str})["donor"]
    if set(donors) != set(samples["donor"]):
        difference = sorted(set(donors) ^ set(samples["donor"]))
        raise InputError(
            inputs.donors,
            f"donors that differ from those of {inputs.expression}, first {difference[0]}",
            "the same donors in both files",
        )
    folds, counts = make_folds(
        donor=samples["donor"].to_numpy(),
        tissue=samples["tissue"].to_numpy(),
        source=params.source,
        **params.folds,
    )
    write_tsv(folds, snakemake.output.folds)
    write_tsv(counts, snakemake.output.counts)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
