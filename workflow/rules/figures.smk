for FIGURE, DRAWN in FIGURES.items():

    rule:
        name:
            f"draw_{FIGURE}"
        input:
            **DRAWN["tables"],
        output:
            **{
                suffix: report(
                    f"results/{{cohort}}/{DRAWN['place']}.{suffix}",
                    caption=f"../report/{DRAWN['figure']}.rst",
                    category=DRAWN["category"],
                    labels={"content": DRAWN["title"], "as": kind},
                )
                for suffix, kind in [
                    ("pdf", "PDF"),
                    ("png", "image"),
                    ("tsv", "table"),
                ]
            },
        log:
            f"logs/{{cohort}}/draw_figure/{FIGURE}.log",
        benchmark:
            f"benchmarks/{{cohort}}/draw_figure/{FIGURE}.tsv"
        conda:
            "../../envs/mtm.yaml"
        threads: 1
        resources:
            **RULE_RESOURCES["draw_figure"],
            runtime=15,
        params:
            figure=DRAWN["figure"],
            fewest_people=config["fewest_people"],
            units=config["inputs"]["units"],
            code=code_of("draw_figure.py", digest.figure_module(DRAWN["figure"])),
        message:
            "Drawing {params.figure}"
        script:
            "../../scripts/draw_figure.py"


rule list_skipped_analyses:
    input:
        tables=TABLES
        + [
            drawn["tables"][name]
            for drawn in FIGURES.values()
            for name in drawn["tables"]
        ],
        training=expand(
            "results/{{cohort}}/models/{model}/fold{fold}.training.tsv",
            model=FITTED_MODELS,
            fold=FOLDS,
        ),
    output:
        skipped=report(
            "results/{cohort}/tables/skipped.tsv",
            caption="../report/skipped.rst",
            category="Cohort",
            labels={"content": "Analyses left out, and why"},
        ),
    log:
        "logs/{cohort}/list_skipped_analyses.log",
    benchmark:
        "benchmarks/{cohort}/list_skipped_analyses.tsv"
    conda:
        "../../envs/mtm.yaml"
    threads: 1
    resources:
        **RULE_RESOURCES["list_skipped_analyses"],
        runtime=5,
    params:
        skipped=SKIPPED,
        fewest_people=config["fewest_people"],
        code=code_of("list_skipped_analyses.py"),
    message:
        "Listing the analyses that were left out"
    script:
        "../../scripts/list_skipped_analyses.py"
