"""Predict held-out samples of a simulated cohort from its truth: no predictor can be better."""

from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.cohort.scaling import TissueScaler
from mtm.models.requests import held_out_requests
from mtm.pipeline.scripting import run
from mtm.predictions.files import write_predictions
from mtm.settings.scaling import Scaling
from mtm.simulation.oracle import oracle_predictions


def main(snakemake):
    """Scale with the training donors of one fold and write its prediction file."""
    inputs, params, fold = snakemake.input, snakemake.params, int(snakemake.wildcards.fold)
    cohort = Cohort.read(inputs.expression, inputs.donors)
    folds = read_folds(inputs.folds, list(cohort.donors.index))
    held_out = folds.index[folds == fold]
    training = cohort.of_donors(folds.index[folds != fold])
    scaler = TissueScaler.fit(
        training.expr_tpm,
        training.tissue,
        len(cohort.tissues),
        "log2_z",
        Scaling.of(params.scaling),
    )
    requests, target_rows = held_out_requests(cohort, held_out, params.source)
    write_predictions(
        snakemake.output.predictions,
        oracle_predictions(inputs.truth, cohort, target_rows, scaler),
        cohort,
        requests,
        target_rows,
        model="oracle",
        scale="log2_z",
        fold=fold,
    )


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
