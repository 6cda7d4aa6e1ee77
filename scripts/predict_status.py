"""Predict disease status from a model's predictions and their rivals, in some of the tissues."""

from mtm.analyses.disease.status import (
    StatusPairs,
    disease_status,
    donor_halves,
    labels_of_part,
)
from mtm.cohort.cohort import Cohort
from mtm.io import read_parquet, read_tsv, write_parquet
from mtm.pipeline.held_out import held_out
from mtm.pipeline.scripting import run
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.disease_status import StatusSettings
from mtm.vocabulary import PREDICTABLE


def main(snakemake):
    """Read the predictions of all folds and the labels, write auROC, curves and replicates."""
    inputs, params, output = snakemake.input, snakemake.params, snakemake.output
    labels = read_parquet(inputs.labels)
    settings = StatusSettings.of(params.status)
    pairs = StatusPairs(
        donor_halves(labels, settings),
        read_tsv(inputs.agreement, ["tissue", "contrast", "n_de_observed"]),
        params.min_de_genes,
    )
    status, curves, replicates = disease_status(
        held_out(snakemake),
        snakemake.wildcards.model,
        Cohort.read(inputs.expression, inputs.donors),
        params.source,
        labels_of_part(labels, int(snakemake.wildcards.part), settings.parts),
        read_parquet(inputs.gene_wise, PREDICTABLE),
        settings,
        pairs,
        held_out(snakemake, inputs.covariates) if inputs.covariates else None,
        AccuracySettings.of(params.accuracy),
        n_jobs=snakemake.threads,
    )
    write_parquet(status, output.status)
    write_parquet(curves, output.curves)
    write_parquet(replicates, output.replicates)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
