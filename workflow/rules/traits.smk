TRAITS = config["traits"]
TRAIT_MODELS = models_of("traits", ROLES["MTM"], TRAITS["baseline"], *REFERENCE_MODELS)

# Columns of cohort/donors.tsv that open data give.
OPEN_TRAITS = ("age", "sex", "hardy", *OWN_COLUMNS.used_for("trait"))
TRAIT_COLUMNS = list(TRAITS["columns"])
if config["inputs"]["controlled_phenotypes"] is None:
    TRAIT_COLUMNS = [name for name in TRAIT_COLUMNS if name in OPEN_TRAITS]
    for name in TRAITS["columns"]:
        if name not in OPEN_TRAITS:
            near = get_close_matches(name, OPEN_TRAITS, n=1)
            skip(
                f"trait {name}",
                f"{NO_PHENOTYPES}; known without are {', '.join(OPEN_TRAITS)}",
                (
                    f"correct traits.columns: did you mean {near[0]}?"
                    if near
                    else MORE_PHENOTYPES
                ),
            )


if TRAIT_COLUMNS:

    rule associate_traits:
        input:
            **HELD_OUT,
            donors=rules.build_cohort.output.donors,
            reference=predictions_of(REFERENCE_MODELS),
            gene_wise=GENE_WISE,
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
            **HELD_OUT_PARAMS,
            traits=for_jobs(TRAITS) | {"columns": TRAIT_COLUMNS},
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
