"""The workflow at GTEx v8's size, from the GCT to the accuracy of every model, on this machine.

    .venv/bin/python bench/gtex_size.py FOLDER [--fraction 1] [--cores 2]
    .venv/bin/python bench/gtex_size.py FOLDER --models joint --one-fold

FOLDER gets the synthetic GCT of `synthetic_gct.py`, which holds no signal: time and memory
mean something here, accuracy does not. MTM has the published losses and a tenth of the published
widths, for a hundred steps. The table at the end is of Snakemake's own benchmark files; a second
call goes on where a first one stopped.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import pandas as pd
import yaml
from synthetic_gct import Files, make

ROOT = Path(__file__).parents[1]
COHORT = "gtex_size"
MODELS = {
    "mtm_tenth": {
        "class": "mtm",
        "parameters": {
            "encoder_widths": [205, 102, 51],
            "code_width": 26,
            "generator_widths": [102, 102, 205],
            "discriminator_widths": [205, 102, 10],
            "steps": 100,
        },
    },
    "covariates": {"class": "covariates"},
    "ridge": {"class": "ridge"},
    "bgex": {"class": "bgex"},
    "teebot": {"class": "teebot"},
    "joint": {"class": "joint", "parameters": {"fits": 1}},
}
ONE_FOLD = {"n_folds": 1, "scheme": "holdout"}


def configuration(files: Files, models: list[str], folds: dict) -> dict:
    """Return the run's configuration."""
    return {
        "cohort": COHORT,
        "inputs": {
            "expression": str(files.expression),
            # Its samples add up to some 1.5 million.
            "units": "tpm",
            "sample_attributes": str(files.sample_attributes),
            "subject_phenotypes": str(files.subject_phenotypes),
            "gene_model": str(files.gene_model),
        },
        "models": {name: MODELS[name] for name in models},
        "folds": folds,
    }


def benchmarks(folder: Path) -> pd.DataFrame:
    """Return one row a rule and model: jobs, seconds, processor time and peak memory."""
    rows = []
    for path in sorted((folder / "benchmarks" / COHORT).rglob("*.tsv")):
        rule, *model = path.relative_to(folder / "benchmarks" / COHORT).with_suffix("").parts
        name = next((part for part in model if part in MODELS), "")
        row = pd.read_csv(path, sep="\t", na_values="-").iloc[0]
        rows.append((rule, name, row["s"], row["cpu_time"], row["max_rss"]))
    table = pd.DataFrame(rows, columns=["rule", "model", "s", "cpu_s", "rss_mb"])
    return table.groupby(["rule", "model"], sort=False).agg(
        jobs=("s", "size"), longest_s=("s", "max"), s=("s", "sum"), cpu_s=("cpu_s", "sum"),
        rss_mb=("rss_mb", "max"),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fraction", type=float, default=1.0)
    parser.add_argument("--cores", default="2")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--one-fold", action="store_true")
    options = parser.parse_args()
    folder = options.folder.resolve()
    files = Files(folder)
    if not files.expression.exists():
        make(folder, options.fraction)
    config = configuration(files, options.models, ONE_FOLD if options.one_fold else {})
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "--directory", str(folder)]
    command += ["--configfile", str(folder / "config.yaml"), "--cores", options.cores]
    subprocess.run([*command, "--max-threads", "1", "accuracy"], cwd=ROOT, check=True)
    print("| rule | model | jobs | longest (s) | all (s) | all, CPU (s) | peak RSS (MB) |")
    print("|---|---|---|---|---|---|---|")
    for (rule, model), row in benchmarks(folder).iterrows():
        print(f"| {rule} | {model} | {row.jobs:.0f} | {row.longest_s:.0f} | {row.s:.0f} "
              f"| {row.cpu_s:.0f} | {row.rss_mb:,.0f} |")  # fmt: skip


if __name__ == "__main__":
    main()
