# Bundles name their training donors by digests made with this key, which stays beside them. It
# follows no code: another key would tell nothing of the bundles that are there.
rule make_donors_key:
    output:
        key="results/{cohort}/models/donors.key",
    log:
        "logs/{cohort}/make_donors_key.log",
    benchmark:
        "benchmarks/{cohort}/make_donors_key.tsv"
    conda:
        "../../envs/mtm.yaml"
    threads: 1
    resources:
        **RULE_RESOURCES["make_donors_key"],
        runtime=5,
    message:
        "Making the key of training donors of {wildcards.cohort}"
    script:
        "../../scripts/make_donors_key.py"


rule train_fold:
    input:
        expression=rules.build_cohort.output.expression,
        donors=rules.build_cohort.output.donors,
        folds=rules.make_folds.output.folds,
        members=member_bundles,
        donors_key=rules.make_donors_key.output.key,
    output:
        bundle="results/{cohort}/models/{model}/fold{fold}.safetensors",
        training="results/{cohort}/models/{model}/fold{fold}.training.tsv",
    log:
        "logs/{cohort}/train_fold/{model}/fold{fold}.log",
    benchmark:
        "benchmarks/{cohort}/train_fold/{model}/fold{fold}.tsv"
    wildcard_constraints:
        model="|".join(FITTED_MODELS),
    conda:
        "../../envs/mtm.yaml"
    threads: 4
    resources:
        mem_mb=training_resource("mem_mb"),
        disk_mb=training_resource("disk_mb"),
        runtime=720,
        gpu=gpu_of_training,
    params:
        model_class=model_class,
        parameters=model_parameters,
        members=members_of,
        training=training_settings,
        n_folds=config["folds"]["n_folds"],
        checkpoint="checkpoints/{cohort}/{model}/fold{fold}",
        code=training_code,
    message:
        "Training {wildcards.model} without the donors of fold {wildcards.fold}"
    script:
        "../../scripts/train_fold.py"


# Bundles that go once they are read.
PASSING_MODELS = [
    name for name in FITTED_MODELS if name in config["storage"]["drop_fold_bundles"]
]
if PASSING_MODELS:

    ruleorder: train_passing > train_fold

    use rule train_fold as train_passing with:
        output:
            bundle=temp("results/{cohort}/models/{model}/fold{fold}.safetensors"),
            training="results/{cohort}/models/{model}/fold{fold}.training.tsv",
        wildcard_constraints:
            model="|".join(PASSING_MODELS),


use rule train_fold as train_all with:
    input:
        expression=rules.build_cohort.output.expression,
        donors=rules.build_cohort.output.donors,
        members=member_bundles,
        donors_key=rules.make_donors_key.output.key,
    output:
        bundle="results/{cohort}/models/{model}/all.safetensors",
        training="results/{cohort}/models/{model}/all.training.tsv",
    log:
        "logs/{cohort}/train_all/{model}.log",
    benchmark:
        "benchmarks/{cohort}/train_all/{model}.tsv"
    params:
        model_class=model_class,
        parameters=model_parameters,
        members=members_of,
        training=lambda wildcards: training_settings(wildcards) | {"monitor_every": 0},
        checkpoint="checkpoints/{cohort}/{model}/all",
        code=training_code,
    message:
        "Training {wildcards.model} with all donors"


rule predict_fold:
    input:
        bundle=of_its_fits(rules.train_fold.output.bundle),
        donors_key=rules.make_donors_key.output.key,
        expression=rules.build_cohort.output.expression,
        donors=rules.build_cohort.output.donors,
        folds=rules.make_folds.output.folds,
    output:
        predictions=PREDICTIONS,
    log:
        "logs/{cohort}/predict_fold/{model}/fold{fold}.log",
    benchmark:
        "benchmarks/{cohort}/predict_fold/{model}/fold{fold}.tsv"
    wildcard_constraints:
        model="|".join(MODELS),
    conda:
        "../../envs/mtm.yaml"
    threads: 2
    resources:
        mem_mb=prediction_resource("mem_mb"),
        disk_mb=prediction_resource("disk_mb"),
        runtime=60,
    params:
        source=config["source"],
        sources=model_sources,
        n_folds=config["folds"]["n_folds"],
        kind=config["storage"]["predictions"],
        code=prediction_code,
    message:
        "Predicting fold {wildcards.fold} with {wildcards.model}"
    script:
        "../../scripts/predict_fold.py"


# What every rule that reads a model's held-out predictions names, and needs to read them.
HELD_OUT = {
    "expression": rules.build_cohort.output.expression,
    "folds": rules.make_folds.output.folds,
    "predictions": expand(PREDICTIONS, fold=FOLDS, allow_missing=True),
}
HELD_OUT_PARAMS = {"source": config["source"], "scaling": config["scaling"]}


if config["simulation"] is not None:

    rule predict_oracle:
        input:
            expression=rules.build_cohort.output.expression,
            donors=rules.build_cohort.output.donors,
            folds=rules.make_folds.output.folds,
            truth=rules.simulate_cohort.output.truth,
        output:
            predictions="results/{cohort}/predictions/oracle/fold{fold}.h5ad",
        log:
            "logs/{cohort}/predict_oracle/fold{fold}.log",
        benchmark:
            "benchmarks/{cohort}/predict_oracle/fold{fold}.tsv"
        conda:
            "../../envs/mtm.yaml"
        threads: 1
        resources:
            **RULE_RESOURCES["predict_oracle"],
            runtime=30,
        params:
            source=config["source"],
            scaling=config["scaling"],
            code=code_of("predict_oracle.py"),
        message:
            "Predicting fold {wildcards.fold} from the simulation's truth"
        script:
            "../../scripts/predict_oracle.py"


add_trainings(rules.train_fold.output.training, MODELS, fold=FOLDS)
if config["final_bundle"]:
    add_trainings(rules.train_all.output.training, MODELS)

if config["training"]["monitor_every"] and ITERATIVE_MODELS:
    add_figure(
        "learning_curve",
        "Training",
        "Held-out accuracy while training",
        table=expand(
            "results/{{cohort}}/models/{model}/fold{fold}.training.tsv",
            model=ITERATIVE_MODELS,
            fold=FOLDS,
        ),
    )
