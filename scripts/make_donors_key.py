"""Make the key that bundles tell their training donors by."""

from mtm.models.donors import DonorsKey
from mtm.pipeline.scripting import run


def main(snakemake):
    """Write a new key."""
    DonorsKey.write(snakemake.output.key)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
