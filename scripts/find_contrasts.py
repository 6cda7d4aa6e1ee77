"""Find the cases and controls of every contrast and tissue, and say which of them run."""

from mtm.analyses.disease.contrasts import contrast_table, held_out_samples
from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.io import write_parquet, write_tsv
from mtm.pipeline.scripting import run
from mtm.settings.disease import DiseaseSettings


def main(snakemake):
    """Read the cohort and its folds, write labels of samples and the table of contrasts."""
    inputs, params = snakemake.input, snakemake.params
    cohort = Cohort.read(inputs.expression, inputs.donors)
    folds = read_folds(inputs.folds)
    samples = held_out_samples(cohort, folds, params.source)
    labels, table = contrast_table(cohort, samples, DiseaseSettings.of(params.disease))
    write_parquet(labels, snakemake.output.labels)
    write_tsv(table, snakemake.output.contrasts)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
