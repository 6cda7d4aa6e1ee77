"""Score a model given other tissues than the source, and say which next one would tell most."""

from mtm.analyses.sources.accuracy import score_sources
from mtm.analyses.sources.next_tissue import next_tissues
from mtm.cohort.cohort import Cohort
from mtm.io import write_tsv
from mtm.models.donors import DonorsKey
from mtm.models.registry import load
from mtm.models.requests import refuse_seen
from mtm.pipeline.held_out import held_out
from mtm.pipeline.scripting import run
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.any_sources import AnySources


def main(snakemake):
    """Read every fold's bundle once, predict and score from all choices, write both tables."""
    inputs, params = snakemake.input, snakemake.params
    of_model = held_out(snakemake)
    key = DonorsKey.read(inputs.donors_key)
    models = {
        int(fold): load(path, key) for fold, path in zip(params.folds, inputs.bundles, strict=True)
    }
    for (fold, model), bundle in zip(models.items(), inputs.bundles, strict=True):
        samples = of_model.samples
        refuse_seen(model, samples.loc[samples["fold"] == fold, "donor"], bundle)
    cohort = Cohort.read(inputs.expression, inputs.donors)
    accuracy = score_sources(
        models,
        cohort,
        of_model,
        snakemake.wildcards.model,
        params.source,
        AnySources.of(params.any_sources),
        AccuracySettings.of(params.accuracy),
        params.learned,
    )
    write_tsv(accuracy, snakemake.output.accuracy)
    told = next_tissues(models.values(), cohort, accuracy, params.source)
    write_tsv(told, snakemake.output.next_tissue)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
