RANKS = config["ranks"]
RANK_ENCODER = inputs_of("rank_encoder")

if not RANKS["epochs"]:
    skip(
        "ranks",
        "ranks.epochs is 0",
        "say how many passes over the samples the encoder is trained for",
    )
else:
    RANK_FILES = {
        "expression": rules.build_cohort.output.expression,
        "donors": rules.build_cohort.output.donors,
        "folds": rules.make_folds.output.folds,
    }

    rule fit_rank_encoder:
        input:
            **followed(RANK_ENCODER),
            **RANK_FILES,
        output:
            encoder="results/{cohort}/ranks/encoder/fold{fold}.safetensors",
            training="results/{cohort}/ranks/encoder/fold{fold}.training.tsv",
        log:
            "logs/{cohort}/fit_rank_encoder/fold{fold}.log",
        benchmark:
            "benchmarks/{cohort}/fit_rank_encoder/fold{fold}.tsv"
        conda:
            "../../envs/mtm.yaml"
        threads: 4
        resources:
            **RULE_RESOURCES["fit_rank_encoder"],
            runtime=1440,
            gpu=gpu_resource,
        params:
            contents=contents_of(RANK_ENCODER),
            ranks=for_jobs(RANKS, "components", "probes", "perturbation"),
            code=code_of("fit_rank_encoder.py"),
        message:
            "Training the encoder of rank values without the donors of fold {wildcards.fold}"
        script:
            "../../scripts/fit_rank_encoder.py"

    rule score_ranks:
        input:
            **RANK_FILES,
            encoders=expand(
                rules.fit_rank_encoder.output.encoder,
                fold=range(config["folds"]["n_folds"]),
                allow_missing=True,
            ),
        output:
            summary=report(
                "results/{cohort}/ranks/summary.tsv",
                caption="../report/ranks.rst",
                category="Ranks",
                labels={"content": "Encoder of rank values beside its baselines"},
            ),
        log:
            "logs/{cohort}/score_ranks.log",
        benchmark:
            "benchmarks/{cohort}/score_ranks.tsv"
        conda:
            "../../envs/mtm.yaml"
        threads: 4
        resources:
            **RULE_RESOURCES["score_ranks"],
            runtime=480,
            gpu=gpu_resource,
        params:
            ranks=for_jobs(RANKS, "perturbation"),
            accuracy=config["accuracy"],
            scaling=config["scaling"],
            code=code_of("score_ranks.py"),
        message:
            "Scoring the encoder of rank values"
        script:
            "../../scripts/score_ranks.py"

    TABLES.append(rules.score_ranks.output.summary)
    add_figure(
        "ranks",
        "Ranks",
        "Samples as sentences of genes",
        summary=rules.score_ranks.output.summary,
    )


if RANKS["epochs"] and RANKS["perturbation"]["genes"]:

    rule perturb_genes:
        input:
            **RANK_FILES,
            encoders=rules.score_ranks.input.encoders,
        output:
            perturbation=report(
                "results/{cohort}/ranks/perturbation.tsv",
                caption="../report/perturbation.rst",
                category="Ranks",
                labels={"content": "Genes perturbed in held-out samples"},
            ),
        log:
            "logs/{cohort}/perturb_genes.log",
        benchmark:
            "benchmarks/{cohort}/perturb_genes.tsv"
        conda:
            "../../envs/mtm.yaml"
        threads: 4
        resources:
            **RULE_RESOURCES["perturb_genes"],
            runtime=480,
            gpu=gpu_resource,
        params:
            ranks=for_jobs(RANKS, "components", "probes"),
            code=code_of("perturb_genes.py"),
        message:
            "Perturbing genes in sentences of held-out samples"
        script:
            "../../scripts/perturb_genes.py"

    TABLES.append(rules.perturb_genes.output.perturbation)
    add_figure(
        "perturbation",
        "Ranks",
        "Genes perturbed in silico",
        perturbation=rules.perturb_genes.output.perturbation,
    )
