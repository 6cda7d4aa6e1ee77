"""Download one external file, verify it and put it in place."""

from pathlib import Path

from mtm.pipeline.datasets import needed_files, read_manifest, series_of
from mtm.pipeline.download import fetch_needed
from mtm.pipeline.geo import content_check
from mtm.pipeline.scripting import run


def main(snakemake):
    """Fetch the file; if it cannot be had, report on everything the configuration needs."""
    manifest = read_manifest(snakemake.input.manifest, series_of(snakemake.config))
    output = Path(snakemake.output.file)
    name = next(name for name, dataset in manifest.items() if dataset.file == output.name)
    destinations = {name: output} | needed_files(manifest, snakemake.config, output.parent)
    fetch_needed(name, manifest, destinations, check=content_check(name))


if "snakemake" in globals():
    # It goes on with an earlier download, and leaves a file that is there.
    with run(snakemake, in_place=True):  # noqa: F821
        main(snakemake)  # noqa: F821
