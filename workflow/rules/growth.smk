GROWTH = config["growth"]
GROWING = models_of(
    "growth", *(name for name in FITTED_MODELS if name not in ITERATIVE_MODELS)
)

if not GROWTH["donors"]:
    skip(
        "growth of accuracy with donors",
        "growth.donors is empty",
        "name some numbers of training donors there",
    )
else:

    use rule train_fold as train_growth with:
        output:
            bundle="results/{cohort}/growth/{n_donors}/models/{model}/fold{fold}.safetensors",
            training="results/{cohort}/growth/{n_donors}/models/{model}/fold{fold}.training.tsv",
        log:
            "logs/{cohort}/train_growth/{n_donors}/{model}/fold{fold}.log",
        benchmark:
            "benchmarks/{cohort}/train_growth/{n_donors}/{model}/fold{fold}.tsv"
        params:
            model_class=model_class,
            parameters=model_parameters,
            members=members_of,
            training=lambda wildcards: training_settings(wildcards)
            | {
                "monitor_every": 0,
                "n_donors": int(wildcards.n_donors),
                "donor_seed": GROWTH["seed"],
            },
            checkpoint="checkpoints/{cohort}/growth/{n_donors}/{model}/fold{fold}",
            code=training_code,
        message:
            "Training {wildcards.model} on {wildcards.n_donors} donors, none of fold {wildcards.fold}"

    if PASSING_MODELS:

        ruleorder: train_growth_passing > train_growth

        use rule train_growth as train_growth_passing with:
            output:
                bundle=temp(
                    "results/{cohort}/growth/{n_donors}/models/{model}/fold{fold}.safetensors"
                ),
                training="results/{cohort}/growth/{n_donors}/models/{model}/fold{fold}.training.tsv",
            wildcard_constraints:
                model="|".join(PASSING_MODELS),

    use rule predict_fold as predict_growth with:
        input:
            bundle=of_its_fits(rules.train_growth.output.bundle),
            donors_key=rules.make_donors_key.output.key,
            expression=rules.build_cohort.output.expression,
            donors=rules.build_cohort.output.donors,
            folds=rules.make_folds.output.folds,
        output:
            predictions="results/{cohort}/growth/{n_donors}/predictions/{model}/fold{fold}.h5ad",
        log:
            "logs/{cohort}/predict_growth/{n_donors}/{model}/fold{fold}.log",
        benchmark:
            "benchmarks/{cohort}/predict_growth/{n_donors}/{model}/fold{fold}.tsv"
        message:
            "Predicting fold {wildcards.fold} with {wildcards.model} of {wildcards.n_donors} donors"

    rule score_growth:
        input:
            **HELD_OUT,
            **{
                f"of_{n}": expand(
                    rules.predict_growth.output.predictions,
                    n_donors=n,
                    fold=FOLDS,
                    allow_missing=True,
                )
                for n in GROWTH["donors"]
            },
        output:
            growth=report(
                "results/{cohort}/growth/{model}.tsv",
                caption="../report/growth_table.rst",
                category="Accuracy",
                labels={"content": "Accuracy by number of donors, {model}"},
            ),
        log:
            "logs/{cohort}/score_growth/{model}.log",
        benchmark:
            "benchmarks/{cohort}/score_growth/{model}.tsv"
        wildcard_constraints:
            model="|".join(GROWING),
        conda:
            "../../envs/mtm.yaml"
        threads: 4
        resources:
            **RULE_RESOURCES["score_growth"],
            runtime=240,
            gpu=gpu_resource,
        params:
            **HELD_OUT_PARAMS,
            growth=for_jobs(GROWTH),
            accuracy=config["accuracy"],
            learned=model_learns,
            code=code_of("score_growth.py"),
        message:
            "Scoring {wildcards.model} by number of training donors"
        script:
            "../../scripts/score_growth.py"

    TABLES += expand("results/{{cohort}}/growth/{model}.tsv", model=GROWING)
    add_figure(
        "growth",
        "Accuracy",
        "Accuracy by number of training donors",
        growth=expand("results/{{cohort}}/growth/{model}.tsv", model=GROWING),
    )
