"""Predict gene expression in unseen tissues from one that can be sampled: MTM and its rivals."""

from snakemake.utils import min_version

min_version("9.27")


# A config file given on the command line stands alone: it is not laid over this one.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/common_models.smk"
include: "workflow/rules/common_external.smk"
include: "workflow/rules/common_transfer.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/cohort.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/accuracy.smk"
include: "workflow/rules/intervals.smk"
include: "workflow/rules/external.smk"
include: "workflow/rules/sources.smk"
include: "workflow/rules/growth.smk"
include: "workflow/rules/landmarks.smk"
include: "workflow/rules/ranks.smk"
include: "workflow/rules/imputation.smk"
include: "workflow/rules/comparison.smk"
include: "workflow/rules/gene_characteristics.smk"
include: "workflow/rules/profiles.smk"
include: "workflow/rules/traits.smk"
include: "workflow/rules/disease.smk"
include: "workflow/rules/disease_status.smk"
include: "workflow/rules/transfer.smk"
include: "workflow/rules/transfer_reference.smk"
include: "workflow/rules/representations.smk"
include: "workflow/rules/trainings.smk"
include: "workflow/rules/paper.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/page.smk"


rule accuracy:
    input:
        results_of("accuracy/summary.tsv", "accuracy/headline.tsv"),


rule figures:
    input:
        results_of(
            "{place}.{suffix}",
            place=[drawn["place"] for drawn in FIGURES.values()],
            suffix=["pdf", "png", "tsv"],
        ),


rule tables:
    input:
        results_of(
            "cohort/filtering.tsv", "cohort/fold_counts.tsv", "tables/skipped.tsv"
        ),
        expand(TABLES, cohort=config["cohort"]),


rule all:
    default_target: True
    input:
        rules.accuracy.input,
        rules.figures.input,
        rules.tables.input,
        results_of("index.html"),
        results_of("bundles/{model}.safetensors", model=FITTED_MODELS)
        if config["final_bundle"]
        else [],
