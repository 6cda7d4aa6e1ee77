# Tables that the page reads beside those of the whole run.
PAGE_TABLES = {
    "cohort": [
        rules.build_cohort.output.filtering,
        rules.make_folds.output.counts,
    ],
    "accuracy": [
        rules.summarise_accuracy.output.summary,
        rules.estimate_ceiling.output.ceiling,
    ],
    "genes": expand(
        [GENE_WISE, rules.calibrate_intervals.output.genes],
        model=SCORED_MODELS,
        allow_missing=True,
    ),
    "characteristics": [files.genes for files in MEASURED.values()],
    "skipped": rules.list_skipped_analyses.output.skipped,
}


rule build_page:
    input:
        **PAGE_TABLES,
        tables=TABLES,
        drawn=expand(
            "results/{{cohort}}/{place}.{suffix}",
            place=[drawn["place"] for drawn in FIGURES.values()],
            suffix=["png", "tsv"],
        ),
        captions=[
            Path(HOME, "workflow", "report", f"{drawn['figure']}.rst")
            for drawn in FIGURES.values()
        ],
        expression=rules.build_cohort.output.expression,
    output:
        page="results/{cohort}/index.html",
    log:
        "logs/{cohort}/build_page.log",
    benchmark:
        "benchmarks/{cohort}/build_page.tsv"
    conda:
        "../../envs/mtm.yaml"
    threads: 1
    resources:
        **RULE_RESOURCES["build_page"],
        runtime=30,
    params:
        figures={
            name: {key: value for key, value in drawn.items() if key != "tables"}
            for name, drawn in FIGURES.items()
        },
        captions=lambda wildcards, input: str(Path(input.captions[0]).parent),
        citation=str(Path(HOME, "CITATION.cff")),
        benchmarks="benchmarks/{cohort}",
        reference=(REFERENCE_MODELS or [None])[0],
        config=config,
        code=code_of("build_page.py"),
        assets=digest.files_digest(Path(SOURCE_ROOT, "mtm", "page", "assets")),
    message:
        "Building the page of {wildcards.cohort}"
    script:
        "../../scripts/build_page.py"
