TRANSFER = config["transfer"]
TRANSFER_MODELS = models_of(
    "transfer",
    *(
        name
        for name in (ROLES["MTM"], "ridge", "same_gene")
        if name in MODELS and needs_no_covariates(name)
    ),
    otherwise=[],
)
EXTERNAL = [
    name
    for name in ("external_expression", "external_samples")
    if config["inputs"][name]
]
ANALYSIS = "transfer to an external cohort"

if not EXTERNAL:
    skip(
        ANALYSIS,
        "no external cohort",
        "set inputs.external_expression and inputs.external_samples (He et al. 2023: GSE184050)",
    )
elif len(EXTERNAL) == 1:
    skip(
        ANALYSIS,
        f"inputs.{EXTERNAL[0]} alone is set",
        "set both inputs.external_expression and inputs.external_samples",
    )
elif TRANSFER["contrast"].startswith("MH") and not (
    config["inputs"]["controlled_phenotypes"]
):
    skip(
        ANALYSIS,
        f"no controlled-access phenotype file, which {TRANSFER['contrast']} is a column of",
        "set inputs.controlled_phenotypes, or transfer.contrast to a contrast of open data",
    )
elif not TRANSFER_MODELS:
    skip(
        ANALYSIS,
        "no model that predicts from the source tissue alone",
        "name models under transfer.models",
    )
else:

    rule contrast_reference:
        input:
            expression=rules.build_cohort.output.expression,
            donors=rules.build_cohort.output.donors,
        output:
            genes="results/{cohort}/transfer/reference.parquet",
            tissues="results/{cohort}/transfer/reference.tsv",
        log:
            "logs/{cohort}/contrast_reference.log",
        benchmark:
            "benchmarks/{cohort}/contrast_reference.tsv"
        conda:
            "../../envs/mtm.yaml"
        threads: 4
        resources:
            **RULE_RESOURCES["contrast_reference"],
            runtime=60,
        params:
            source=config["source"],
            transfer=TRANSFER,
            disease=config["disease"],
            code=code_of("contrast_reference.py"),
        message:
            "Testing {params.transfer[contrast]} in observed tissues"
        script:
            "../../scripts/contrast_reference.py"

    rule transfer_model:
        input:
            **followed(inputs_of("external_expression", "external_samples")),
            bundle=of_its_fits(rules.train_all.output.bundle),
            donors_key=rules.make_donors_key.output.key,
            expression=rules.build_cohort.output.expression,
            donors=rules.build_cohort.output.donors,
            reference_genes=rules.contrast_reference.output.genes,
            reference=rules.contrast_reference.output.tissues,
            gene_wise=GENE_WISE,
        output:
            agreement="results/{cohort}/transfer/agreement/{model}.tsv",
            groups=report(
                "results/{cohort}/transfer/groups/{model}.tsv",
                caption="../report/transfer_groups.rst",
                category="External cohort",
                labels={
                    "content": "Tissues related to the disease and others, {model}"
                },
            ),
            genes="results/{cohort}/transfer/genes/{model}.parquet",
        log:
            "logs/{cohort}/transfer_model/{model}.log",
        benchmark:
            "benchmarks/{cohort}/transfer_model/{model}.tsv"
        wildcard_constraints:
            model="|".join(TRANSFER_MODELS),
        conda:
            "../../envs/mtm.yaml"
        threads: 4
        resources:
            mem_mb=memory_beside_bundle("transfer_model"),
            disk_mb=RULE_RESOURCES["transfer_model"]["disk_mb"],
            runtime=60,
        params:
            contents=contents_of(inputs_of("external_expression", "external_samples")),
            source=config["source"],
            transfer=TRANSFER,
            disease=config["disease"],
            code=lambda wildcards: code_of(
                "transfer_model.py", *model_modules(wildcards.model)
            ),
        message:
            "Taking the external cohort through {wildcards.model}"
        script:
            "../../scripts/transfer_model.py"

    add_trainings(rules.train_all.output.training, TRANSFER_MODELS)
    TABLES += expand(
        "results/{{cohort}}/transfer/groups/{model}.tsv", model=TRANSFER_MODELS
    )
    add_figure(
        "fig4",
        "External cohort",
        "Fold changes predicted for external patients against the reference",
        genes=f"results/{{cohort}}/transfer/genes/{TRANSFER_MODELS[0]}.parquet",
        agreement=f"results/{{cohort}}/transfer/agreement/{TRANSFER_MODELS[0]}.tsv",
    )
    add_figure(
        "transfer",
        "External cohort",
        "Agreement with the reference in every tissue, by model and alignment",
        agreement=expand(
            "results/{{cohort}}/transfer/agreement/{model}.tsv",
            model=TRANSFER_MODELS,
        ),
        groups=expand(
            "results/{{cohort}}/transfer/groups/{model}.tsv", model=TRANSFER_MODELS
        ),
    )
