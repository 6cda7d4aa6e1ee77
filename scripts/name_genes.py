"""Say which genes Entrez ids and symbols are; fetch what a GEO series can do without."""

import logging
from pathlib import Path

from mtm.cohort.gene_names import ENTREZ, gene_names, read_ncbi_table
from mtm.errors import InputError
from mtm.io import write_tsv
from mtm.pipeline.datasets import GENE_TABLE, read_manifest, series_of
from mtm.pipeline.geo import fetch_optional
from mtm.pipeline.scripting import run
from mtm.registered import SOURCE_ROOT

log = logging.getLogger(__name__)
MANIFEST = SOURCE_ROOT.parent / "config" / "datasets.tsv"


def main(snakemake):
    """Fetch NCBI's gene table and counts where they can be had; write the names of genes."""
    inputs, params = snakemake.input, snakemake.params
    manifest = read_manifest(MANIFEST, series_of(snakemake.config))
    fetch_optional(manifest, params.optional, Path("resources"))
    table = Path(getattr(inputs, "gene_table", None) or f"resources/{manifest[GENE_TABLE].file}")
    ncbi = None
    try:
        ncbi = read_ncbi_table(table)
    except InputError as error:
        log.warning("%s: HGNC's Entrez ids serve in its place", error)
    names = gene_names(inputs.hgnc, ncbi)
    entrez = names[names["kind"] == ENTREZ]
    log.info("Entrez ids with an Ensembl id: %s", entrez.groupby("source")["name"].nunique())
    write_tsv(names, snakemake.output.names)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
