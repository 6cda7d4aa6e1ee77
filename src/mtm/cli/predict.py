"""``mtm predict``: tissues of new people."""

import argparse
import os
from pathlib import Path
from typing import get_args

from mtm.cli.output import add_out, demand_free
from mtm.errors import InputError, shown
from mtm.vocabulary import (
    MIN_OVERLAP,
    NEW_ALIGNMENTS,
    OUTPUT_SCALES,
    OUTPUT_SUFFIXES,
    RELIABILITY,
    Units,
)

DEFAULT_ALIGNMENT = "shift"
# Of files beside the answers, whose form the name does not choose.
ENDINGS = {"--report": (".html", ".htm"), "--qc": (".tsv", ".txt")}


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    predict = commands.add_parser(
        "predict",
        help="predict tissues of new people",
        description="Predict tissues of people from samples of others.",
    )
    predict.add_argument("--bundle", required=True, type=Path, help="model (.safetensors)")
    _add_samples(predict.add_argument_group("samples"))
    _add_answers(predict.add_argument_group("answers"))
    predict.set_defaults(run=run)


def _add_samples(group: argparse._ArgumentGroup) -> None:
    """Add what says what is predicted from."""
    group.add_argument(
        "--expression",
        type=Path,
        help="TPM of all genes: .tsv, .gct (genes as rows, samples as columns; .gz too) or .h5ad "
        "(samples as rows); Ensembl gene ids, versions may differ",
    )
    group.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="TISSUE[=FILE]",
        help='tissue of the samples, "Whole Blood"; or, in place of --expression, tissue and '
        "file, repeated: samples of one name are one person's",
    )
    group.add_argument(
        "--samples",
        type=Path,
        help="where samples of several tissues are in the files: .tsv with columns sample_id, "
        "donor, tissue, and perhaps covariates (.h5ad: obs may say them)",
    )
    group.add_argument(
        "--traits",
        type=Path,
        help="covariates for models that use them: .tsv with columns sample_id, sex, age, ...",
    )
    group.add_argument(
        "--units",
        choices=get_args(Units),
        help="units of the expression: TPM, log2(1+TPM), RPKM, or what else the model was trained "
        "on (default: as the model's, TPM refused where the values cannot be TPM)",
    )
    group.add_argument(
        "--min-overlap",
        type=_fraction,
        default=MIN_OVERLAP,
        metavar="FRACTION",
        help="smallest share of the model's genes that the expression must have "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--align",
        choices=NEW_ALIGNMENTS,
        default=DEFAULT_ALIGNMENT,
        help="bring samples of one file and tissue to the mean of the training samples, as far as "
        "they differ by more than people do (shift), to mean and sd (combat), each to their "
        "distribution over genes (quantile), or not at all (default: %(default)s)",
    )


def _add_answers(group: argparse._ArgumentGroup) -> None:
    """Add what says what is predicted, and how it is written."""
    group.add_argument(
        "--target",
        action="append",
        metavar="TISSUE",
        help="tissue to predict, or all; repeat for several (default: all others of the model)",
    )
    meaning = (
        f"file to write, by its name {', '.join(OUTPUT_SUFFIXES)}: a row a person, target and "
        "gene; AnnData: a row a person and target, X in TPM"
    )
    add_out(group, meaning, required=True)
    group.add_argument(
        "--wide", action="store_true", help="write genes as rows, people as columns"
    )
    group.add_argument(
        "--scale",
        choices=OUTPUT_SCALES,
        help="with --wide: TPM, log2(1+TPM), or z-scores within the target tissue on the model's "
        "own scale; of a model trained on values on a scale of their own, z-scores or, as own, "
        "these values (default: tpm, own)",
    )
    group.add_argument(
        "--genes", metavar="NAMES", help="genes to tell: symbols or ids with commas, or a file"
    )
    group.add_argument(
        "--min-reliability",
        type=_reliability,
        metavar="LEAST",
        help=f"tell genes of this class at least ({', '.join(RELIABILITY[1:])}), or with this "
        "correlation to expect",
    )
    group.add_argument(
        "--report", type=Path, metavar="HTML", help="page to write, for a few people"
    )
    group.add_argument(
        "--donors-key",
        type=Path,
        metavar="FILE",
        help="key of the results that the bundle is of (donors.key): samples of its training "
        "donors are named",
    )
    group.add_argument(
        "--qc", type=Path, metavar="FILE", help="file to write the checks of all samples to (.tsv)"
    )
    group.add_argument(
        "--strict",
        action="store_true",
        help="predict nothing (exit code 2) if a sample is not like the training donors'",
    )


