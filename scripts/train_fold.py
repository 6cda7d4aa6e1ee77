"""Fit one model on the training donors of one fold, or on all donors."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds, some_donors
from mtm.io import remove_files, write_tsv
from mtm.models.base import Predictor, Training
from mtm.models.donors import DonorsKey
from mtm.models.registry import build
from mtm.pipeline.scripting import run
from mtm.settings.scaling import Scaling


def monitor_of(held_out: Cohort, source: str) -> Callable[[Predictor], dict[str, float]]:
    """Import PyTorch, which not every model needs, where a model asks to be monitored."""

    @cache
    def made():
        from mtm.predictions.monitoring import held_out_monitor

        return held_out_monitor(held_out, source)

    return lambda model: made()(model)


def main(snakemake):
    """Keep the training donors, fit, write the bundle and the training table."""
    inputs, params, output = snakemake.input, snakemake.params, snakemake.output
    cohort = Cohort.read(inputs.expression, inputs.donors)
    fold, number, held_out = snakemake.wildcards.get("fold", "all"), 0, []
    if fold != "all":
        number = int(fold)
        folds = read_folds(inputs.folds, list(cohort.donors.index), params.get("n_folds"))
        held_out = folds.index[folds == number].tolist()
    settings = params.training
    donors = cohort.donors.index.difference(held_out)
    if "n_donors" in settings:
        donors = some_donors(donors, settings["n_donors"], settings["donor_seed"] + number)
    training = Training(
        cohort=cohort.of_donors(donors),
        source=cohort.tissue_index(settings["source"]),
        sources=settings["sources"],
        seed=settings["seed"] + number,
        scaling=Scaling.of(settings["scaling"]),
        device=snakemake.config["training"]["device"],
        checkpoint=Path(params.checkpoint),
        code=params.code,
        members=dict(zip(params.members, inputs.members, strict=True)),
        donors_key=DonorsKey.read(inputs.donors_key),
    )
    if settings["monitor_every"] and held_out:
        training.monitor_every = settings["monitor_every"]
        training.monitor = monitor_of(cohort.of_donors(held_out), settings["source"])
    del cohort
    model = build(params.model_class, params.parameters)
    wildcards = snakemake.wildcards
    model.provenance = replace(
        model.provenance, name=wildcards.model, cohort=wildcards.cohort, fold=fold
    )
    table = model.fit(training)
    model.save(output.bundle, training.donors_key)
    write_tsv(table, output.training)
    remove_files(training.checkpoint)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
