"""Disk and memory of every model of a configuration, before anything is run.

``python -m bench.cost [--configfile config/config.yaml]``: a table of what the workflow asks for
at GTEx v8's size (`mtm.pipeline.resources`), all folds together; bounds, not means. What goes
in the run (training states, bundles that `storage.drop_fold_bundles` names) stands apart.
"""

import argparse
from pathlib import Path

import yaml

from mtm.pipeline.resources import (
    GTEX_V8,
    prediction_resources,
    rule_resources,
    training_resources,
)
from mtm.settings.models.base import ModelParameters, declared
from mtm.settings.storage import Storage

HEAD = ["model", "bundles (GB)", "of which go (GB)", "while it trains, a fold (GB)",
        "predictions (GB)", "memory (GB)"]  # fmt: skip
# Rules that write once a model of any kind, and once in a run; those of some models alone, of
# which a run has a few (`FEW`), are larger than they.
OF_EACH_MODEL = ("score_model", "score_partial", "calibrate_intervals", "contrast_genes")
FEW, OF_A_FEW = 4, ("compare_dysregulation", "associate_traits", "transfer_model")
ONCE = ("build_cohort", "measure_expression_level", "compare_models", "compare_tissue_similarity")


def analyses_mb(n_models: int) -> float:
    """Bound of what the cohort and the analyses write."""
    asked = rule_resources(GTEX_V8, n_models)
    counts = [(OF_EACH_MODEL, n_models), (OF_A_FEW, FEW), (ONCE, 1)]
    return sum(n * sum(asked[rule]["disk_mb"] for rule in rules) for rules, n in counts)


def main() -> None:
    """Print the table."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--configfile", type=Path, default=Path("config/config.yaml"))
    config = yaml.safe_load(given.parse_args().configfile.read_text())
    n_folds = (config.get("folds") or {}).get("n_folds", 5)
    storage = Storage.of(config.get("storage") or {})
    models = config["models"]
    parameters: dict[str, ModelParameters] = {
        name: declared(model["class"]).of(model.get("parameters") or {})
        for name, model in models.items()
        if "class" in model
    }
    rows, kept_mb = [], analyses_mb(len(models))
    for name, model in models.items():
        of = parameters[model.get("of", name)]
        parts = [of, *(parameters[member] for member in of.members)]
        fits = "of" not in model
        bundle_mb = fits * n_folds * sum(part.size(GTEX_V8).bundle_mb for part in parts)
        goes_mb = bundle_mb * (name in storage.drop_fold_bundles)
        training = training_resources(parts, GTEX_V8)
        asked = prediction_resources(parts, GTEX_V8, storage.predictions)
        state_mb = fits * 2 * of.size(GTEX_V8).checkpoint_mb
        memory_mb = max(fits * training["mem_mb"], asked["mem_mb"])
        rows.append([name, bundle_mb, goes_mb, state_mb, asked["disk_mb"], memory_mb])
        kept_mb += bundle_mb - goes_mb + asked["disk_mb"]
    print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
    for name, *values in rows:
        print(f"| {' | '.join([name, *(f'{value / 1e3:.1f}' for value in values)])} |")
    sums = [sum(row[column] for row in rows) / 1e3 for column in (1, 2, 4)]
    print(f"| all | {sums[0]:.0f} | {sums[1]:.0f} | | {sums[2]:.0f} | |")
    print(f"\ncohort and analyses: {analyses_mb(len(models)) / 1e3:.0f} GB; "
          f"what stays, all together: {kept_mb / 1e3:.0f} GB")  # fmt: skip


if __name__ == "__main__":
    main()
