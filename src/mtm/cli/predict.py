"""``mtm predict``: tissues of new people."""

import argparse
import os
from pathlib import Path
from typing import get_args

from mtm.cli.output import add_out, demand_free
from mtm.cli.say import say
from mtm.errors import InputError
from mtm.settings.transfer import MIN_OVERLAP
from mtm.vocabulary import COVARIATES, OUTPUT_SCALES, OUTPUT_SUFFIXES, Units


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    predict = commands.add_parser(
        "predict",
        help="predict tissues of new people",
        description="Predict tissues from one sample a person of the source tissue.",
    )
    predict.add_argument("--bundle", required=True, type=Path, help="model (.safetensors)")
    predict.add_argument(
        "--expression",
        required=True,
        type=Path,
        help="TPM of all genes: .tsv, .gct (genes as rows, samples as columns; .gz too) or .h5ad "
        "(samples as rows); Ensembl gene ids, versions may differ",
    )
    predict.add_argument(
        "--source", required=True, metavar="TISSUE", help='tissue of the samples, "Whole Blood"'
    )
    predict.add_argument(
        "--target",
        action="append",
        metavar="TISSUE",
        help="tissue to predict; repeat for several (default: all others of the model)",
    )
    meaning = f"file to write, by its name {', '.join(OUTPUT_SUFFIXES)}: a row a sample and target"
    add_out(predict, meaning, required=True)
    predict.add_argument(
        "--scale",
        choices=OUTPUT_SCALES,
        default="z",
        help="z-scores within the target tissue on the model's own scale, log2(1+TPM) or TPM "
        "(default: %(default)s)",
    )
    predict.add_argument(
        "--units",
        choices=get_args(Units),
        help="units of the expression: TPM or log2(1+TPM) (default: TPM, refused where the "
        "values cannot be TPM)",
    )
    predict.add_argument(
        "--min-overlap",
        type=_fraction,
        default=MIN_OVERLAP,
        metavar="FRACTION",
        help="smallest share of the model's genes that the expression must have "
        "(default: %(default)s)",
    )
    _add_checks(predict)
    predict.set_defaults(run=run)


def _add_checks(predict: argparse.ArgumentParser) -> None:
    """Add what is known of people, and what is done about those unlike the training donors."""
    predict.add_argument(
        "--traits",
        type=Path,
        help="covariates for models that use them: .tsv with columns sample_id, sex, age, ...",
    )
    predict.add_argument(
        "--donors-key",
        type=Path,
        metavar="FILE",
        help="key of the results that the bundle is of (donors.key): samples of its training "
        "donors are named",
    )
    predict.add_argument(
        "--qc", type=Path, metavar="FILE", help="file to write the checks of all samples to (.tsv)"
    )
    predict.add_argument(
        "--strict",
        action="store_true",
        help="predict nothing (exit code 2) if a sample is not like the training donors'",
    )


