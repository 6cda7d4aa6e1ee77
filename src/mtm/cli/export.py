"""``mtm export``: a bundle in a form for others."""

import argparse
from pathlib import Path

from mtm.cli.output import demand_free
from mtm.cli.say import say
from mtm.errors import InputError, printable, shown

RANK, FEWEST = 16, 10


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    export = commands.add_parser(
        "export",
        help="write a bundle without single people's data",
        description="Write a bundle that holds summary statistics alone. Read docs/sharing.md "
        "before you give it away: summary statistics, too, tell something of who took part.",
    )
    export.add_argument("bundle", type=Path, help="model (.safetensors)")
    export.add_argument("out", type=Path, help="file to write (.safetensors)")
    export.add_argument(
        "--shareable",
        action="store_true",
        required=True,
        help="leave single people's data out; a model that needs them is refused",
    )
    export.add_argument(
        "--rank",
        type=_from_one,
        default=RANK,
        help="axes of the source's expression that models of class ridge keep: more are nearer "
        "to the model, and tell more of who took part (default: %(default)s)",
    )
    export.add_argument(
        "--min-samples",
        type=_from_one,
        default=FEWEST,
        metavar="N",
        help="training samples that a tissue needs to stay in (default: %(default)s)",
    )
    export.add_argument(
        "--force", action="store_true", help="replace files that are there already"
    )
    export.set_defaults(run=run)


def _from_one(text: str) -> int:
    """Argument from 1 on."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        found = shown(text)
        raise argparse.ArgumentTypeError(f"found {found}; expected a whole number, 1 or more")
    return value


def run(options: argparse.Namespace) -> None:
    """Run ``mtm export``."""
    from mtm.io import require_file
    from mtm.models.card import holds
    from mtm.models.cut import of_the_whole
    from mtm.models.registry import load

    require_file(options.bundle, "a model bundle (.safetensors)")
    if options.out.suffix.lower() != ".safetensors":
        hint = f"Call it {options.out.name}.safetensors." if options.out.name else ""
        found = "a name that does not end so"
        raise InputError(f"OUT {options.out}", found, "a bundle (.safetensors)", hint)
    demand_free(options.out, options.force, "OUT")
    model = load(options.bundle)
    try:
        shared = model.shareable(options.rank, options.min_samples)
    except InputError as error:
        raise error.within(options.bundle) from error
    shared.save(options.out)
    lost = [name for name in model.known_tissues if name not in shared.known_tissues]
    if lost:
        names = "; ".join(map(printable, lost))
        say(f"left out, of fewer than {options.min_samples} training samples: {names}")
    say(f"{options.out}: {holds(shared)}; docs/sharing.md says what that tells of them")
    if shared.cut and (shared.certificate or shared.card):
        say(f"accuracy, intervals and reliability in it stay those {of_the_whole(shared.cut)}")
