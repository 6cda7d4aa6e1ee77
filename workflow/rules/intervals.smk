rule calibrate_intervals:
    input:
        **HELD_OUT,
        gene_wise=GENE_WISE,
    output:
        genes="results/{cohort}/intervals/genes/{model}.parquet",
        quantiles="results/{cohort}/intervals/quantiles/{model}.tsv",
        coverage="results/{cohort}/intervals/coverage/{model}.tsv",
        reliability="results/{cohort}/intervals/reliability/{model}.tsv",
    log:
        "logs/{cohort}/calibrate_intervals/{model}.log",
    benchmark:
        "benchmarks/{cohort}/calibrate_intervals/{model}.tsv"
    conda:
        "../../envs/mtm.yaml"
    threads: 2
    resources:
        **RULE_RESOURCES["calibrate_intervals"],
        runtime=120,
    params:
        **HELD_OUT_PARAMS,
        intervals=config["intervals"],
        accuracy=config["accuracy"],
        learned=model_learns,
        code=code_of("calibrate_intervals.py"),
    message:
        "Calibrating the intervals of {wildcards.model}"
    script:
        "../../scripts/calibrate_intervals.py"


rule summarise_intervals:
    input:
        coverage=expand(
            "results/{{cohort}}/intervals/coverage/{model}.tsv", model=SCORED_MODELS
        ),
        reliability=expand(
            "results/{{cohort}}/intervals/reliability/{model}.tsv", model=SCORED_MODELS
        ),
    output:
        coverage=report(
            "results/{cohort}/intervals/coverage.tsv",
            caption="../report/interval_coverage.rst",
            category="Intervals",
            labels={"content": "Coverage and width of intervals"},
        ),
        reliability=report(
            "results/{cohort}/intervals/reliability.tsv",
            caption="../report/reliability.rst",
            category="Intervals",
            labels={"content": "Reliability of genes"},
        ),
    log:
        "logs/{cohort}/summarise_intervals.log",
    benchmark:
        "benchmarks/{cohort}/summarise_intervals.tsv"
    conda:
        "../../envs/mtm.yaml"
    threads: 1
    resources:
        **RULE_RESOURCES["summarise_intervals"],
        runtime=5,
    params:
        code=code_of("summarise_intervals.py"),
    message:
        "Joining the intervals of all models"
    script:
        "../../scripts/summarise_intervals.py"


rule certify_bundle:
    input:
        bundle=rules.train_all.output.bundle,
        genes=rules.calibrate_intervals.output.genes,
        quantiles=rules.calibrate_intervals.output.quantiles,
        coverage=rules.calibrate_intervals.output.coverage,
        by_tissue=rules.score_model.output.by_tissue,
        covariates=expand(
            rules.score_model.output.by_tissue,
            model=REFERENCE_MODELS,
            allow_missing=True,
        ),
    output:
        bundle="results/{cohort}/bundles/{model}.safetensors",
    log:
        "logs/{cohort}/certify_bundle/{model}.log",
    benchmark:
        "benchmarks/{cohort}/certify_bundle/{model}.tsv"
    wildcard_constraints:
        model="|".join(FITTED_MODELS),
    conda:
        "../../envs/mtm.yaml"
    threads: 1
    resources:
        mem_mb=certificate_resource("mem_mb"),
        disk_mb=certificate_resource("disk_mb"),
        runtime=30,
    params:
        source=config["source"],
        sources=model_sources,
        intervals=config["intervals"],
        card=config["model_card"],
        code=certificate_code,
    message:
        "Putting accuracy, intervals and reliability into the bundle of {wildcards.model}"
    script:
        "../../scripts/certify_bundle.py"


TABLES += [
    rules.summarise_intervals.output.coverage,
    rules.summarise_intervals.output.reliability,
]
add_figure(
    "intervals",
    "Intervals",
    "Coverage and width of intervals",
    table=rules.summarise_intervals.output.coverage,
)
