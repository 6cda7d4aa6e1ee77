# Predicted fold changes against a reference: a contrast of the cohort, or the user's table.
if WITH_REFERENCE:
    USERS_REFERENCE = (
        {
            "reference": resolve_file(
                "transfer.reference",
                TRANSFER["reference"],
                DATASETS,
                config["local_files"],
            )
        }
        if TRANSFER["reference"]
        else {}
    )

    rule contrast_reference:
        input:
            **followed(USERS_REFERENCE),
            expression=rules.build_cohort.output.expression,
            donors=rules.build_cohort.output.donors,
        output:
            genes="results/{cohort}/transfer/{external}/reference.parquet",
            tissues="results/{cohort}/transfer/{external}/reference.tsv",
        log:
            "logs/{cohort}/contrast_reference/{external}.log",
        benchmark:
            "benchmarks/{cohort}/contrast_reference/{external}.tsv"
        wildcard_constraints:
            external="|".join(EXTERNAL),
        conda:
            "../../envs/mtm.yaml"
        threads: 4
        resources:
            **RULE_RESOURCES["contrast_reference"],
            runtime=60,
        params:
            contents=contents_of(USERS_REFERENCE),
            source=source_of,
            transfer=transfer_of,
            disease=CONTRAST_SETTINGS,
            code=code_of("contrast_reference.py"),
        message:
            "The reference of {wildcards.external}: {params.transfer[contrast]} in observed tissues"
        script:
            "../../scripts/contrast_reference.py"

    rule transfer_model:
        input:
            external_expression=rules.read_external.output.expression,
            external_samples=rules.read_external.output.samples,
            bundle=of_its_fits(rules.train_all.output.bundle),
            donors_key=rules.make_donors_key.output.key,
            expression=rules.build_cohort.output.expression,
            donors=rules.build_cohort.output.donors,
            reference_genes=rules.contrast_reference.output.genes,
            reference=rules.contrast_reference.output.tissues,
            gene_wise=GENE_WISE,
        output:
            agreement="results/{cohort}/transfer/{external}/agreement/{model}.tsv",
            groups=report(
                "results/{cohort}/transfer/{external}/groups/{model}.tsv",
                caption="../report/transfer_groups.rst",
                category="External cohort",
                labels={
                    "content": "Tissues related to the disease and others, {external}, {model}"
                },
            ),
            genes="results/{cohort}/transfer/{external}/genes/{model}.parquet",
        log:
            "logs/{cohort}/transfer_model/{external}/{model}.log",
        benchmark:
            "benchmarks/{cohort}/transfer_model/{external}/{model}.tsv"
        wildcard_constraints:
            external="|".join(EXTERNAL),
            model="|".join(TRANSFER_MODELS),
        conda:
            "../../envs/mtm.yaml"
        threads: 4
        resources:
            mem_mb=memory_beside_bundle("transfer_model"),
            disk_mb=RULE_RESOURCES["transfer_model"]["disk_mb"],
            runtime=60,
        params:
            source=source_of,
            transfer=transfer_of,
            disease=CONTRAST_SETTINGS,
            code=lambda wildcards: code_of(
                "transfer_model.py", *model_modules(wildcards.model)
            ),
        message:
            "Taking {wildcards.external} through {wildcards.model}"
        script:
            "../../scripts/transfer_model.py"

    TABLES += expand(
        rules.transfer_model.output.groups,
        external=WITH_REFERENCE,
        model=TRANSFER_MODELS,
        allow_missing=True,
    )
    for NAME in WITH_REFERENCE:
        OF_EXTERNAL = f"results/{{cohort}}/transfer/{NAME}"
        add_figure(
            "fig4",
            "External cohort",
            "Fold changes predicted for external patients against the reference",
            external=NAME,
            genes=f"{OF_EXTERNAL}/genes/{TRANSFER_MODELS[0]}.parquet",
            agreement=f"{OF_EXTERNAL}/agreement/{TRANSFER_MODELS[0]}.tsv",
        )
        add_figure(
            "transfer",
            "External cohort",
            "Agreement with the reference in every tissue, by model and alignment",
            external=NAME,
            agreement=[
                f"{OF_EXTERNAL}/agreement/{model}.tsv" for model in TRANSFER_MODELS
            ],
            groups=[
                f"{OF_EXTERNAL}/groups/{model}.tsv" for model in TRANSFER_MODELS
            ],
        )
