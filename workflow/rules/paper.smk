# Tables that the numbers of the paper are looked up in, as far as this configuration makes them,
# and the analysis of tables/skipped.tsv that one is not made for.
PAPER_TABLES = {
    "filtering": rules.build_cohort.output.filtering,
    "summary": rules.summarise_accuracy.output.summary,
    "dysregulation": rules.summarise_dysregulation.output.summary,
    "status": expand(
        rules.combine_status.output.summary, model=STATUS_MODELS, allow_missing=True
    ),
    **{
        name: f"results/{{cohort}}/gene_characteristics/{name}.tsv" for name in MEASURED
    },
}
if len(MODELS) > 1:
    PAPER_TABLES |= {
        name: rules.compare_models.output[name]
        for name in ("pair_counts", "overlaps", "fold_changes")
    }
if TRAIT_COLUMNS:
    PAPER_TABLES["traits"] = rules.summarise_traits.output.summary
for NAME in ("tissue_similarity", "codes", "decoding"):
    SUMMARY = f"results/{{cohort}}/representations/{NAME}_summary.tsv"
    if SUMMARY in TABLES:
        PAPER_TABLES[NAME] = SUMMARY
ABSENT = {item["analysis"]: item["reason"] for item in SKIPPED}
if WITH_REFERENCE:
    PAPER_TABLES |= {
        name: expand(
            rules.transfer_model.output[key],
            # The paper has one.
            external=WITH_REFERENCE[0],
            model=TRANSFER_MODELS,
            allow_missing=True,
        )
        for name, key in [("transfer", "agreement"), ("transfer_groups", "groups")]
    }
# What training costs, of the model in the part of MTM.
COSTED_MODELS = [name for name in FITTED_MODELS if name == ROLES["MTM"]]
if COSTED_MODELS:
    PAPER_TABLES["training"] = expand(
        rules.train_fold.output.training,
        model=COSTED_MODELS,
        fold=FOLDS,
        allow_missing=True,
    )

REFERENCE_ANALYSIS = next(
    (name for name in ABSENT if name.endswith("with a reference (Fig 4)")), ANALYSIS
)
for TABLE, SKIPPED_ANALYSIS in {
    "conservation": "conservation of predictable genes",
    "connectivity": "connectivity of predictable genes",
    "decoding": "latent codes and decoding paths",
    "codes": "latent codes and decoding paths",
    "pair_counts": "comparison of models",
    "overlaps": "comparison of models",
    "fold_changes": "comparison of models",
    "transfer": REFERENCE_ANALYSIS,
    "transfer_groups": REFERENCE_ANALYSIS,
}.items():
    if TABLE not in PAPER_TABLES:
        ABSENT[TABLE] = ABSENT.get(SKIPPED_ANALYSIS, "see tables/skipped.tsv")


rule compare_with_paper:
    input:
        **PAPER_TABLES,
    output:
        table=report(
            "results/{cohort}/tables/paper.tsv",
            caption="../report/paper.rst",
            category="He et al. 2023",
            labels={"content": "Every number of the paper beside this cohort's"},
        ),
    log:
        "logs/{cohort}/compare_with_paper.log",
    benchmark:
        "benchmarks/{cohort}/compare_with_paper.tsv"
    conda:
        "../../envs/mtm.yaml"
    threads: 1
    resources:
        **RULE_RESOURCES["compare_with_paper"],
        runtime=15,
    params:
        benchmarks=expand(
            "benchmarks/{{cohort}}/train_fold/{model}/fold{fold}.tsv",
            model=COSTED_MODELS,
            fold=FOLDS,
        ),
        inputs=config["inputs"],
        absent=ABSENT,
        roles=ROLES,
        models=MODELS,
        reference=(REFERENCE_MODELS or [None])[0],
        cohort=config["cohort"],
        fewest_people=config["fewest_people"],
        code=code_of("compare_with_paper.py"),
    message:
        "Setting the numbers of the paper beside those of {params.cohort}"
    script:
        "../../scripts/compare_with_paper.py"


TABLES.append(rules.compare_with_paper.output.table)
