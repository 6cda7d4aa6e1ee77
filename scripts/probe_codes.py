"""Make codes of samples by every fold's training donors, and probe them."""

from mtm.analyses.imputation.codes import make_codes
from mtm.analyses.imputation.probes import probe_codes
from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.io import atomic_path, write_tsv
from mtm.models.donors import DonorsKey
from mtm.pipeline.scripting import run
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.imputation import Imputation
from mtm.settings.scaling import Scaling


def main(snakemake):
    """Read the cohort and the joint model's bundles, if there are any; write codes and probes."""
    inputs, output, params = snakemake.input, snakemake.output, snakemake.params
    device = snakemake.config["training"]["device"]
    settings, scaling = Imputation.of(params.imputation), Scaling.of(params.scaling)
    cohort, folds = Cohort.read(inputs.expression, inputs.donors), read_folds(inputs.folds)
    joint = dict(zip(params.folds, inputs.get("joint", []), strict=True)) if params.joint else None
    key = DonorsKey.read(inputs.donors_key)
    codes = make_codes(cohort, folds, settings, scaling, device, joint, key)
    with atomic_path(output.codes) as path:
        codes.write_h5ad(path)
    accuracy = AccuracySettings.of(params.accuracy)
    probes = probe_codes(cohort, folds, codes, params.source, settings, accuracy, scaling, device)
    write_tsv(probes, output.probes)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
