CONTRAST = config["gene_characteristics"]
# The paper's model, its strongest rival there, and the best baseline.
CONTRASTED_MODELS = models_of(
    "gene_characteristics", ROLES["MTM"], ROLES["S2"], CONTRAST["baseline"]
)


rule measure_expression_level:
    input:
        expression=rules.build_cohort.output.expression,
    output:
        genes="results/{cohort}/gene_characteristics/genes/expression_level.parquet",
        matching="results/{cohort}/gene_characteristics/genes/expression_level.matching.tsv",
    log:
        "logs/{cohort}/measure_expression_level.log",
    benchmark:
        "benchmarks/{cohort}/measure_expression_level.tsv"
    conda:
        "../../envs/mtm.yaml"
    threads: 1
    resources:
        **RULE_RESOURCES["measure_expression_level"],
        runtime=30,
    params:
        code=code_of("measure_expression_level.py"),
    message:
        "Averaging the expression of genes in every tissue"
    script:
        "../../scripts/measure_expression_level.py"


MEASURED = {"expression_level": rules.measure_expression_level.output}

if config["inputs"]["conservation"] is None:
    skip(
        "conservation of predictable genes",
        "no conservation scores",
        "set inputs.conservation (human: PhastCons of 100 vertebrates)",
    )
else:
    CONSERVATION = resolve_input("conservation")
    # A bigWig may be read where it is published; a file of this machine is an input.
    CONSERVATION_INPUT = {} if "://" in CONSERVATION else {"conservation": CONSERVATION}
    if config["inputs"]["gene_model"] is not None:
        CONSERVATION_INPUT["gene_model"] = resolve_input("gene_model")

    rule measure_conservation:
        input:
            **followed(CONSERVATION_INPUT),
            expression=rules.build_cohort.output.expression,
        output:
            genes="results/{cohort}/gene_characteristics/genes/conservation.tsv",
            matching="results/{cohort}/gene_characteristics/genes/conservation.matching.tsv",
        log:
            "logs/{cohort}/measure_conservation.log",
        benchmark:
            "benchmarks/{cohort}/measure_conservation.tsv"
        conda:
            "../../envs/mtm.yaml"
        threads: 4
        resources:
            **RULE_RESOURCES["measure_conservation"],
            runtime=120,
        params:
            contents=contents_of(CONSERVATION_INPUT),
            url=None if CONSERVATION_INPUT.get("conservation") else CONSERVATION,
            column=CONTRAST["conservation_column"],
            code=code_of("measure_conservation.py"),
        message:
            "Measuring the conservation of genes"
        script:
            "../../scripts/measure_conservation.py"

    MEASURED["conservation"] = rules.measure_conservation.output


if config["inputs"]["interactions"] is None:
    skip(
        "connectivity of predictable genes",
        "no protein interactions",
        "set inputs.interactions and inputs.gene_identifiers (human: HIPPIE, HGNC)",
    )
else:
    PARTNERS = inputs_of("interactions", "gene_identifiers")

    rule measure_connectivity:
        input:
            **followed(PARTNERS),
            expression=rules.build_cohort.output.expression,
        output:
            genes="results/{cohort}/gene_characteristics/genes/connectivity.tsv",
            matching="results/{cohort}/gene_characteristics/genes/connectivity.matching.tsv",
        log:
            "logs/{cohort}/measure_connectivity.log",
        benchmark:
            "benchmarks/{cohort}/measure_connectivity.tsv"
        conda:
            "../../envs/mtm.yaml"
        threads: 1
        resources:
            **RULE_RESOURCES["measure_connectivity"],
            runtime=15,
        params:
            contents=contents_of(PARTNERS),
            min_score=CONTRAST["interaction_score"],
            code=code_of("measure_connectivity.py"),
        message:
            "Counting the partners of genes"
        script:
            "../../scripts/measure_connectivity.py"

    MEASURED["connectivity"] = rules.measure_connectivity.output


rule contrast_genes:
    input:
        **HELD_OUT,
        gene_wise=GENE_WISE,
        characteristics=[files.genes for files in MEASURED.values()],
    output:
        contrasts="results/{cohort}/gene_characteristics/contrasts/{model}.tsv",
    log:
        "logs/{cohort}/contrast_genes/{model}.log",
    benchmark:
        "benchmarks/{cohort}/contrast_genes/{model}.tsv"
    wildcard_constraints:
        model="|".join(MODELS),
    conda:
        "../../envs/mtm.yaml"
    threads: 2
    resources:
        **RULE_RESOURCES["contrast_genes"],
        runtime=120,
        gpu=gpu_resource,
    params:
        **HELD_OUT_PARAMS,
        accuracy=config["accuracy"],
        quantile=CONTRAST["quantile"],
        bootstraps=CONTRAST["bootstraps"],
        code=code_of("contrast_genes.py"),
    message:
        "Contrasting the genes that {wildcards.model} predicts best and worst"
    script:
        "../../scripts/contrast_genes.py"


rule join_gene_contrasts:
    input:
        contrasts=expand(
            "results/{{cohort}}/gene_characteristics/contrasts/{model}.tsv",
            model=CONTRASTED_MODELS,
        ),
        matching=[files.matching for files in MEASURED.values()],
    output:
        **{
            name: f"results/{{cohort}}/gene_characteristics/{name}.tsv"
            for name in MEASURED
        },
        matching=report(
            "results/{cohort}/gene_characteristics/matching.tsv",
            caption="../report/gene_matching.rst",
            category="What makes a gene predictable",
            labels={"content": "Genes matched to their characteristics"},
        ),
    log:
        "logs/{cohort}/join_gene_contrasts.log",
    benchmark:
        "benchmarks/{cohort}/join_gene_contrasts.tsv"
    conda:
        "../../envs/mtm.yaml"
    threads: 1
    resources:
        **RULE_RESOURCES["join_gene_contrasts"],
        runtime=10,
    params:
        characteristics=list(MEASURED),
        code=code_of("join_gene_contrasts.py"),
    message:
        "Joining the contrasts of genes"
    script:
        "../../scripts/join_gene_contrasts.py"


TABLES += [
    f"results/{{cohort}}/gene_characteristics/{name}.tsv"
    for name in [*MEASURED, "matching"]
]
for NAME, FIGURE, TITLE in [
    ("expression_level", "fig_s10", "Expression of well and badly predicted genes"),
    ("conservation", "fig_s11", "Conservation of well and badly predicted genes"),
    (
        "connectivity",
        "fig_s8_connectivity",
        "Connectivity of well and badly predicted genes",
    ),
]:
    if NAME in MEASURED:
        add_figure(
            FIGURE,
            "What makes a gene predictable",
            TITLE,
            table=f"results/{{cohort}}/gene_characteristics/{NAME}.tsv",
        )
