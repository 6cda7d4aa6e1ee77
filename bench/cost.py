"""Disk and memory of every model of a configuration, before anything is run.

``python -m bench.cost [--configfile config/config.yaml]``: a table of what the workflow asks for
at GTEx v8's size (`mtm.pipeline.resources`), all folds together; bounds, not means.
"""

import argparse
from pathlib import Path

import yaml

from mtm.pipeline.resources import GTEX_V8, prediction_resources, training_resources
from mtm.settings.models.base import ModelParameters, declared

HEAD = ["model", "bundles (GB)", "while it trains, a fold (GB)", "predictions (GB)", "memory (GB)"]


def main() -> None:
    """Print the table."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--configfile", type=Path, default=Path("config/config.yaml"))
    models = yaml.safe_load(given.parse_args().configfile.read_text())
    n_folds = (models.get("folds") or {}).get("n_folds", 5)
    models = models["models"]
    parameters: dict[str, ModelParameters] = {
        name: declared(model["class"]).of(model.get("parameters") or {})
        for name, model in models.items()
        if "class" in model
    }
    rows, sums = [], [0.0, 0.0]
    for name, model in models.items():
        of = parameters[model.get("of", name)]
        parts = [of, *(parameters[member] for member in of.members)]
        fits = "of" not in model
        bundle_mb = fits * n_folds * sum(part.size(GTEX_V8).bundle_mb for part in parts)
        training, asked = training_resources(parts, GTEX_V8), prediction_resources(parts, GTEX_V8)
        state_mb = fits * 2 * of.size(GTEX_V8).checkpoint_mb
        memory_mb = max(fits * training["mem_mb"], asked["mem_mb"])
        rows.append([name, bundle_mb, state_mb, asked["disk_mb"], memory_mb])
        sums[0], sums[1] = sums[0] + bundle_mb, sums[1] + asked["disk_mb"]
    print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
    for name, *values in rows:
        print(f"| {' | '.join([name, *(f'{value / 1e3:.1f}' for value in values)])} |")
    print(f"| all | {sums[0] / 1e3:.0f} | | {sums[1] / 1e3:.0f} | |")


if __name__ == "__main__":
    main()
