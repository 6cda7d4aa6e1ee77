TAKEN_ELSEWHERE = []

if not EVALUATION["external"]:
    skip(
        "accuracy for people from elsewhere",
        "evaluation.external is empty",
        "name another cohort there, or a site or batch of this one",
    )
else:
    for name in models_of("evaluation", *MODELS):
        if config["models"][name]["sources"] in ("source", [config["source"]]):
            TAKEN_ELSEWHERE.append(name)
        else:
            skip(
                f"accuracy of {name} for people from elsewhere",
                f"it sees other tissues than {config['source']}",
                "give it the sources 'source', or leave it out of evaluation.models",
            )


if TAKEN_ELSEWHERE:

    use rule build_cohort as build_external with:
        input:
            unpack(other_cohort),
        output:
            expression="results/{cohort}/external/{evaluation}/theirs/expression.h5ad",
            donors="results/{cohort}/external/{evaluation}/theirs/donors.tsv",
            filtering="results/{cohort}/external/{evaluation}/theirs/filtering.tsv",
        log:
            "logs/{cohort}/build_external/{evaluation}.log",
        benchmark:
            "benchmarks/{cohort}/build_external/{evaluation}.tsv"
        wildcard_constraints:
            evaluation="|".join(ELSEWHERE) or "(?!)",
        params:
            # Genes and tissues are chosen where the cohorts are joined; a source sample alone
            # still tells how the laboratory measures.
            filters={
                "gene_biotypes": None,
                "min_samples_per_tissue": 1,
                "min_samples_per_donor": 1,
            },
            contents=lambda wildcards: contents_of(
                ELSEWHERE_FILES[wildcards.evaluation]
            )(wildcards),
            columns=config["columns"],
            source=config["source"],
            units=lambda wildcards: ELSEWHERE[wildcards.evaluation]["units"],
            code=code_of("build_cohort.py"),
        message:
            "Building the external cohort {wildcards.evaluation}"

    rule join_external:
        input:
            unpack(people_from_elsewhere),
            expression=rules.build_cohort.output.expression,
            donors=rules.build_cohort.output.donors,
        output:
            expression="results/{cohort}/external/{evaluation}/expression.h5ad",
            donors="results/{cohort}/external/{evaluation}/donors.tsv",
            folds="results/{cohort}/external/{evaluation}/folds.tsv",
            tissues="results/{cohort}/external/{evaluation}/tissues.tsv",
        log:
            "logs/{cohort}/join_external/{evaluation}.log",
        benchmark:
            "benchmarks/{cohort}/join_external/{evaluation}.tsv"
        wildcard_constraints:
            evaluation="|".join(EVALUATION["external"]),
        conda:
            "../../envs/mtm.yaml"
        threads: 1
        resources:
            **RULE_RESOURCES["join_external"],
            runtime=60,
        params:
            part=lambda wildcards: PARTS.get(wildcards.evaluation),
            source=config["source"],
            min_donors=config["accuracy"]["min_donors_per_fold"],
            min_gene_overlap=EVALUATION["min_gene_overlap"],
            code=code_of("join_external.py"),
        message:
            "Setting {wildcards.evaluation} beside the training donors"
        script:
            "../../scripts/join_external.py"

    use rule train_fold as train_external with:
        input:
            expression=rules.build_cohort.output.expression,
            donors=rules.build_cohort.output.donors,
            folds=rules.join_external.output.folds,
            members=member_bundles,
            donors_key=rules.make_donors_key.output.key,
        output:
            bundle="results/{cohort}/external/{evaluation}/models/{model}/fold{fold}.safetensors",
            training="results/{cohort}/external/{evaluation}/models/{model}/fold{fold}.training.tsv",
        log:
            "logs/{cohort}/train_external/{evaluation}/{model}/fold{fold}.log",
        benchmark:
            "benchmarks/{cohort}/train_external/{evaluation}/{model}/fold{fold}.tsv"
        wildcard_constraints:
            evaluation="|".join(PARTS) or "(?!)",
            model="|".join(FITTED_MODELS),
        params:
            model_class=model_class,
            parameters=model_parameters,
            members=members_of,
            training=lambda wildcards: training_settings(wildcards)
            | {"monitor_every": 0},
            n_folds=1,
            checkpoint="checkpoints/{cohort}/external/{evaluation}/{model}/fold{fold}",
            code=training_code,
        message:
            "Training {wildcards.model} without {wildcards.evaluation}"

    if PASSING_MODELS:

        ruleorder: train_external_passing > train_external

        use rule train_external as train_external_passing with:
            output:
                bundle=temp(
                    "results/{cohort}/external/{evaluation}/models/{model}/fold{fold}.safetensors"
                ),
                training="results/{cohort}/external/{evaluation}/models/{model}/fold{fold}.training.tsv",
            wildcard_constraints:
                evaluation="|".join(PARTS) or "(?!)",
                model="|".join(PASSING_MODELS),

    rule score_external:
        input:
            **HELD_OUT,
            bundle=bundle_without_them,
            donors_key=rules.make_donors_key.output.key,
            external_expression=rules.join_external.output.expression,
            external_donors=rules.join_external.output.donors,
            external_folds=rules.join_external.output.folds,
        output:
            **{
                alignment: f"results/{{cohort}}/external/{{evaluation}}/predictions/{{model}}/{alignment}.h5ad"
                for alignment in EVALUATION["alignments"]
            },
            gene_wise="results/{cohort}/external/{evaluation}/gene_wise/{model}.parquet",
            sample_wise="results/{cohort}/external/{evaluation}/sample_wise/{model}.parquet",
            by_tissue="results/{cohort}/external/{evaluation}/by_tissue/{model}.tsv",
        log:
            "logs/{cohort}/score_external/{evaluation}/{model}.log",
        benchmark:
            "benchmarks/{cohort}/score_external/{evaluation}/{model}.tsv"
        wildcard_constraints:
            evaluation="|".join(EVALUATION["external"]),
            model="|".join(TAKEN_ELSEWHERE),
        conda:
            "../../envs/mtm.yaml"
        threads: 4
        resources:
            mem_mb=memory_beside_bundle("score_external"),
            disk_mb=RULE_RESOURCES["score_external"]["disk_mb"],
            runtime=240,
            gpu=gpu_resource,
        params:
            **HELD_OUT_PARAMS,
            alignments=EVALUATION["alignments"],
            accuracy=config["accuracy"],
            learned=model_learns,
            code=lambda wildcards: code_of(
                "score_external.py", *model_modules(wildcards.model)
            ),
        message:
            "Scoring {wildcards.model} on {wildcards.evaluation}"
        script:
            "../../scripts/score_external.py"

    rule summarise_external:
        input:
            by_tissue=expand(
                "results/{{cohort}}/external/{evaluation}/by_tissue/{model}.tsv",
                evaluation=EVALUATION["external"],
                model=TAKEN_ELSEWHERE,
            ),
            tissues=expand(
                rules.join_external.output.tissues,
                evaluation=EVALUATION["external"],
                allow_missing=True,
            ),
        output:
            summary="results/{cohort}/external/summary.tsv",
            headline=report(
                "results/{cohort}/external/headline.tsv",
                caption="../report/external_headline.rst",
                category="Accuracy",
                labels={"content": "Headline numbers for people from elsewhere"},
            ),
            tissues=report(
                "results/{cohort}/external/tissues.tsv",
                caption="../report/external_tissues.rst",
                category="Accuracy",
                labels={"content": "Tissues of people from elsewhere"},
            ),
        log:
            "logs/{cohort}/summarise_external.log",
        benchmark:
            "benchmarks/{cohort}/summarise_external.tsv"
        conda:
            "../../envs/mtm.yaml"
        threads: 1
        resources:
            **RULE_RESOURCES["summarise_external"],
            runtime=15,
        params:
            evaluations=list(EVALUATION["external"]),
            code=code_of("summarise_external.py"),
        message:
            "Summarising the accuracy for {params.evaluations}"
        script:
            "../../scripts/summarise_external.py"

    if ELSEWHERE:
        add_trainings(rules.train_all.output.training, TAKEN_ELSEWHERE)
    add_trainings(
        rules.train_external.output.training,
        TAKEN_ELSEWHERE,
        evaluation=PARTS,
        fold=0,
    )
    TABLES += [
        "results/{cohort}/external/headline.tsv",
        "results/{cohort}/external/tissues.tsv",
    ]
    add_figure(
        "external",
        "Accuracy",
        "Accuracy for people from elsewhere",
        table=rules.summarise_external.output.summary,
    )
