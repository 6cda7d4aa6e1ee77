"""Make the key that bundles tell their training donors by, unless there is one."""

from mtm.models.donors import DonorsKey
from mtm.pipeline.scripting import run


def main(snakemake):
    """Keep the key that is there: bundles that were made with it are told by no other."""
    DonorsKey.kept(snakemake.output.key)


if "snakemake" in globals():
    with run(snakemake, in_place=True):  # noqa: F821
        main(snakemake)  # noqa: F821
