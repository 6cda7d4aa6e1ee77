if config["simulation"] is not None:
    # The external cohort's files, where the settings ask for one.
    SIMULATED_EXTERNAL = (
        {
            "external_expression": "resources/simulated/{cohort}/external_expression.tsv",
            "external_samples": "resources/simulated/{cohort}/external_samples.tsv",
            "external_truth": "resources/simulated/{cohort}/external_truth.h5ad",
        }
        if config["simulation"]["n_external_donors"]
        else {}
    )

    rule simulate_cohort:
        output:
            **SIMULATED_EXTERNAL,
            expression="resources/simulated/{cohort}/expression.gct.gz",
            sample_attributes="resources/simulated/{cohort}/sample_attributes.tsv",
            subject_phenotypes="resources/simulated/{cohort}/subject_phenotypes.tsv",
            controlled_phenotypes="resources/simulated/{cohort}/controlled_phenotypes.tsv",
            gene_model="resources/simulated/{cohort}/gene_model.gtf",
            truth="resources/simulated/{cohort}/truth.h5ad",
            conservation="resources/simulated/{cohort}/conservation.bw",
            interactions="resources/simulated/{cohort}/interactions.tsv",
            gene_identifiers="resources/simulated/{cohort}/gene_identifiers.tsv",
            gene_truth="resources/simulated/{cohort}/gene_truth.tsv",
        log:
            "logs/{cohort}/simulate_cohort.log",
        benchmark:
            "benchmarks/{cohort}/simulate_cohort.tsv"
        conda:
            "../../envs/mtm.yaml"
        threads: 1
        resources:
            **RULE_RESOURCES["simulate_cohort"],
            runtime=30,
        params:
            settings=config["simulation"],
            code=code_of("simulate_cohort.py"),
        message:
            "Simulating cohort {wildcards.cohort}"
        script:
            "../../scripts/simulate_cohort.py"


# The external cohort once more, as GEO would serve it.
SIMULATED_SERIES = series_of(config) if config["simulation"] is not None else []
if SIMULATED_SERIES and SIMULATED_EXTERNAL:
    SERIES_FILE = f"resources/simulated/{{cohort}}/{SIMULATED_SERIES[0][0]}"

    rule simulate_series:
        input:
            expression=rules.simulate_cohort.output.external_expression,
            samples=rules.simulate_cohort.output.external_samples,
            gene_identifiers=rules.simulate_cohort.output.gene_identifiers,
        output:
            matrix=f"{SERIES_FILE}_series_matrix.txt.gz",
            tpm=f"{SERIES_FILE}_norm_counts_TPM_GRCh38.p13_NCBI.tsv.gz",
            counts=f"{SERIES_FILE}_raw_counts_GRCh38.p13_NCBI.tsv.gz",
            gene_table="resources/simulated/{cohort}/Human.GRCh38.p13.annot.tsv.gz",
        log:
            "logs/{cohort}/simulate_series.log",
        benchmark:
            "benchmarks/{cohort}/simulate_series.tsv"
        conda:
            "../../envs/mtm.yaml"
        threads: 1
        resources:
            **RULE_RESOURCES["simulate_series"],
            runtime=30,
        params:
            accession=SIMULATED_SERIES[0][0],
            code=code_of("simulate_series.py"),
        message:
            "Writing the external cohort of {wildcards.cohort} as a GEO series"
        script:
            "../../scripts/simulate_series.py"


COHORT_FILES = inputs_of(*COHORT_INPUTS)
# All that a cohort follows: the same for its check, which runs again where it does and nowhere else.
COHORT_PARAMS = {
    "contents": contents_of(COHORT_FILES),
    "filters": config["filters"],
    "columns": config["columns"],
    "source": config["source"],
    "units": config["inputs"]["units"],
    "code": code_of("build_cohort.py"),
}


# It reads every file of the configuration that is there, not those of the cohort alone.
rule check_inputs:
    input:
        **followed(COHORT_FILES),
    output:
        table="results/{cohort}/cohort/inputs.tsv",
    log:
        "logs/{cohort}/check_inputs.log",
    benchmark:
        "benchmarks/{cohort}/check_inputs.tsv"
    conda:
        "../../envs/mtm.yaml"
    threads: 1
    resources:
        **RULE_RESOURCES["check_inputs"],
        runtime=30,
    params:
        **COHORT_PARAMS,
    message:
        "Checking the files and names of the configuration"
    script:
        "../../scripts/check_inputs.py"


rule build_cohort:
    input:
        **followed(COHORT_FILES),
        checked=rules.check_inputs.output.table,
    output:
        expression="results/{cohort}/cohort/expression.h5ad",
        donors="results/{cohort}/cohort/donors.tsv",
        filtering=report(
            "results/{cohort}/cohort/filtering.tsv",
            caption="../report/filtering.rst",
            category="Cohort",
            labels={
                "content": "Samples, donors, tissues and genes after every filter"
            },
        ),
    log:
        "logs/{cohort}/build_cohort.log",
    benchmark:
        "benchmarks/{cohort}/build_cohort.tsv"
    conda:
        "../../envs/mtm.yaml"
    threads: 1
    resources:
        **RULE_RESOURCES["build_cohort"],
        runtime=120,
    params:
        **COHORT_PARAMS,
    message:
        "Building cohort {wildcards.cohort}"
    script:
        "../../scripts/build_cohort.py"


rule make_folds:
    input:
        expression=rules.build_cohort.output.expression,
        donors=rules.build_cohort.output.donors,
    output:
        folds="results/{cohort}/cohort/folds.tsv",
        counts=report(
            "results/{cohort}/cohort/fold_counts.tsv",
            caption="../report/fold_counts.rst",
            category="Cohort",
            labels={"content": "Donors and training pairs of every fold"},
        ),
    log:
        "logs/{cohort}/make_folds.log",
    benchmark:
        "benchmarks/{cohort}/make_folds.tsv"
    conda:
        "../../envs/mtm.yaml"
    threads: 1
    resources:
        **RULE_RESOURCES["make_folds"],
        runtime=15,
    params:
        folds=config["folds"],
        source=config["source"],
        code=code_of("make_folds.py"),
    message:
        "Drawing folds of cohort {wildcards.cohort}"
    script:
        "../../scripts/make_folds.py"