def _fraction(text: str) -> float:
    """Argument in [0, 1]."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1")
    return value


def _reliability(text: str) -> str:
    """Class of reliability, or a correlation."""
    if text in RELIABILITY:
        return text
    try:
        _fraction(text)
    except argparse.ArgumentTypeError:
        classes = ", ".join(RELIABILITY[1:])
        message = f"{text!r} is none of {classes}, and no number from 0 to 1"
        raise argparse.ArgumentTypeError(message) from None
    return text


def _check_files(options: argparse.Namespace, files: list[tuple[Path, str | None]]) -> None:
    """Refuse inputs that cannot be read, and outputs that would replace anything unasked."""
    from mtm.io import require_file

    of_file = "--expression" if options.expression else "--source"
    inputs = [
        ("--bundle", options.bundle, "a model bundle (.safetensors)"),
        *((of_file, path, "a file of expression") for path, _ in files),
        ("--traits", options.traits, "a tab-separated table"),
        ("--samples", options.samples, "a tab-separated table"),
        ("--donors-key", options.donors_key, "the key of training donors (donors.key)"),
    ]
    if options.genes is not None and os.path.isfile(options.genes):
        inputs.append(("--genes", Path(options.genes), "names of genes, one a line"))
    given = [(option, path) for option, path, _ in inputs if path is not None]
    for _, path, expected in inputs:
        if path is not None:
            require_file(path, expected)
    for option, out in _outputs(options).items():
        for of, path in given:
            if os.path.exists(out) and path.exists() and os.path.samefile(out, path):
                raise InputError(f"{option} {out}", f"the file of {of}", "a file of its own")
        endings = ENDINGS.get(option, (out.suffix.lower(),))
        if out.suffix.lower() not in endings:
            found = f"the ending {shown(out.suffix)}"
            raise InputError(f"{option} {out}", found, f"one of {', '.join(endings)}")
        demand_free(out, options.force, option)
        given.append((option, out))


def _outputs(options: argparse.Namespace) -> dict[str, Path]:
    """Files to write, by option."""
    given = {"--out": options.out, "--report": options.report, "--qc": options.qc}
    outputs = {option: path for option, path in given.items() if path is not None}
    options_of: dict[Path, str] = {}
    for option, path in outputs.items():
        other = options_of.setdefault(path.resolve(), option)
        if other != option:
            raise InputError(f"{option} {path}", f"the file of {other}", "a file of its own")
    return outputs


def _files(options: argparse.Namespace) -> list[tuple[Path, str | None]]:
    """Return expression files, each with the tissue of its samples where the options say it."""
    if options.expression is not None:
        if len(options.source) > 1:
            found = f"{len(options.source)} tissues of one file"
            hint = "Give --source TISSUE=FILE for each in place of --expression, or --samples."
            raise InputError("--source", found, "one", hint)
        h5ad = options.expression.suffix.lower() == ".h5ad"
        if not options.source and not options.samples and not h5ad:
            hint = 'Say --source "Whole Blood", or give a table as --samples.'
            raise InputError(options.expression, "no tissue of its samples", "their tissue", hint)
        return [(options.expression, options.source[0] if options.source else None)]
    if not options.source:
        raise InputError("samples", "none", "--expression, or --source TISSUE=FILE")
    files = []
    for text in options.source:
        tissue, between, path = text.partition("=")
        if not between or not tissue.strip() or not path:
            raise InputError("--source", shown(text), "TISSUE=FILE where there is no --expression")
        files.append((Path(path), tissue.strip()))
    return files


def run(options: argparse.Namespace) -> int:
    """Run ``mtm predict``; return 2 where ``--strict`` keeps it from predicting."""
    from mtm.cli.predicting import predict
    from mtm.predictions.answer_files import output_suffix

    suffix = output_suffix(options.out)
    if options.scale and not options.wide:
        raise InputError("--scale", options.scale, "--wide beside it; other files have all scales")
    if options.wide and suffix == ".h5ad":
        raise InputError("--wide", "AnnData to write", "a table, .tsv or .parquet")
    files = _files(options)
    _check_files(options, files)
    return predict(options, files)
