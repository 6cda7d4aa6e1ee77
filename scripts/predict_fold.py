"""Predict the held-out donors of one fold with the model fitted without them."""

from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.models.donors import DonorsKey
from mtm.models.registry import load
from mtm.models.requests import (
    held_out_requests,
    predict_in_blocks,
    predict_with_sd_in_blocks,
    refuse_seen,
)
from mtm.pipeline.scripting import run
from mtm.predictions.files import write_predictions


def main(snakemake):
    """Load the bundle, predict every held-out sample, write the prediction file."""
    inputs, params, fold = snakemake.input, snakemake.params, int(snakemake.wildcards.fold)
    cohort = Cohort.read(inputs.expression, inputs.donors)
    folds = read_folds(inputs.folds, list(cohort.donors.index), params.get("n_folds"))
    held_out = folds.index[folds == fold]
    model = load(inputs.bundle, DonorsKey.read(inputs.donors_key))
    refuse_seen(model, held_out, inputs.bundle)
    requests, target_rows = held_out_requests(cohort, held_out, params.source, params.sources)
    predict = predict_with_sd_in_blocks if model.own_sd else predict_in_blocks
    write_predictions(
        snakemake.output.predictions,
        predict(model, cohort, requests),
        cohort,
        requests,
        target_rows,
        model=snakemake.wildcards.model,
        scale=model.scale,
        fold=fold,
        kind=params.get("kind", "float32"),
        own_sd=model.own_sd,
    )


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
