"""Make the result page of a run from its tables and figures."""

from pathlib import Path

import anndata

from mtm.io import atomic_path
from mtm.page.build import Places, build_page
from mtm.page.results import Results
from mtm.pipeline.scripting import run


def main(snakemake):
    """Read the symbols of genes, put the page together, write it."""
    inputs, params = snakemake.input, snakemake.params
    genes = anndata.read_h5ad(inputs.expression, backed="r").var["symbol"].astype(str)
    folder = Path(snakemake.output.page).parent
    results = Results(folder, inputs, params.config, params.reference)
    places = Places(Path(params.captions), Path(params.benchmarks), Path(params.citation))
    page = build_page(results, params.figures, genes, places)
    with atomic_path(snakemake.output.page) as temporary:
        temporary.write_text(page, encoding="utf-8")


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
