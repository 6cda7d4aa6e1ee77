rule compare_models:
    input:
        expression=rules.build_cohort.output.expression,
        folds=rules.make_folds.output.folds,
        predictions=predictions_of(MODELS),
        gene_wise=expand(GENE_WISE, model=MODELS, allow_missing=True),
        sample_wise=expand(
            "results/{{cohort}}/accuracy/sample_wise/{model}.parquet", model=MODELS
        ),
        draws=expand("results/{{cohort}}/accuracy/draws/{model}.parquet", model=MODELS),
        summary=rules.summarise_accuracy.output.summary,
    output:
        pairs="results/{cohort}/comparison/pairs.tsv",
        pair_counts=report(
            "results/{cohort}/comparison/pair_counts.tsv",
            caption="../report/pair_counts.rst",
            category="Comparison of models",
            labels={"content": "Model against model, tissues counted"},
        ),
        overlaps="results/{cohort}/comparison/overlaps.tsv",
        fold_changes="results/{cohort}/comparison/fold_changes.tsv",
        venn="results/{cohort}/comparison/venn.tsv",
        s1=report(
            "results/{cohort}/tables/s1.tsv",
            caption="../report/s1.rst",
            category="Comparison of models",
            labels={"content": "Table S1: accuracy by tissue and model"},
        ),
        s2=report(
            "results/{cohort}/tables/s2.tsv",
            caption="../report/s2.rst",
            category="Comparison of models",
            labels={"content": "Table S2: predictable genes by tissue and model"},
        ),
    log:
        "logs/{cohort}/compare_models.log",
    benchmark:
        "benchmarks/{cohort}/compare_models.tsv"
    conda:
        "../../envs/mtm.yaml"
    threads: 4
    resources:
        **RULE_RESOURCES["compare_models"],
        runtime=240,
        gpu=gpu_resource,
    params:
        **HELD_OUT_PARAMS,
        models=MODELS,
        learned=[learns(name) for name in MODELS],
        roles=ROLES,
        pairs=config["comparison"]["pairs"],
        venn_models=config["comparison"]["venn_models"],
        venn_tissue=config["comparison"]["venn_tissue"],
        accuracy=config["accuracy"],
        fewest_people=config["fewest_people"],
        code=code_of("compare_models.py"),
    message:
        "Comparing {params.models}"
    script:
        "../../scripts/compare_models.py"


rule score_partial:
    input:
        **HELD_OUT,
        donors=rules.build_cohort.output.donors,
    output:
        partial=report(
            "results/{cohort}/accuracy/partial/{model}.tsv",
            caption="../report/partial.rst",
            category="Beyond covariates",
            labels={"content": "Partial correlation, {model}"},
        ),
    log:
        "logs/{cohort}/score_partial/{model}.log",
    benchmark:
        "benchmarks/{cohort}/score_partial/{model}.tsv"
    wildcard_constraints:
        model="|".join(MODELS),
    conda:
        "../../envs/mtm.yaml"
    threads: 4
    resources:
        **RULE_RESOURCES["score_partial"],
        runtime=120,
        gpu=gpu_resource,
    params:
        **HELD_OUT_PARAMS,
        accuracy=config["accuracy"],
        learned=model_learns,
        covariates=[*COVARIATES, *OWN_COLUMNS.used_for("covariate")],
        code=code_of("score_partial.py"),
    message:
        "Scoring {wildcards.model} beyond covariates"
    script:
        "../../scripts/score_partial.py"


TABLES += expand("results/{{cohort}}/accuracy/partial/{model}.tsv", model=MODELS)

if len(MODELS) == 1:
    skip("comparison of models", "one model", "add models to compare it with")
else:
    TABLES += [
        rules.compare_models.output.pair_counts,
        rules.compare_models.output.s1,
        rules.compare_models.output.s2,
    ]
    for FIGURE, TABLE, TITLE in [
        ("fig2c", "venn", "Overlap of predictable genes in one tissue"),
        ("fig2de", "fold_changes", "Gain in predictable genes against sample size"),
        ("fig_s7", "overlaps", "Overlap of predictable genes in all tissues"),
    ]:
        add_figure(
            FIGURE,
            "Comparison of models",
            TITLE,
            table=rules.compare_models.output[TABLE],
        )
    add_figure(
        "fig_s6",
        "Comparison of models",
        "Accuracy, model against model",
        table=rules.compare_models.output.pairs,
        counts=rules.compare_models.output.pair_counts,
    )
