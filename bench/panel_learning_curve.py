"""Train one fold of a cohort and follow its held-out accuracy: the learning curve of a model.

    .venv/bin/python bench/panel_learning_curve.py --model mtm --steps 10000 --label published

reads ``results/gtex_v8_panel/cohort`` (made by
``snakemake --configfile tests/real/panel.yaml results/gtex_v8_panel/cohort/folds.tsv``), prints
the curve beside the rows of methods section 7 that were measured on the same samples and folds,
and writes it as a table beside the trained bundle. A killed run goes on from its last checkpoint.
"""

import argparse
import logging
from pathlib import Path

import pandas as pd
import torch
import yaml

from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.io import read_tsv, write_tsv
from mtm.models.base import Training
from mtm.models.registry import build
from mtm.pipeline.code_digest import code_digest, model_module
from mtm.predictions.monitoring import held_out_monitor

REFERENCE = Path(__file__).with_name("panel_reference.tsv")


def main() -> None:
    """Train, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohort", default="results/gtex_v8_panel/cohort", type=Path)
    parser.add_argument("--model", default="mtm")
    parser.add_argument("--label", required=True, help="name of this run in the table")
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--every", type=int, default=250, help="steps between evaluations")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="results/gtex_v8_panel/learning_curves", type=Path)
    parser.add_argument("--reference", default="", help="curve of panel_reference.tsv to print")
    parser.add_argument("parameters", nargs="*", metavar="key=value", help="model parameters")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cohort = Cohort.read(arguments.cohort / "expression.h5ad", arguments.cohort / "donors.tsv")
    folds = read_folds(arguments.cohort / "folds.tsv")
    held_out = folds.index[folds == arguments.fold]
    trained = folds.index[folds != arguments.fold]
    source = cohort.tissue_index("Whole Blood")
    parameters = {
        key: yaml.safe_load(value)
        for key, value in (item.split("=", 1) for item in arguments.parameters)
    }
    model = build(arguments.model, parameters)
    table = model.fit(
        Training(
            cohort.of_donors(trained),
            source=source,
            seed=arguments.seed,
            checkpoint=Path("checkpoints") / "learning_curves" / arguments.label,
            code=code_digest(__file__, [model_module(arguments.model)]),
            monitor=held_out_monitor(cohort.of_donors(held_out), cohort.tissues[source]),
            monitor_every=arguments.every,
        )
    )
    curve = table.dropna(subset="held_out_gene_wise")
    write_tsv(
        curve.assign(label=arguments.label, fold=arguments.fold, **model.provenance.notes),
        arguments.out / f"{arguments.label}.fold{arguments.fold}.tsv",
    )
    model.save(arguments.out / f"{arguments.label}.fold{arguments.fold}.safetensors")
    shown = curve[["step", "seconds", "held_out_gene_wise", "held_out_sample_wise"]]
    reference = read_tsv(REFERENCE)
    reference = reference[reference["curve"] == arguments.reference].set_index("step")
    if len(reference):
        shown = shown.join(
            reference[["gene_wise", "sample_wise"]].add_prefix("methods7_"), on="step"
        )
    pd.set_option("display.width", 120, "display.max_rows", 500)
    print(shown.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
