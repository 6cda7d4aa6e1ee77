"""``mtm compare``: the same models and tissues in several cohorts."""

import argparse
from pathlib import Path

from mtm.cli.output import add_out, demand_free
from mtm.cli.say import say
from mtm.errors import InputError, numbered, printable

ENDINGS = (".tsv", ".tsv.gz", ".parquet")


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    compare = commands.add_parser(
        "compare",
        help="accuracy of the same model and tissue in several cohorts",
        description="Print how well models tell in each cohort, mean over its own tissues, with "
        "95% intervals over donors; --out has every tissue.",
    )
    compare.add_argument(
        "results", nargs="+", type=Path, help="result folders of cohorts, results/{cohort}"
    )
    add_out(compare, "table of all tissues to write (.tsv, .tsv.gz or .parquet)")
    compare.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Run ``mtm compare``."""
    from mtm.analyses.accuracy.cohorts import compare_cohorts
    from mtm.io import write_parquet, write_tsv
    from mtm.vocabulary import MEAN_OF_TISSUES

    if options.out:
        if not options.out.name.lower().endswith(ENDINGS):
            found = "another ending" if options.out.suffix else "no ending"
            raise InputError(f"--out {options.out}", found, f"one of {', '.join(ENDINGS)}")
        demand_free(options.out, options.force)
    table = compare_cohorts(options.results)
    cohorts = [
        name.removesuffix(" mean_rho") for name in table.columns if name.endswith("mean_rho")
    ]
    lines = [["", "model", *cohorts]]
    for row in table[table["tissue"] == MEAN_OF_TISSUES].to_dict("records"):
        cells = (
            f"{row[f'{name} mean_rho']:z.3f} ({row[f'{name} ci_low']:z.3f} to "
            f"{row[f'{name} ci_high']:z.3f})"
            for name in cohorts
        )
        lines.append([row["level"].replace("_", "-"), row["model"], *cells])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        print(printable("  ".join(cells).rstrip()))
    if options.out:
        write = write_parquet if options.out.suffix.lower() == ".parquet" else write_tsv
        write(table, options.out)
        say(f"{options.out}: {numbered(len(table), 'row')} (level, model, tissue)")
