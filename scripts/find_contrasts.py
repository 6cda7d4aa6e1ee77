"""Find the cases and controls of every contrast and tissue, and say which of them run."""

from mtm.analyses.disease.contrasts import contrast_table, held_out_samples
from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.errors import CannotDo
from mtm.io import write_parquet, write_tsv
from mtm.pipeline.scripting import run
from mtm.settings.disease import DiseaseSettings


def main(snakemake):
    """Read the cohort and its folds, write labels of samples and the table of contrasts."""
    inputs, params = snakemake.input, snakemake.params
    cohort = Cohort.read_samples(inputs.expression, inputs.donors)
    folds = read_folds(inputs.folds)
    samples = held_out_samples(cohort, folds, params.source)
    settings = DiseaseSettings.of(params.disease)
    labels, table = contrast_table(cohort, samples, settings)
    write_tsv(table, snakemake.output.contrasts)
    if labels.empty:
        raise CannotDo(
            "differential expression and disease status",
            f"no tissue has {settings.min_cases} cases and {settings.min_controls} controls of a "
            "contrast among its held-out samples",
            "lower disease.min_cases and disease.min_controls (disease/contrasts.tsv counts)",
        )
    write_parquet(labels, snakemake.output.labels)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
