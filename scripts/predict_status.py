"""Predict disease status from observed, predicted and source expression of one model's donors."""

import pandas as pd

from mtm.analyses.disease_status import StatusSettings, disease_status
from mtm.cohort import Cohort
from mtm.evaluation.accuracy import AccuracySettings
from mtm.evaluation.held_out import read_held_out
from mtm.io import write_parquet, write_tsv
from mtm.scripting import run


def main(snakemake):
    """Read the predictions of all folds and the labels, write auROC, curves and comparisons."""
    inputs, params, output = snakemake.input, snakemake.params, snakemake.output

    def predictions(files):
        return read_held_out(inputs.expression, inputs.folds, files, source=params.source)

    status, curves, summary = disease_status(
        predictions(inputs.predictions),
        snakemake.wildcards.model,
        Cohort.read(inputs.expression, inputs.donors),
        params.source,
        pd.read_parquet(inputs.labels),
        pd.read_parquet(inputs.gene_wise),
        StatusSettings.of(params.status),
        predictions(inputs.covariates) if inputs.covariates else None,
        AccuracySettings.of(params.accuracy),
        sd_rule=params.scaling["sd_rule"],
        log2_clip=params.scaling["log2_clip"],
        n_jobs=snakemake.threads,
    )
    write_tsv(status, output.status)
    write_parquet(curves, output.curves)
    write_tsv(summary, output.summary)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
