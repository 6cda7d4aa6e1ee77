"""``mtm info``: what a bundle says of itself."""

import argparse
import json
from pathlib import Path

from mtm.errors import printable


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    info = commands.add_parser("info", help="say what a bundle holds and check it")
    info.add_argument("bundle", type=Path, help="model (.safetensors)")
    info.add_argument("--json", action="store_true", help="as JSON")
    info.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Run ``mtm info``."""
    from mtm.models.bundle import read_header
    from mtm.models.card import in_words, told
    from mtm.models.registry import load

    header = read_header(options.bundle)
    card = told(load(options.bundle), header)
    if options.json:
        print(json.dumps(card, indent=1))
        return
    versions = ", ".join(f"{name} {text}" for name, text in card["versions"].items())
    lines = {
        "bundle": [f"version {card['bundle_version']}, checksum ok"],
        "holds": [card["holds"]],
        **in_words(card),
        **({"measure": ["a scale of its own, no TPM"]} if header.get("measure") == "own" else {}),
        "seed": [str(card["seed"])],
        "versions": [versions],
        "parameters": [json.dumps(card["parameters"], sort_keys=True)],
        "notes": [json.dumps(card["notes"], sort_keys=True)],
    }
    width = max(map(len, lines)) + 2
    for name, (first, *further) in lines.items():
        print(printable(f"{name + ':':<{width}}{first}"))
        for line in further:
            print(printable(f"{'':<{width}}{line}"))
