"""``mtm info``: what a bundle holds."""

import argparse
import json
from pathlib import Path

from mtm.errors import printable, shown

# Mean and sd of two samples are the two samples.
SAFE = 3


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    info = commands.add_parser("info", help="say what a bundle holds and check it")
    info.add_argument("bundle", type=Path, help="model (.safetensors)")
    info.set_defaults(run=run)


def held_in_words(model) -> str:
    """Say whether a bundle holds single people's data, and of how many."""
    n_donors = len(model.provenance.training_donors)
    if held := model.individual_arrays():
        return f"individual-level data of {n_donors} donors ({shown(held)})"
    known = model.reference is not None
    if known and (few := int(model.few_samples(SAFE).sum())):
        return (
            f"individual-level data: mean and sd of {few} tissues with fewer than {SAFE} samples"
        )
    return f"summary statistics only, of {n_donors} donors"


def run(options: argparse.Namespace) -> None:
    """Run ``mtm info``."""
    from mtm.models.bundle import read_header
    from mtm.models.registry import load

    header = read_header(options.bundle)
    model = load(options.bundle)
    known, provenance = model.certificate, model.provenance
    lines = {
        "bundle": f"version {header['bundle_version']}, checksum ok",
        "holds": held_in_words(model),
        "model": header["model"],
        "scale": header["scale"],
        "genes": f"{len(header['gene_ids'])} ({', '.join(header['gene_ids'][:3])}, ...)",
        "tissues": f"{len(header['tissues'])}: {'; '.join(header['tissues'])}",
        "cohort": provenance.cohort or "not recorded",
        "source": provenance.source,
        "training donors": len(provenance.training_donors),
        "fold": provenance.fold or "not recorded",
        "seed": provenance.seed,
        **({"certificate": "none"} if known is None else known.in_words()),
        "versions": ", ".join(f"{name} {text}" for name, text in header["versions"].items()),
        "parameters": json.dumps(header["parameters"], sort_keys=True),
        "notes": json.dumps(provenance.notes, sort_keys=True),
    }
    width = max(map(len, lines)) + 2
    for name, text in lines.items():
        print(printable(f"{name + ':':<{width}}{text}"))
