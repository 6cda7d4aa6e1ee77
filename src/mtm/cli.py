"""Command line: ``mtm predict`` new people, ``mtm info`` on a bundle, ``mtm check`` of a config.

What takes long to import is imported by the commands that need it: help and errors come at once.
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from mtm import __version__
from mtm.errors import InputError, printable
from mtm.settings.transfer import MIN_OVERLAP
from mtm.vocabulary import COVARIATES, OUTPUT_SCALES, OUTPUT_SUFFIXES, Units


def parser() -> argparse.ArgumentParser:
    """Return the parser of the ``mtm`` command."""
    top = argparse.ArgumentParser(
        prog="mtm",
        description="Predict a person's gene expression in a tissue from another tissue.",
    )
    top.add_argument("--version", action="version", version=f"mtm {__version__}")
    commands = top.add_subparsers(dest="command", required=True)
    _add_predict(commands)
    info_ = commands.add_parser("info", help="say what a bundle holds and check it")
    info_.add_argument("bundle", type=Path, help="model (.safetensors)")
    info_.set_defaults(run=info)
    check_ = commands.add_parser(
        "check",
        help="check the files and names of a configuration",
        description="Read every file that a configuration names, as far as it is quick, and tell "
        "of all problems at once. Nothing is written.",
    )
    check_.add_argument("--configfile", required=True, type=Path, help="configuration (.yaml)")
    check_.set_defaults(run=check)
    return top


def _add_predict(commands: argparse._SubParsersAction) -> None:
    """Add ``mtm predict`` and its options."""
    predict_ = commands.add_parser(
        "predict",
        help="predict tissues of new people",
        description="Predict tissues from one sample a person of the source tissue.",
    )
    predict_.add_argument("--bundle", required=True, type=Path, help="model (.safetensors)")
    predict_.add_argument(
        "--expression",
        required=True,
        type=Path,
        help="TPM of all genes: .tsv, .gct (genes as rows, samples as columns; .gz too) or .h5ad "
        "(samples as rows); Ensembl gene ids, versions may differ",
    )
    predict_.add_argument(
        "--source", required=True, metavar="TISSUE", help='tissue of the samples, "Whole Blood"'
    )
    predict_.add_argument(
        "--target",
        action="append",
        metavar="TISSUE",
        help="tissue to predict; repeat for several (default: all others of the model)",
    )
    predict_.add_argument(
        "--out",
        required=True,
        type=Path,
        help=f"file to write, by its name {', '.join(OUTPUT_SUFFIXES)}: a row a sample and target",
    )
    predict_.add_argument(
        "--scale",
        choices=OUTPUT_SCALES,
        default="z",
        help="z-scores within the target tissue on the model's own scale, log2(1+TPM) or TPM "
        "(default: %(default)s)",
    )
    predict_.add_argument(
        "--units",
        choices=get_args(Units),
        help="units of the expression: TPM or log2(1+TPM) (default: TPM, refused where the "
        "values cannot be TPM)",
    )
    predict_.add_argument(
        "--min-overlap",
        type=_fraction,
        default=MIN_OVERLAP,
        metavar="FRACTION",
        help="smallest share of the model's genes that the expression must have "
        "(default: %(default)s)",
    )
    predict_.add_argument(
        "--traits",
        type=Path,
        help="covariates for models that use them: .tsv with columns sample_id, sex, age, ...",
    )
    predict_.add_argument(
        "--force", action="store_true", help="replace the file of --out where there is one"
    )
    predict_.set_defaults(run=predict)


def _fraction(text: str) -> float:
    """Argument in [0, 1]."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the ``mtm`` command; return its exit code, 1 after one line on stderr if it failed."""
    options = parser().parse_args(arguments)
    handler = logging.StreamHandler()
    handler.setFormatter(_Line("mtm: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    try:
        options.run(options)
    except (InputError, OSError) as error:
        _say(f"error: {' '.join(str(error).split())}")
        return 1
    except MemoryError:
        _say("error: the memory of this machine does not suffice for these files")
        return 1
    return 0


class _Line(logging.Formatter):
    """Log records of one line each, whatever they tell of."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as it may be printed."""
        return printable(super().format(record))


def _say(text: str) -> None:
    """Write one line to stderr."""
    print(printable(f"mtm: {text}"), file=sys.stderr)


def _check_files(options: argparse.Namespace) -> None:
    """Refuse inputs that cannot be read, and an output that would replace anything unasked."""
    from mtm.io import require_file

    inputs = {
        "--bundle": (options.bundle, "a model bundle (.safetensors)"),
        "--expression": (options.expression, "a file of expression"),
        "--traits": (options.traits, "a tab-separated table"),
    }
    out = options.out
    for option, (path, expected) in inputs.items():
        if path is None:
            continue
        require_file(path, expected)
        if out.exists() and os.path.samefile(out, path):
            raise InputError(f"--out {out}", f"the file of {option}", "a file of its own")
    if out.is_dir():
        raise InputError(f"--out {out}", "a folder", "a file")
    if os.path.lexists(out) and not options.force:
        hint = "Name another file, or add --force to replace it."
        raise InputError(f"--out {out}", "a file that is there already", "a new file", hint)


def predict(options: argparse.Namespace) -> None:
    """Run ``mtm predict``."""
    from mtm.cohort.scaling import UNITS
    from mtm.cohort.units import to_tpm
    from mtm.models.registry import load
    from mtm.predictions import new_people
    from mtm.predictions.files import output_suffix, write_new_predictions

    output_suffix(options.out)
    _check_files(options)
    model = load(options.bundle)
    new_people.check_source(model, options.source)
    targets = list(dict.fromkeys(options.target or new_people.targets_of(model, options.source)))
    for name in targets:
        new_people.tissue_of(model, name)
    if not targets:
        found = f"no tissue but {options.source}"
        raise InputError(options.bundle, found, "a model of several tissues")
    traits = None if options.traits is None else _read_traits(options.traits)
    sample_ids, gene_ids, values = new_people.read_new_expression(options.expression)
    expr_tpm = to_tpm(values, options.units, options.expression, sample_ids)
    _say(
        f"{options.expression}: {len(sample_ids)} samples of {options.source}, read as "
        f"{'log2(1+TPM)' if options.units == 'log2' else 'TPM'}"
    )
    aligned, overlap = new_people.align_expression(
        model, expr_tpm, gene_ids, options.source, options.min_overlap, options.expression
    )
    _say(str(overlap))
    if overlap.n_found < overlap.n_model:
        _say(
            f"{overlap.n_model - overlap.n_found} genes that the data lack are set to the "
            f"training mean of {options.source}"
        )
    inputs = new_people.new_inputs(
        model, aligned, sample_ids, options.source, traits, options.expression, options.traits
    )
    scale, units = {
        "z": (model.scale, UNITS[model.scale]),
        "log2": ("log2", "log2(1+TPM)"),
        "tpm": ("tpm", "TPM"),
    }[options.scale]
    said = new_people.quantities(model, options.source)
    try:
        write_new_predictions(
            options.out,
            new_people.answers(model, inputs, targets, options.scale),
            new_people.new_rows(sample_ids, options.source, targets, scale),
            model.genes,
            {"scale": scale, "units": units, "model": model.name},
            said,
        )
    except InputError as error:
        raise _of_traits(error, options.traits) from error
    _say(f"{options.out}: {len(sample_ids)} samples x {len(targets)} tissues, {units}")
    _say(new_people.trust(model, options.source))


def _read_traits(path: Path):
    """Read covariates of new people, which must be what people can have."""
    from mtm.cohort.fields import check_traits
    from mtm.io import read_tsv

    table = read_tsv(path, ["sample_id"], dtype={"sample_id": str})
    return check_traits(table.set_index("sample_id"), path)


def _of_traits(error: InputError, traits: Path | None) -> InputError:
    """Return an error about covariates as one of the table of traits, others as they are."""
    if error.where == COVARIATES:
        hint = (
            "Give a table with a row a sample and these columns as --traits; fields may be empty."
        )
        return InputError(traits or "--traits", error.found, error.expected, hint)
    return error.within(traits) if traits and error.where.startswith("covariate ") else error


def info(options: argparse.Namespace) -> None:
    """Run ``mtm info``."""
    from mtm.models.bundle import read_header
    from mtm.models.registry import load

    header = read_header(options.bundle)
    model = load(options.bundle)
    known, provenance = model.certificate, model.provenance
    lines = {
        "bundle": f"version {header['bundle_version']}, checksum ok",
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


def check(options: argparse.Namespace) -> None:
    """Run ``mtm check``."""
    from mtm.pipeline.input_check import check_configfile

    try:
        table, absent = check_configfile(options.configfile)
    except InputError as error:
        for line in str(error).split("\n")[:-1]:
            _say(line)
        raise error.parts[-1] from None
    for key in absent:
        _say(f"{key}: not there yet, and not checked")
    _say(f"{options.configfile}: {len(table)} files checked, no problem found")


if __name__ == "__main__":
    sys.exit(main())
