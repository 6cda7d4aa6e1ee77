DISEASE = config["disease"]
DISEASE_MODELS = models_of(
    "disease", ROLES["MTM"], DISEASE["baseline"], *REFERENCE_MODELS
)
CONTRAST_SETTINGS = for_jobs(DISEASE, "volcano_tissue", "volcano_contrast")


rule find_contrasts:
    input:
        expression=rules.build_cohort.output.expression,
        donors=rules.build_cohort.output.donors,
        folds=rules.make_folds.output.folds,
    output:
        labels="results/{cohort}/disease/labels.parquet",
        contrasts=report(
            "results/{cohort}/disease/contrasts.tsv",
            caption="../report/contrasts.rst",
            category="Disease",
            labels={
                "content": "Contrasts of cases and controls: ran or skipped, and why"
            },
        ),
    log:
        "logs/{cohort}/find_contrasts.log",
    benchmark:
        "benchmarks/{cohort}/find_contrasts.tsv"
    conda:
        "../../envs/mtm.yaml"
    threads: 1
    resources:
        **RULE_RESOURCES["find_contrasts"],
        runtime=30,
    params:
        source=config["source"],
        disease=CONTRAST_SETTINGS,
        code=code_of("find_contrasts.py"),
    message:
        "Finding cases and controls"
    script:
        "../../scripts/find_contrasts.py"


rule compare_dysregulation:
    input:
        **HELD_OUT,
        gene_wise=GENE_WISE,
        labels=rules.find_contrasts.output.labels,
    output:
        genes="results/{cohort}/disease/expression/{model}.parquet",
        agreement="results/{cohort}/disease/agreement/{model}.tsv",
    log:
        "logs/{cohort}/compare_dysregulation/{model}.log",
    benchmark:
        "benchmarks/{cohort}/compare_dysregulation/{model}.tsv"
    wildcard_constraints:
        model="|".join(MODELS),
    conda:
        "../../envs/mtm.yaml"
    threads: 4
    resources:
        **RULE_RESOURCES["compare_dysregulation"],
        runtime=120,
    params:
        **HELD_OUT_PARAMS,
        disease=CONTRAST_SETTINGS,
        accuracy=config["accuracy"],
        code=code_of("compare_dysregulation.py"),
    message:
        "Comparing differential expression of {wildcards.model} with observed one"
    script:
        "../../scripts/compare_dysregulation.py"


rule summarise_dysregulation:
    input:
        genes=expand(
            "results/{{cohort}}/disease/expression/{model}.parquet",
            model=DISEASE_MODELS,
        ),
        agreement=expand(
            "results/{{cohort}}/disease/agreement/{model}.tsv", model=DISEASE_MODELS
        ),
    output:
        agreement="results/{cohort}/disease/agreement.tsv",
        summary=report(
            "results/{cohort}/disease/summary.tsv",
            caption="../report/disease.rst",
            category="Disease",
            labels={"content": "Agreement of differential expression"},
        ),
        s3=report(
            "results/{cohort}/tables/s3.tsv",
            caption="../report/s3.rst",
            category="Disease",
            labels={"content": "Table S3: dysregulation by tissue and disease"},
        ),
        volcano="results/{cohort}/disease/volcano.tsv",
    log:
        "logs/{cohort}/summarise_dysregulation.log",
    benchmark:
        "benchmarks/{cohort}/summarise_dysregulation.tsv"
    conda:
        "../../envs/mtm.yaml"
    threads: 1
    resources:
        **RULE_RESOURCES["summarise_dysregulation"],
        runtime=30,
    params:
        disease=DISEASE,
        fewest_people=config["fewest_people"],
        code=code_of("summarise_dysregulation.py"),
    message:
        "Summarising differential expression"
    script:
        "../../scripts/summarise_dysregulation.py"


TABLES += [
    rules.find_contrasts.output.contrasts,
    rules.summarise_dysregulation.output.summary,
    rules.summarise_dysregulation.output.s3,
]
add_figure(
    "fig3a",
    "Disease",
    "Differential expression in one tissue, predicted and observed",
    genes=rules.summarise_dysregulation.output.volcano,
    contrasts=rules.find_contrasts.output.contrasts,
)
add_figure(
    "fig3b",
    "Disease",
    "Finding differentially expressed genes in predictions",
    agreement=rules.summarise_dysregulation.output.agreement,
    contrasts=rules.find_contrasts.output.contrasts,
)
