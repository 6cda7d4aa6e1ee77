rule score_model:
    input:
        **HELD_OUT,
        donors=rules.build_cohort.output.donors,
    output:
        gene_wise=GENE_WISE,
        sample_wise="results/{cohort}/accuracy/sample_wise/{model}.parquet",
        by_tissue="results/{cohort}/accuracy/by_tissue/{model}.tsv",
        draws="results/{cohort}/accuracy/draws/{model}.parquet",
    log:
        "logs/{cohort}/score_model/{model}.log",
    benchmark:
        "benchmarks/{cohort}/score_model/{model}.tsv"
    conda:
        "../../envs/mtm.yaml"
    threads: 4
    resources:
        **RULE_RESOURCES["score_model"],
        runtime=120,
        gpu=gpu_resource,
    params:
        **HELD_OUT_PARAMS,
        accuracy=config["accuracy"],
        learned=model_learns,
        code=code_of("score_model.py"),
    message:
        "Scoring {wildcards.model}"
    script:
        "../../scripts/score_model.py"


rule summarise_accuracy:
    input:
        by_tissue=expand(
            "results/{{cohort}}/accuracy/by_tissue/{model}.tsv", model=SCORED_MODELS
        ),
    output:
        summary="results/{cohort}/accuracy/summary.tsv",
        headline=report(
            "results/{cohort}/accuracy/headline.tsv",
            caption="../report/headline.rst",
            category="Accuracy",
            labels={"content": "Headline numbers"},
        ),
    log:
        "logs/{cohort}/summarise_accuracy.log",
    benchmark:
        "benchmarks/{cohort}/summarise_accuracy.tsv"
    conda:
        "../../envs/mtm.yaml"
    threads: 1
    resources:
        **RULE_RESOURCES["summarise_accuracy"],
        runtime=15,
    params:
        models=SCORED_MODELS,
        members={
            name: list(PARAMETERS[name].members)
            for name in MODELS
            if PARAMETERS[name].members
        },
        cohort=config["cohort"],
        code=code_of("summarise_accuracy.py"),
    message:
        "Summarising the accuracy of {params.models}"
    script:
        "../../scripts/summarise_accuracy.py"


rule estimate_ceiling:
    input:
        expression=rules.build_cohort.output.expression,
        donors=rules.build_cohort.output.donors,
    output:
        ceiling=report(
            "results/{cohort}/accuracy/ceiling.tsv",
            caption="../report/ceiling.rst",
            category="Accuracy",
            labels={"content": "What any model could reach"},
        ),
    log:
        "logs/{cohort}/estimate_ceiling.log",
    benchmark:
        "benchmarks/{cohort}/estimate_ceiling.tsv"
    conda:
        "../../envs/mtm.yaml"
    threads: 1
    resources:
        **RULE_RESOURCES["estimate_ceiling"],
        runtime=60,
    params:
        source=config["source"],
        scaling=config["scaling"],
        code=code_of("estimate_ceiling.py"),
    message:
        "Estimating what any model could reach"
    script:
        "../../scripts/estimate_ceiling.py"


for FIGURE, TITLE in [
    ("fig2a", "Accuracy of every model"),
    ("fig2b", "Predictable genes"),
    ("accuracy_by_tissue", "Accuracy in every tissue"),
]:
    add_figure(
        FIGURE,
        "Accuracy",
        TITLE,
        table=rules.summarise_accuracy.output.summary,
        **({} if FIGURE == "fig2b" else rules.estimate_ceiling.output),
    )
