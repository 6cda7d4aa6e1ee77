import re

OPEN_FILES = (
    DATASETS[DATASETS["access"] == "open"].fillna("").reset_index().set_index("file")
)
# Open files that the configuration uses and has no local copy of.
NEEDED_FILES = OPEN_FILES.index[
    OPEN_FILES["name"].isin(set(config["inputs"].values()) - set(config["local_files"]))
]
# Space for the largest file, whose exact size is not known (about 5.5 GB).
FETCH_DISK_MB = 6000


localrules:
    fetch,
    fetch_dataset,


rule fetch:
    input:
        expand("resources/{file}", file=NEEDED_FILES),


# `update` keeps a file in place, which is then verified rather than downloaded again.
rule fetch_dataset:
    input:
        manifest=ancient(Path(workflow.basedir, "config", "datasets.tsv")),
    output:
        file=update("resources/{dataset_file}"),
    log:
        "logs/fetch_dataset/{dataset_file}.log",
    benchmark:
        "benchmarks/fetch_dataset/{dataset_file}.tsv"
    wildcard_constraints:
        dataset_file="|".join(re.escape(file) for file in OPEN_FILES.index),
    retries: 0
    conda:
        "../../envs/mtm.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=1440,
        disk_mb=FETCH_DISK_MB,
    params:
        # What identifies the content: a new release is fetched again.
        published=lambda wildcards: OPEN_FILES.loc[
            wildcards.dataset_file, ["url", "bytes", "checksum"]
        ].to_dict(),
    message:
        "Fetching {wildcards.dataset_file}"
    script:
        "../../scripts/fetch_dataset.py"
