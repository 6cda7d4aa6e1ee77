IMPUTATION = config["imputation"]
# What codes and their probes alone take, and what imputation alone does.
OF_CODES = ("probes", "penalty", "random_features", "probe_genes")
OF_IMPUTED = (
    "methods",
    "shrinkage",
    "pooled_samples",
    "outlier",
    "most_outliers",
    "probes",
)
COUNTS = inputs_of("counts") if {"nb", "zinb"} & set(IMPUTATION["methods"]) else {}
JOINT_MODELS = [
    name for name in FITTED_MODELS if config["models"][name]["class"] == "joint"
]

if not IMPUTATION["methods"]:
    skip(
        "imputation",
        "imputation.methods is empty",
        "name what is to impute (imputation.methods)",
    )
else:

    rule impute_genes:
        input:
            **followed(COUNTS),
            expression=rules.build_cohort.output.expression,
            donors=rules.build_cohort.output.donors,
            folds=rules.make_folds.output.folds,
        output:
            accuracy=report(
                "results/{cohort}/imputation/accuracy.tsv",
                caption="../report/imputation_accuracy.rst",
                category="Imputation",
                labels={"content": "Failed genes of a sample imputed"},
            ),
            outliers="results/{cohort}/imputation/outliers.tsv",
            zeros="results/{cohort}/imputation/zeros.tsv",
        log:
            "logs/{cohort}/impute_genes.log",
        benchmark:
            "benchmarks/{cohort}/impute_genes.tsv"
        conda:
            "../../envs/mtm.yaml"
        threads: 4
        resources:
            **RULE_RESOURCES["impute_genes"],
            runtime=1440,
            gpu=gpu_resource,
        params:
            contents=contents_of(COUNTS),
            imputation=for_jobs(IMPUTATION, *OF_CODES),
            accuracy=config["accuracy"],
            scaling=config["scaling"],
            code=code_of("impute_genes.py"),
        message:
            "Imputing failed genes by {params.imputation[methods]}"
        script:
            "../../scripts/impute_genes.py"

    if not COUNTS:
        skip(
            "zeros of read counts",
            "no method of imputation.methods takes counts",
            "name nb or zinb there, and inputs.counts",
        )
    TABLES += [rules.impute_genes.output.accuracy]
    add_figure(
        "imputation",
        "Imputation",
        "Failed genes of a sample imputed",
        accuracy=rules.impute_genes.output.accuracy,
    )
    if IMPUTATION["probes"]:

        rule probe_codes:
            input:
                expression=rules.build_cohort.output.expression,
                donors=rules.build_cohort.output.donors,
                folds=rules.make_folds.output.folds,
                donors_key=rules.make_donors_key.output.key,
                joint=expand(
                    "results/{{cohort}}/models/{model}/fold{fold}.safetensors",
                    model=JOINT_MODELS[:1],
                    fold=FOLDS,
                ),
            output:
                codes="results/{cohort}/imputation/codes.h5ad",
                probes=report(
                    "results/{cohort}/imputation/probes.tsv",
                    caption="../report/probes.rst",
                    category="Imputation",
                    labels={"content": "What codes of samples tell"},
                ),
            log:
                "logs/{cohort}/probe_codes.log",
            benchmark:
                "benchmarks/{cohort}/probe_codes.tsv"
            conda:
                "../../envs/mtm.yaml"
            threads: 4
            resources:
                **RULE_RESOURCES["probe_codes"],
                runtime=1440,
                gpu=gpu_resource,
            params:
                imputation=for_jobs(IMPUTATION, *OF_IMPUTED),
                accuracy=config["accuracy"],
                scaling=config["scaling"],
                source=config["source"],
                folds=list(FOLDS),
                joint=JOINT_MODELS[:1],
                code=code_of("probe_codes.py"),
            message:
                "Probing codes of samples for tissue, donor and expression"
            script:
                "../../scripts/probe_codes.py"

        TABLES.append(rules.probe_codes.output.probes)
        add_figure(
            "codes_probed",
            "Imputation",
            "What codes of samples tell",
            probes=rules.probe_codes.output.probes,
        )
