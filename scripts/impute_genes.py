"""Impute the genes of held-out samples, score that, and name values that stand out."""

import logging

import pandas as pd

from mtm.analyses.imputation.counts import read_counts
from mtm.analyses.imputation.impute import impute
from mtm.analyses.imputation.score import find_outliers, score_imputed
from mtm.analyses.imputation.zeros import COLUMNS, count_zeros, say_zeros
from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.io import write_tsv
from mtm.pipeline.scripting import run
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.imputation import Imputation
from mtm.settings.scaling import Scaling


def main(snakemake):
    """Read the cohort and its counts, if there are any, and write three tables."""
    inputs, output, params = snakemake.input, snakemake.output, snakemake.params
    device = snakemake.config["training"]["device"]
    settings, scaling = Imputation.of(params.imputation), Scaling.of(params.scaling)
    cohort, folds = Cohort.read(inputs.expression, inputs.donors), read_folds(inputs.folds)
    counts, zeros = None, pd.DataFrame(columns=COLUMNS)
    if inputs.get("counts"):
        counts = read_counts(inputs.counts, cohort)
        zeros = count_zeros(counts, cohort)
        logging.getLogger("mtm").info(say_zeros(zeros))
    imputed = impute(cohort, folds, settings, scaling, device, counts)
    accuracy = AccuracySettings.of(params.accuracy)
    write_tsv(score_imputed(cohort, folds, imputed, accuracy, scaling, device), output.accuracy)
    write_tsv(find_outliers(cohort, folds, imputed, settings), output.outliers)
    write_tsv(zeros, output.zeros)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
