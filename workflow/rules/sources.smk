# Models that take several tissues of a donor, as all do that they are made of.
ABLE = [
    name
    for name in MODELS
    if all(PARAMETERS[part].several_sources for part in with_members(name))
]
ASKED = []
for NAME in models_of(
    "any_sources",
    *(
        name
        for name in ABLE
        if name in FITTED_MODELS and PARAMETERS[name].from_expression_alone
    ),
    otherwise=[],
):
    if NAME in ABLE:
        ASKED.append(NAME)
    else:
        skip(
            f"accuracy of {NAME} from other tissues",
            "it takes one tissue",
            "leave it out of any_sources.models",
        )

if not ASKED:
    skip(
        "accuracy from other tissues",
        "no model that takes several tissues of a donor",
        "add a model of class joint",
    )
else:

    rule score_sources:
        input:
            **HELD_OUT,
            donors=rules.build_cohort.output.donors,
            donors_key=rules.make_donors_key.output.key,
            bundles=lambda wildcards: expand(
                of_its_fits(rules.train_fold.output.bundle)(wildcards),
                fold=FOLDS,
                allow_missing=True,
            ),
        output:
            accuracy="results/{cohort}/sources/accuracy/{model}.tsv",
            next_tissue=report(
                "results/{cohort}/sources/next_tissue/{model}.tsv",
                caption="../report/next_tissue.rst",
                category="Any sources",
                labels={"content": "Which next tissue would tell most, {model}"},
            ),
        log:
            "logs/{cohort}/score_sources/{model}.log",
        benchmark:
            "benchmarks/{cohort}/score_sources/{model}.tsv"
        wildcard_constraints:
            model="|".join(ASKED),
        conda:
            "../../envs/mtm.yaml"
        threads: 4
        resources:
            mem_mb=sources_resource("mem_mb"),
            disk_mb=sources_resource("disk_mb"),
            runtime=480,
        params:
            **HELD_OUT_PARAMS,
            folds=list(FOLDS),
            any_sources=for_jobs(config["any_sources"]),
            learned=model_learns,
            accuracy=config["accuracy"],
            code=sources_code,
        message:
            "Telling tissues from any others with {wildcards.model}"
        script:
            "../../scripts/score_sources.py"

    TABLES += expand(
        [
            "results/{{cohort}}/sources/accuracy/{model}.tsv",
            "results/{{cohort}}/sources/next_tissue/{model}.tsv",
        ],
        model=ASKED,
    )
    add_figure(
        "sources",
        "Any sources",
        "Accuracy by which tissues are given, and how many",
        accuracy=expand(
            "results/{{cohort}}/sources/accuracy/{model}.tsv", model=ASKED
        ),
    )
