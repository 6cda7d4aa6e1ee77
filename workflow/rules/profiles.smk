PROFILES = config["profiles"]

if not PROFILES["run"]:
    skip("profiles of genes over tissues", "profiles.run is false", "set it to true")
elif config["inputs"]["gene_model"] is None:
    skip(
        "profiles of genes over tissues",
        "no gene model, which says where genes are",
        "set inputs.gene_model",
    )
else:
    PROFILE_FILES = {
        "gene_model": resolve_input("gene_model"),
        **{
            role: resolve_file(
                f"profiles.{role}", PROFILES[role], DATASETS, config["local_files"]
            )
            for role in ("table", "promoters")
            if PROFILES[role]
        },
    }

    rule complete_profiles:
        input:
            **followed(PROFILE_FILES),
            **(
                {"conservation": rules.measure_conservation.output.genes}
                if "conservation" in MEASURED
                else {}
            ),
            **(
                {}
                if PROFILES["table"]
                else {
                    "expression": rules.build_cohort.output.expression,
                    "donors": rules.build_cohort.output.donors,
                }
            ),
        output:
            completed="results/{cohort}/profiles/completed.parquet",
            accuracy=report(
                "results/{cohort}/profiles/accuracy.tsv",
                caption="../report/profile_accuracy.rst",
                category="Profiles of genes",
                labels={"content": "How well profiles are told"},
            ),
        log:
            "logs/{cohort}/complete_profiles.log",
        benchmark:
            "benchmarks/{cohort}/complete_profiles.tsv"
        conda:
            "../../envs/mtm.yaml"
        threads: 4
        resources:
            **RULE_RESOURCES["complete_profiles"],
            runtime=1440,
            gpu=gpu_resource if "hybrid" in PROFILES["parts"] else 0,
        params:
            contents=contents_of(PROFILE_FILES),
            profiles=PROFILES,
            code=code_of("complete_profiles.py"),
        message:
            "Completing profiles of genes over tissues"
        script:
            "../../scripts/complete_profiles.py"

    TABLES += [*rules.complete_profiles.output]
    add_figure(
        "profiles",
        "Profiles of genes",
        "A gene's expression over tissues, told",
        accuracy=rules.complete_profiles.output.accuracy,
    )
