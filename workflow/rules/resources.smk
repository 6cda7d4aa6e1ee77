import re

from mtm.pipeline.datasets import needed_files

OPEN_FILES = {item.file: item for item in DATASETS.values() if item.access == "open"}
# Open files that the configuration uses and has no local copy of.
NEEDED_FILES = needed_files(DATASETS, config, "resources")
# Space for the largest file, whose exact size is not known (about 5.5 GB).
FETCH_DISK_MB = 6000


rule fetch:
    input:
        NEEDED_FILES.values(),
    localrule: True


# A file in place is kept, as every output is until another takes its place, and verified.
rule fetch_dataset:
    input:
        manifest=ancient(Path(HOME, "config", "datasets.tsv")),
    output:
        file="resources/{dataset_file}",
    log:
        "logs/fetch_dataset/{dataset_file}.log",
    benchmark:
        "benchmarks/fetch_dataset/{dataset_file}.tsv"
    wildcard_constraints:
        dataset_file="|".join(re.escape(file) for file in OPEN_FILES),
    retries: 0
    localrule: True
    conda:
        "../../envs/mtm.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=1440,
        disk_mb=FETCH_DISK_MB,
    params:
        # What identifies the content: a new release is fetched again.
        published=lambda wildcards: {
            name: str(getattr(OPEN_FILES[wildcards.dataset_file], name) or "")
            for name in ("url", "bytes", "checksum")
        },
    message:
        "Fetching {wildcards.dataset_file}"
    script:
        "../../scripts/fetch_dataset.py"
