TRANSFER_MODELS = models_of(
    "transfer",
    *(
        name
        for name in (ROLES["MTM"], "ridge", "same_gene")
        if name in MODELS and needs_no_covariates(name)
    ),
    otherwise=[],
)
ANALYSIS = "transfer to an external cohort"
# Those whose groups a contrast of the cohort, or a table, stands beside.
WITH_REFERENCE = []
if not EXTERNAL:
    skip(
        ANALYSIS,
        "no external cohort",
        "set external (docs/geo.md; He et al. 2023: GSE184050)",
    )
elif config["inputs"]["units"] in OWN_UNITS:
    skip(ANALYSIS, *NO_TPM)
elif not TRANSFER_MODELS:
    skip(
        ANALYSIS,
        "no model that predicts from the source tissue alone",
        "name models under transfer.models",
    )
else:
    if GENE_NAMES:

        # Here and not on a node: NCBI's own table and counts are fetched, if they can be had.
        rule name_genes:
            input:
                **followed(GENE_NAME_FILES),
            output:
                names="results/{cohort}/transfer/gene_names.tsv",
            log:
                "logs/{cohort}/name_genes.log",
            benchmark:
                "benchmarks/{cohort}/name_genes.tsv"
            localrule: True
            conda:
                "../../envs/mtm.yaml"
            threads: 1
            resources:
                **RULE_RESOURCES["name_genes"],
                runtime=60,
            params:
                optional=(
                    [
                        name
                        for external in EXTERNAL.values()
                        if external["geo"]
                        for name in optional_files(external["geo"])
                        if name not in config["local_files"]
                    ]
                    if config["simulation"] is None
                    else []
                ),
                contents=contents_of(GENE_NAME_FILES),
                code=code_of("name_genes.py"),
            message:
                "Looking up which genes Entrez ids and symbols are"
            script:
                "../../scripts/name_genes.py"

    rule read_external:
        input:
            unpack(files_of_external),
            expression=rules.build_cohort.output.expression,
        output:
            expression="results/{cohort}/transfer/{external}/expression.h5ad",
            samples="results/{cohort}/transfer/{external}/samples.tsv",
            report=report(
                "results/{cohort}/transfer/{external}/reading.tsv",
                caption="../report/external_reading.rst",
                category="External cohort",
                labels={"content": "Samples and genes of {external}"},
            ),
        log:
            "logs/{cohort}/read_external/{external}.log",
        benchmark:
            "benchmarks/{cohort}/read_external/{external}.tsv"
        wildcard_constraints:
            external="|".join(EXTERNAL),
        conda:
            "../../envs/mtm.yaml"
        threads: 1
        resources:
            **RULE_RESOURCES["read_external"],
            runtime=60,
        params:
            contents=lambda wildcards: contents_of(EXTERNAL_FILES[wildcards.external])(
                wildcards
            ),
            external=lambda wildcards: for_jobs(
                EXTERNAL[wildcards.external], "contrast", "source"
            ),
            counts=lambda wildcards: counts_file(wildcards.external),
            min_per_group=TRANSFER["min_per_group"],
            code=code_of("read_external.py"),
        message:
            "Reading the external cohort {wildcards.external}"
        script:
            "../../scripts/read_external.py"

    rule predict_differences:
        input:
            external_expression=rules.read_external.output.expression,
            external_samples=rules.read_external.output.samples,
            bundle=of_its_fits(rules.train_all.output.bundle),
            donors_key=rules.make_donors_key.output.key,
            expression=rules.build_cohort.output.expression,
            donors=rules.build_cohort.output.donors,
            gene_wise=GENE_WISE,
        output:
            tissues=report(
                "results/{cohort}/transfer/{external}/predicted/{model}.tsv",
                caption="../report/predicted_differences.rst",
                category="External cohort",
                labels={"content": "Predicted differences, {external}, {model}"},
            ),
            genes="results/{cohort}/transfer/{external}/predicted_genes/{model}.parquet",
        log:
            "logs/{cohort}/predict_differences/{external}/{model}.log",
        benchmark:
            "benchmarks/{cohort}/predict_differences/{external}/{model}.tsv"
        wildcard_constraints:
            external="|".join(EXTERNAL),
            model="|".join(TRANSFER_MODELS),
        conda:
            "../../envs/mtm.yaml"
        threads: 4
        resources:
            mem_mb=memory_beside_bundle("predict_differences"),
            disk_mb=RULE_RESOURCES["predict_differences"]["disk_mb"],
            runtime=120,
        params:
            source=source_of,
            transfer=without_reference,
            disease={"q_below": DISEASE["q_below"]},
            code=lambda wildcards: code_of(
                "predict_differences.py", *model_modules(wildcards.model)
            ),
        message:
            "Comparing groups of {wildcards.external} in tissues predicted by {wildcards.model}"
        script:
            "../../scripts/predict_differences.py"

    add_trainings(rules.train_all.output.training, TRANSFER_MODELS)
    TABLES += expand(
        [
            rules.read_external.output.report,
            rules.predict_differences.output.tissues,
        ],
        external=EXTERNAL,
        model=TRANSFER_MODELS,
        allow_missing=True,
    )
    for NAME in EXTERNAL:
        add_figure(
            "fig4_predicted",
            "External cohort",
            "What differs between the groups in predicted tissues",
            external=NAME,
            differences=f"results/{{cohort}}/transfer/{NAME}/predicted/{TRANSFER_MODELS[0]}.tsv",
        )
        CONTRAST = EXTERNAL[NAME]["contrast"] or TRANSFER["contrast"]
        if (
            TRANSFER["reference"]
            or not CONTRAST.startswith("MH")
            or config["inputs"]["controlled_phenotypes"]
        ):
            WITH_REFERENCE.append(NAME)
        else:
            skip(
                f"agreement of {NAME} with a reference (Fig 4)",
                f"{NO_PHENOTYPES}: {CONTRAST}",
                f"{MORE_PHENOTYPES}; or set transfer.reference to a table of fold changes, "
                f"or external.{NAME}.contrast to a contrast of open data",
            )
