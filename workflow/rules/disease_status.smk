STATUS = config["disease_status"]
STATUS_PARTS = range(STATUS["parts"])
STATUS_MODELS = models_of("disease_status", ROLES["MTM"])


rule predict_status:
    input:
        **HELD_OUT,
        donors=rules.build_cohort.output.donors,
        covariates=predictions_of(REFERENCE_MODELS),
        gene_wise=GENE_WISE,
        labels=rules.find_contrasts.output.labels,
        agreement=rules.compare_dysregulation.output.agreement,
    output:
        status="results/{cohort}/disease/status_parts/{model}/{part}.status.parquet",
        curves="results/{cohort}/disease/status_parts/{model}/{part}.curves.parquet",
        replicates="results/{cohort}/disease/status_parts/{model}/{part}.replicates.parquet",
    log:
        "logs/{cohort}/predict_status/{model}/{part}.log",
    benchmark:
        "benchmarks/{cohort}/predict_status/{model}/{part}.tsv"
    wildcard_constraints:
        model="|".join(STATUS_MODELS),
        part=r"\d+",
    conda:
        "../../envs/mtm.yaml"
    threads: 8
    resources:
        **RULE_RESOURCES["predict_status"],
        runtime=480,
    params:
        **HELD_OUT_PARAMS,
        status=for_jobs(STATUS, "tissue", "contrast"),
        min_de_genes=DISEASE["min_de_genes"],
        accuracy=config["accuracy"],
        code=code_of("predict_status.py"),
    message:
        "Predicting disease status from expression predicted by {wildcards.model}, part {wildcards.part}"
    script:
        "../../scripts/predict_status.py"


rule combine_status:
    input:
        status=expand(
            rules.predict_status.output.status, part=STATUS_PARTS, allow_missing=True
        ),
        curves=expand(
            rules.predict_status.output.curves, part=STATUS_PARTS, allow_missing=True
        ),
        replicates=expand(
            rules.predict_status.output.replicates,
            part=STATUS_PARTS,
            allow_missing=True,
        ),
    output:
        status="results/{cohort}/disease/status/{model}.tsv",
        curves="results/{cohort}/disease/status_curves/{model}.parquet",
        summary=report(
            "results/{cohort}/disease/status_summary/{model}.tsv",
            caption="../report/status_summary.rst",
            category="Disease",
            labels={"content": "Disease status: inputs compared, {model}"},
        ),
    log:
        "logs/{cohort}/combine_status/{model}.log",
    benchmark:
        "benchmarks/{cohort}/combine_status/{model}.tsv"
    wildcard_constraints:
        model="|".join(STATUS_MODELS),
    conda:
        "../../envs/mtm.yaml"
    threads: 1
    resources:
        **RULE_RESOURCES["combine_status"],
        runtime=15,
    params:
        status=STATUS,
        code=code_of("combine_status.py"),
    message:
        "Joining the parts of disease status by {wildcards.model}"
    script:
        "../../scripts/combine_status.py"


TABLES += expand(
    "results/{{cohort}}/disease/status_summary/{model}.tsv", model=STATUS_MODELS
)
add_figure(
    "fig3cd",
    "Disease",
    "Disease status from observed, predicted and source expression",
    curves=f"results/{{cohort}}/disease/status_curves/{STATUS_MODELS[0]}.parquet",
    status=f"results/{{cohort}}/disease/status/{STATUS_MODELS[0]}.tsv",
    summary=f"results/{{cohort}}/disease/status_summary/{STATUS_MODELS[0]}.tsv",
)
add_figure(
    "fig_s15",
    "Disease",
    "Disease status in every tissue",
    status=f"results/{{cohort}}/disease/status/{STATUS_MODELS[0]}.tsv",
)
