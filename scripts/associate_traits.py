"""Compare how genes go with traits in one model's predictions and in observed expression."""

from mtm.analyses.traits.associations import trait_associations
from mtm.io import read_parquet, read_tsv, write_parquet, write_tsv
from mtm.pipeline.held_out import held_out
from mtm.pipeline.scripting import run
from mtm.settings.traits import TraitSettings


def main(snakemake):
    """Read the predictions of all folds and the donors' traits, write genes and agreement."""
    inputs, params, output = snakemake.input, snakemake.params, snakemake.output
    genes, agreement = trait_associations(
        held_out(snakemake),
        snakemake.wildcards.model,
        read_tsv(inputs.donors, ["donor"], dtype={"donor": str}).set_index("donor"),
        read_parquet(inputs.gene_wise),
        TraitSettings.of(params.traits),
        reference=held_out(snakemake, inputs.reference) if inputs.reference else None,
    )
    write_parquet(genes, output.associations)
    write_tsv(agreement, output.agreement)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
