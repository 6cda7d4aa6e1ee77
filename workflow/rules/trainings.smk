if TRAININGS:

    rule list_trainings:
        input:
            tables=list(dict.fromkeys(TRAININGS)),
        output:
            trainings=report(
                "results/{cohort}/models/trainings.tsv",
                caption="../report/trainings.rst",
                category="Training",
                labels={"content": "How every training ended"},
            ),
        log:
            "logs/{cohort}/list_trainings.log",
        benchmark:
            "benchmarks/{cohort}/list_trainings.tsv"
        conda:
            "../../envs/mtm.yaml"
        threads: 1
        resources:
            **RULE_RESOURCES["list_trainings"],
            runtime=5,
        params:
            seeds={name: model_seed(name) for name in ITERATIVE_MODELS},
            code=code_of("list_trainings.py"),
        message:
            "Listing the trainings of {params.seeds}"
        script:
            "../../scripts/list_trainings.py"

    TABLES.append(rules.list_trainings.output.trainings)
