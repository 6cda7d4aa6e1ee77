LANDMARKS = config["landmarks"]
LANDMARK_LIST = inputs_of("landmarks")
PANELS = [
    *(["listed"] if LANDMARK_LIST else []),
    *(["chosen", "random"] if LANDMARKS["n"] else []),
]
# Methods that train networks.
NETWORKS = ("dgex", "mlp_on_ridge")

if not PANELS:
    skip(
        "landmarks",
        "landmarks.n is 0 and inputs.landmarks is null",
        "say how many genes a panel may hold, or name a list of them",
    )
else:

    rule choose_landmarks:
        input:
            **followed(LANDMARK_LIST),
            expression=rules.build_cohort.output.expression,
            donors=rules.build_cohort.output.donors,
            folds=rules.make_folds.output.folds,
        output:
            panels=report(
                "results/{cohort}/landmarks/panels.tsv",
                caption="../report/landmark_panels.rst",
                category="Landmarks",
                labels={"content": "Panels of landmarks"},
            ),
        log:
            "logs/{cohort}/choose_landmarks.log",
        benchmark:
            "benchmarks/{cohort}/choose_landmarks.tsv"
        conda:
            "../../envs/mtm.yaml"
        threads: 4
        resources:
            **RULE_RESOURCES["choose_landmarks"],
            runtime=480,
        params:
            contents=contents_of(LANDMARK_LIST),
            landmarks=for_jobs(LANDMARKS, "methods"),
            scaling=config["scaling"],
            code=code_of("choose_landmarks.py"),
        message:
            "Choosing landmarks"
        script:
            "../../scripts/choose_landmarks.py"

    rule score_landmarks:
        input:
            expression=rules.build_cohort.output.expression,
            donors=rules.build_cohort.output.donors,
            folds=rules.make_folds.output.folds,
            panels=rules.choose_landmarks.output.panels,
        output:
            accuracy=report(
                "results/{cohort}/landmarks/accuracy/{panel}/{method}.tsv",
                caption="../report/landmark_accuracy.rst",
                category="Landmarks",
                labels={"content": "{panel} panel made whole by {method}"},
            ),
        log:
            "logs/{cohort}/score_landmarks/{panel}/{method}.log",
        benchmark:
            "benchmarks/{cohort}/score_landmarks/{panel}/{method}.tsv"
        wildcard_constraints:
            panel="|".join(PANELS),
            method="|".join(LANDMARKS["methods"]),
        conda:
            "../../envs/mtm.yaml"
        threads: 4
        resources:
            **RULE_RESOURCES["score_landmarks"],
            runtime=lambda wildcards: 720 if wildcards.method in NETWORKS else 120,
            gpu=gpu_resource,
        params:
            landmarks=for_jobs(LANDMARKS, "methods"),
            accuracy=config["accuracy"],
            scaling=config["scaling"],
            code=code_of("score_landmarks.py"),
        message:
            "Making the {wildcards.panel} panel of landmarks whole by {wildcards.method}"
        script:
            "../../scripts/score_landmarks.py"

    LANDMARK_TABLES = expand(
        "results/{{cohort}}/landmarks/accuracy/{panel}/{method}.tsv",
        panel=PANELS,
        method=LANDMARKS["methods"],
    )
    TABLES += [rules.choose_landmarks.output.panels, *LANDMARK_TABLES]
    add_figure(
        "landmarks",
        "Landmarks",
        "A panel assay made whole",
        accuracy=LANDMARK_TABLES,
    )
