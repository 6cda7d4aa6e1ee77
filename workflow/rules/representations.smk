REPRESENTATIONS = config["representations"]
MTM_MODELS = [
    name for name in FITTED_MODELS if config["models"][name]["class"] == "mtm"
]
# The paper's model, its strongest rival there, a baseline, and further models of MTM's kind.
SIMILARITY_MODELS = models_of(
    "representations",
    ROLES["MTM"],
    ROLES["S2"],
    REPRESENTATIONS["baseline"],
    *MTM_MODELS,
)


rule compare_tissue_similarity:
    input:
        expression=rules.build_cohort.output.expression,
        donors=rules.build_cohort.output.donors,
        gene_wise=expand(GENE_WISE, model=SIMILARITY_MODELS, allow_missing=True),
    output:
        pairs="results/{cohort}/representations/tissue_similarity.tsv",
        summary=report(
            "results/{cohort}/representations/tissue_similarity_summary.tsv",
            caption="../report/tissue_similarity.rst",
            category="What MTM has learned",
            labels={"content": "Similar tissues, similarly predictable genes"},
        ),
    log:
        "logs/{cohort}/compare_tissue_similarity.log",
    benchmark:
        "benchmarks/{cohort}/compare_tissue_similarity.tsv"
    conda:
        "../../envs/mtm.yaml"
    threads: 1
    resources:
        **RULE_RESOURCES["compare_tissue_similarity"],
        runtime=30,
    params:
        models=SIMILARITY_MODELS,
        permutations=REPRESENTATIONS["permutations"],
        seed=REPRESENTATIONS["seed"],
        code=code_of("compare_tissue_similarity.py"),
    message:
        "Comparing the similarity of tissues in expression and in predictability"
    script:
        "../../scripts/compare_tissue_similarity.py"


TABLES.append(rules.compare_tissue_similarity.output.summary)
add_figure(
    "fig_s9",
    "What MTM has learned",
    "Similar tissues, similarly predictable genes",
    pairs=rules.compare_tissue_similarity.output.pairs,
    summary=rules.compare_tissue_similarity.output.summary,
)

if not MTM_MODELS:
    skip(
        "latent codes and decoding paths",
        "no model of class mtm",
        "add a model of class mtm to models",
    )
else:

    rule compare_codes:
        input:
            expression=rules.build_cohort.output.expression,
            donors=rules.build_cohort.output.donors,
            folds=rules.make_folds.output.folds,
            donors_key=rules.make_donors_key.output.key,
            bundles=expand(
                "results/{{cohort}}/models/{model}/fold{fold}.safetensors",
                model=MTM_MODELS,
                fold=FOLDS,
            ),
        output:
            donors="results/{cohort}/representations/codes.tsv",
            tissue_pairs="results/{cohort}/representations/codes_by_tissue_pair.tsv",
            summary=report(
                "results/{cohort}/representations/codes_summary.tsv",
                caption="../report/codes.rst",
                category="What MTM has learned",
                labels={"content": "Codes within and between donors"},
            ),
        log:
            "logs/{cohort}/compare_codes.log",
        benchmark:
            "benchmarks/{cohort}/compare_codes.tsv"
        conda:
            "../../envs/mtm.yaml"
        threads: 4
        resources:
            **RULE_RESOURCES["compare_codes"],
            runtime=120,
        params:
            models=MTM_MODELS,
            folds=list(FOLDS),
            permutations=REPRESENTATIONS["permutations"],
            bootstraps=REPRESENTATIONS["bootstraps"],
            seed=REPRESENTATIONS["seed"],
            code=code_of("compare_codes.py"),
        message:
            "Comparing codes within and between donors: {params.models}"
        script:
            "../../scripts/compare_codes.py"

    rule compare_decoding:
        input:
            expression=rules.build_cohort.output.expression,
            donors=rules.build_cohort.output.donors,
            folds=rules.make_folds.output.folds,
            donors_key=rules.make_donors_key.output.key,
            bundles=rules.compare_codes.input.bundles,
        output:
            pairs="results/{cohort}/representations/decoding.tsv",
            summary=report(
                "results/{cohort}/representations/decoding_summary.tsv",
                caption="../report/decoding.rst",
                category="What MTM has learned",
                labels={"content": "Decoding paths and similarity of tissues"},
            ),
        log:
            "logs/{cohort}/compare_decoding.log",
        benchmark:
            "benchmarks/{cohort}/compare_decoding.tsv"
        conda:
            "../../envs/mtm.yaml"
        threads: 4
        resources:
            **RULE_RESOURCES["compare_decoding"],
            runtime=120,
        params:
            models=MTM_MODELS,
            folds=list(FOLDS),
            source=config["source"],
            permutations=REPRESENTATIONS["permutations"],
            seed=REPRESENTATIONS["seed"],
            code=code_of("compare_decoding.py"),
        message:
            "Comparing decoding paths with the similarity of tissues: {params.models}"
        script:
            "../../scripts/compare_decoding.py"

    TABLES += [
        rules.compare_codes.output.summary,
        rules.compare_decoding.output.summary,
    ]
    add_figure(
        "fig_s8",
        "What MTM has learned",
        "Latent codes and decoding paths",
        donors=rules.compare_codes.output.donors,
        codes=rules.compare_codes.output.summary,
        pairs=rules.compare_decoding.output.pairs,
        decoding=rules.compare_decoding.output.summary,
    )
