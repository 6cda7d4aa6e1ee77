"""Command line: configurations, new people, GEO series, bundles, cohorts side by side.

One module a command. What takes long to import is imported by the commands that need it, where
they need it: help and errors come at once.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from mtm import __version__
from mtm.cli import check, compare, export, geo, info, init, predict
from mtm.cli.say import say
from mtm.errors import InputError, not_installed, printable, shown

COMMANDS = (predict, geo, info, export, init, check, compare)
# As shells say of what SIGINT ended.
INTERRUPTED = 130


def parser() -> argparse.ArgumentParser:
    """Return the parser of the ``mtm`` command."""
    top = _Parser(
        prog="mtm",
        description="Predict a person's gene expression in a tissue from another tissue.",
    )
    top.add_argument("--version", action="version", version=f"mtm {__version__}")
    commands = top.add_subparsers(dest="command", required=True)
    for command in COMMANDS:
        command.add(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the ``mtm`` command; return its exit code, 1 after one line on stderr if it failed.

    A command returns a code of its own, or nothing for 0.
    """
    options = parser().parse_args(arguments)
    handler = logging.StreamHandler()
    handler.setFormatter(_Line("mtm: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    try:
        code = options.run(options) or 0
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whoever reads, head for instance, has enough. Nothing is left for the interpreter to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except InputError as error:
        say(f"error: {' '.join(str(error).split())}")
        return 1
    except OSError as error:
        where = f"{shown(str(error.filename))}: " if error.filename else ""
        say(f"error: {where}{' '.join((error.strerror or str(error)).split())}")
        return 1
    except KeyboardInterrupt:
        say("error: interrupted; nothing is left half-written")
        return INTERRUPTED
    except ModuleNotFoundError as error:
        if (error.name or "mtm").partition(".")[0] == "mtm":
            raise
        say(f"error: {not_installed(error, f'mtm {options.command}')}")
        return 1
    except MemoryError:
        say("error: the memory of this machine does not suffice for these files")
        return 1


class _Once(argparse._StoreAction):
    """An option with one value: given twice, the first would be lost without a word."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Keep the value; refuse a second one."""
        given = vars(namespace).setdefault("given", set())
        if self.option_strings and self.dest in given:
            raise argparse.ArgumentError(
                self, "given twice; give it once, as the values of two are not joined"
            )
        given.add(self.dest)
        super().__call__(parser, namespace, values, option_string)


class _Parser(argparse.ArgumentParser):
    """A parser, of a command too, whose options stand once but for those that collect."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        for action in (None, "store"):
            self.register("action", action, _Once)


class _Line(logging.Formatter):
    """Log records of one line each, whatever they tell of."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as it may be printed."""
        return printable(super().format(record))
