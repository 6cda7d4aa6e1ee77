"""Take an external cohort through a model fitted on all donors, compare fold changes."""

from mtm.analyses.transfer.agreement import transfer_agreement
from mtm.analyses.transfer.external import ExternalCohort, training_source
from mtm.cohort.cohort import Cohort
from mtm.io import read_parquet, read_tsv, write_parquet, write_tsv
from mtm.models.donors import DonorsKey
from mtm.models.registry import load
from mtm.pipeline.scripting import run
from mtm.settings.transfer import TransferSettings
from mtm.vocabulary import HEADLINE, PREDICTABLE


def main(snakemake):
    """Read the bundle, both cohorts and the reference, write agreement, groups and genes."""
    inputs, params, output = snakemake.input, snakemake.params, snakemake.output
    settings = TransferSettings.of(params.transfer, params.disease)
    external = ExternalCohort.read(inputs.external_expression, inputs.external_samples)
    model = load(inputs.bundle, DonorsKey.read(inputs.donors_key))
    cohort = Cohort.read(inputs.expression, inputs.donors)
    scored = read_parquet(inputs.gene_wise, PREDICTABLE)
    predictable = scored.loc[
        scored[HEADLINE.definition] & (scored["scale"] == HEADLINE.scale), ["tissue", "gene_id"]
    ]
    agreement, groups, genes = transfer_agreement(
        model,
        snakemake.wildcards.model,
        external,
        training_source(model, cohort, params.source),
        params.source,
        read_parquet(inputs.reference_genes),
        read_tsv(inputs.reference, ["tissue", "status", "role"]),
        settings,
        predictable,
    )
    write_tsv(agreement, output.agreement)
    write_tsv(groups, output.groups)
    write_parquet(genes, output.genes)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
