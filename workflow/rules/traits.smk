TRAITS = config["traits"]
REFERENCE_MODELS = [n for n in MODELS if config["models"][n]["class"] == "covariates"][
    :1
]
TRAIT_MODELS = (
    TRAITS["models"]
    or [
        name
        for name in dict.fromkeys(
            [config["comparison"]["roles"]["MTM"], TRAITS["baseline"]]
            + REFERENCE_MODELS
        )
        if name in MODELS
    ]
    or MODELS[:1]
)
for name in TRAIT_MODELS:
    if name not in MODELS:
        raise InputError(
            "config key traits.models",
            repr(name),
            f"models of the run: {', '.join(MODELS)}",
        )

# Columns of cohort/donors.tsv that open data give.
OPEN_TRAITS = ("age", "sex", "hardy")
TRAIT_COLUMNS = list(TRAITS["columns"])
if config["inputs"]["controlled_phenotypes"] is None:
    TRAIT_COLUMNS = [name for name in TRAIT_COLUMNS if name in OPEN_TRAITS]
    for name in TRAITS["columns"]:
        if name not in OPEN_TRAITS:
            near = get_close_matches(name, OPEN_TRAITS, n=1)
            skip(
                f"trait {name}",
                f"no controlled-access phenotype file; open data have {', '.join(OPEN_TRAITS)}",
                (
                    f"correct traits.columns: did you mean {near[0]}?"
                    if near
                    else "set inputs.controlled_phenotypes"
                ),
            )


if TRAIT_COLUMNS:

    rule associate_traits:
        input:
            expression=rules.build_cohort.output.expression,
            donors=rules.build_cohort.output.donors,
            folds=rules.make_folds.output.folds,
            predictions=expand(
                "results/{{cohort}}/predictions/{{model}}/fold{fold}.h5ad", fold=FOLDS
            ),
            reference=expand(
                "results/{{cohort}}/predictions/{reference}/fold{fold}.h5ad",
                reference=REFERENCE_MODELS,
                fold=FOLDS,
            ),
            gene_wise="results/{cohort}/accuracy/gene_wise/{model}.parquet",
        output:
            associations="results/{cohort}/traits/associations/{model}.parquet",
            agreement="results/{cohort}/traits/agreement/{model}.tsv",
        log:
            "logs/{cohort}/associate_traits/{model}.log",
        benchmark:
            "benchmarks/{cohort}/associate_traits/{model}.tsv"
        wildcard_constraints:
            model="|".join(TRAIT_MODELS),
        conda:
            "../../envs/mtm.yaml"
        threads: 4
        resources:
            **RULE_RESOURCES["associate_traits"],
            runtime=120,
        params:
            source=config["source"],
            traits=TRAITS | {"columns": TRAIT_COLUMNS},
            scaling=config["scaling"],
            code=code_of("associate_traits.py"),
        message:
            "Comparing the trait associations of {wildcards.model} with observed ones"
        script:
            "../../scripts/associate_traits.py"

    rule summarise_traits:
        input:
            agreement=expand(
                "results/{{cohort}}/traits/agreement/{model}.tsv", model=TRAIT_MODELS
            ),
        output:
            agreement="results/{cohort}/traits/agreement.tsv",
            summary=report(
                "results/{cohort}/traits/summary.tsv",
                caption="../report/traits.rst",
                category="Traits",
                labels={"content": "Agreement of trait associations"},
            ),
        log:
            "logs/{cohort}/summarise_traits.log",
        benchmark:
            "benchmarks/{cohort}/summarise_traits.tsv"
        conda:
            "../../envs/mtm.yaml"
        threads: 1
        resources:
            **RULE_RESOURCES["summarise_traits"],
            runtime=15,
        params:
            code=code_of("summarise_traits.py"),
        message:
            "Summarising trait associations"
        script:
            "../../scripts/summarise_traits.py"

    TABLES += [rules.summarise_traits.output.summary]
    for FIGURE, WANTED, TITLE in [
        (
            "fig_s12",
            "age" in TRAIT_COLUMNS,
            "Genes and age, predicted and observed",
        ),
        (
            "fig_s13",
            "sex" in TRAIT_COLUMNS,
            "Genes and sex, predicted and observed",
        ),
        (
            "fig_s14",
            set(TRAIT_COLUMNS) - {"age", "sex"},
            "Genes and other traits, predicted and observed",
        ),
    ]:
        if WANTED:
            add_figure(
                FIGURE,
                "Traits",
                TITLE,
                agreement=rules.summarise_traits.output.agreement,
            )