def _fraction(text: str) -> float:
    """Argument in [0, 1]."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _check_files(options: argparse.Namespace) -> None:
    """Refuse inputs that cannot be read, and an output that would replace anything unasked."""
    from mtm.io import require_file

    inputs = {
        "--bundle": (options.bundle, "a model bundle (.safetensors)"),
        "--expression": (options.expression, "a file of expression"),
        "--traits": (options.traits, "a tab-separated table"),
        "--donors-key": (options.donors_key, "the key of training donors (donors.key)"),
    }
    outputs = {"--out": options.out, "--qc": options.qc}
    given = {option: pair for option, pair in inputs.items() if pair[0] is not None}
    for path, expected in given.values():
        require_file(path, expected)
    outputs = {name: out for name, out in outputs.items() if out is not None}
    for name, out in outputs.items():
        for option, (path, _) in given.items():
            if out.exists() and os.path.samefile(out, path):
                raise InputError(f"{name} {out}", f"the file of {option}", "a file of its own")
        demand_free(out, options.force, name)
    if options.qc is not None and options.qc.resolve() == options.out.resolve():
        raise InputError(f"--qc {options.qc}", "the file of --out", "a file of its own")


def run(options: argparse.Namespace) -> int:
    """Run ``mtm predict``; return 2 where ``--strict`` keeps it from predicting."""
    from mtm.cohort.scaling import UNITS
    from mtm.cohort.units import to_tpm
    from mtm.models.donors import DonorsKey
    from mtm.models.registry import load
    from mtm.predictions import new_people
    from mtm.predictions.files import output_suffix, write_new_predictions

    output_suffix(options.out)
    _check_files(options)
    key = None if options.donors_key is None else DonorsKey.read(options.donors_key)
    model = load(options.bundle, key)
    targets = _tissues(options, model)
    _say_of_fold(model.provenance.fold)
    traits = None if options.traits is None else _read_traits(options.traits)
    sample_ids, gene_ids, values = new_people.read_new_expression(options.expression)
    expr_tpm = to_tpm(values, options.units, options.expression, sample_ids)
    say(
        f"{options.expression}: {len(sample_ids)} samples of {options.source}, read as "
        f"{'log2(1+TPM)' if options.units == 'log2' else 'TPM'}"
    )
    aligned, overlap = new_people.align_expression(
        model, expr_tpm, gene_ids, options.source, options.min_overlap, options.expression
    )
    say(str(overlap))
    if overlap.n_found < overlap.n_model:
        say(
            f"{overlap.n_model - overlap.n_found} genes that the data lack are set to the "
            f"training mean of {options.source}"
        )
    inputs = new_people.new_inputs(
        model, aligned, sample_ids, options.source, traits, options.expression, options.traits
    )
    warned = _check_samples(options, model, inputs, gene_ids)
    if warned and options.strict:
        say(f"{warned} of {len(sample_ids)} samples with a warning: nothing predicted (--strict)")
        return 2
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
    say(f"{options.out}: {len(sample_ids)} samples x {len(targets)} tissues, {units}")
    say(new_people.trust(model, options.source))
    return 0


def _tissues(options: argparse.Namespace, model) -> list[str]:
    """Put the model's own name of the source into the options; return those of the targets."""
    from mtm.cohort.tissue_names import named_tissue
    from mtm.predictions import new_people

    options.source = named_tissue(options.source, model.tissues)
    new_people.check_source(model, options.source)
    asked = [named_tissue(name, model.tissues) for name in options.target or ()]
    targets = list(dict.fromkeys(asked or new_people.targets_of(model, options.source)))
    for name in targets:
        new_people.tissue_of(model, name)
    if not targets:
        found = f"no tissue but {options.source}"
        raise InputError(options.bundle, found, "a model of several tissues")
    return targets


def _say_of_fold(fold: str) -> None:
    """Warn of a bundle that some donors were left out of."""
    if fold not in ("", "all"):
        say(
            f"warning: the bundle is of fold {fold}, fitted without that fold's donors to measure "
            "accuracy; give new people one of all donors (all.safetensors)"
        )


def _check_samples(options: argparse.Namespace, model, inputs, gene_ids: list[str]) -> int:
    """Say of each sample whether it is like the training donors'; return how many are not."""
    from mtm.io import write_tsv
    from mtm.predictions.checks import WARNED, check_samples, in_words
    from mtm.predictions.gene_overlap import match_genes

    found = match_genes(model.genes, gene_ids, options.min_overlap)[0] >= 0
    sample_ids, sex = list(inputs.samples.index), inputs.samples.get("sex")
    table = check_samples(model, inputs.expr_tpm, sample_ids, options.source, found, sex)
    if not model.provenance.training_donors.known:
        if options.donors_key is not None:
            expected = "the key that the bundle's digests of donors were made with"
            raise InputError(options.donors_key, "another key, or none was used", expected)
        say("whether a sample is a training donor's cannot be told without --donors-key")
    for line in in_words(table):
        say(line)
    if options.qc is not None:
        numbers = table.select_dtypes("number").columns
        table[numbers] = table[numbers].map("{:.6g}".format)
        write_tsv(table, options.qc)
    return int((table["status"] == WARNED).sum())


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
