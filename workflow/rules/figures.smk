# A figure: the tables it is drawn from, by the names its module gives them, and its place in the
# report. Its caption is workflow/report/{figure}.rst.
FIGURES = {
    "fig2a": {
        "tables": {"table": "results/{cohort}/accuracy/summary.tsv"},
        "category": "Accuracy",
        "title": "Accuracy of every model",
    },
    "fig2b": {
        "tables": {"table": "results/{cohort}/accuracy/summary.tsv"},
        "category": "Accuracy",
        "title": "Predictable genes",
    },
    "accuracy_by_tissue": {
        "tables": {"table": "results/{cohort}/accuracy/summary.tsv"},
        "category": "Accuracy",
        "title": "Accuracy in every tissue",
    },
}
COMPARISON_FIGURES = {
    "fig2c": ("venn", "Overlap of predictable genes in one tissue"),
    "fig2de": ("fold_changes", "Gain in predictable genes against sample size"),
    "fig_s6": ("pairs", "Accuracy, model against model"),
    "fig_s7": ("overlaps", "Overlap of predictable genes in all tissues"),
}
if len(MODELS) > 1:
    FIGURES |= {
        figure: {
            "tables": {"table": f"results/{{cohort}}/comparison/{table}.tsv"},
            "category": "Comparison of models",
            "title": title,
        }
        for figure, (table, title) in COMPARISON_FIGURES.items()
    }
if config["training"]["monitor_every"] and ITERATIVE_MODELS:
    FIGURES["learning_curve"] = {
        "tables": {
            "table": expand(
                "results/{{cohort}}/models/{model}/fold{fold}.training.tsv",
                model=ITERATIVE_MODELS,
                fold=FOLDS,
            )
        },
        "category": "Training",
        "title": "Held-out accuracy while training",
    }

for FIGURE, DRAWN in FIGURES.items():

    rule:
        name:
            f"draw_{FIGURE}"
        input:
            **DRAWN["tables"],
        output:
            **{
                suffix: report(
                    f"results/{{cohort}}/figures/{FIGURE}.{suffix}",
                    caption=f"../report/{FIGURE}.rst",
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
            mem_mb=2000,
            runtime=15,
        params:
            figure=FIGURE,
            code=code_of("draw_figure.py", digest.figure_module(FIGURE)),
        message:
            "Drawing {params.figure}"
        script:
            "../../scripts/draw_figure.py"


rule list_skipped_analyses:
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
        mem_mb=1000,
        runtime=5,
    params:
        skipped=skipped_analyses(),
        code=code_of("list_skipped_analyses.py"),
    message:
        "Listing the analyses that this configuration leaves out"
    script:
        "../../scripts/list_skipped_analyses.py"
