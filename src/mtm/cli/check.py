"""``mtm check``: the files and names of a configuration."""

import argparse
from pathlib import Path

from mtm.cli.say import say, say_all
from mtm.errors import numbered


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    check = commands.add_parser(
        "check",
        help="check the files and names of a configuration",
        description="Read every file that a configuration names, as far as it is quick, and tell "
        "of all problems at once. Nothing is written.",
    )
    check.add_argument("--configfile", required=True, type=Path, help="configuration (.yaml)")
    check.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Run ``mtm check``."""
    from mtm.pipeline.input_check import check_configfile

    with say_all():
        table, absent = check_configfile(options.configfile)
    for key in absent:
        say(f"{key}: not there yet, and not checked")
    say(f"{options.configfile}: {numbered(len(table), 'file')} checked, no problem found")
