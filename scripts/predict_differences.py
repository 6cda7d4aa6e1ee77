"""Compare an external cohort's groups in the tissues that a model predicts of it."""

from mtm.analyses.transfer.external import ExternalCohort, training_source
from mtm.analyses.transfer.predicted import predicted_differences
from mtm.analyses.transfer.predicting import checked, of_model_genes, to_training
from mtm.cohort.cohort import Cohort
from mtm.io import read_parquet, write_parquet, write_tsv
from mtm.models.donors import DonorsKey
from mtm.models.registry import load
from mtm.pipeline.scripting import run
from mtm.settings.transfer import TransferSettings
from mtm.vocabulary import HEADLINE, PREDICTABLE


def main(snakemake):
    """Read the bundle and both cohorts, write tissues and genes."""
    inputs, params, output = snakemake.input, snakemake.params, snakemake.output
    settings = TransferSettings.of(params.transfer, params.disease)
    model = load(inputs.bundle, DonorsKey.read(inputs.donors_key))
    cohort = Cohort.read(inputs.expression, inputs.donors)
    training = training_source(model, cohort, params.source)
    people = ExternalCohort.read(inputs.external_expression, inputs.external_samples)
    checked(model, of_model_genes(model, people, params.source, settings.min_gene_overlap))
    scored = read_parquet(inputs.gene_wise, PREDICTABLE)
    chosen = scored[HEADLINE.definition] & (scored["scale"] == HEADLINE.scale)
    tissues, genes = predicted_differences(
        model,
        snakemake.wildcards.model,
        people,
        to_training(training, settings.alignments[0]),
        params.source,
        settings,
        scored.loc[chosen, ["tissue", "gene_id"]],
    )
    write_tsv(tissues, output.tissues)
    write_parquet(genes, output.genes)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
