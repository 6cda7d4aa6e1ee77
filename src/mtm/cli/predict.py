"""``mtm predict``: tissues of new people."""

import argparse
import os
from pathlib import Path
from typing import get_args

from mtm.cli.say import duration, progress, say
from mtm.errors import InputError, shown
from mtm.settings.transfer import MIN_OVERLAP
from mtm.vocabulary import (
    COVARIATES,
    NEW_ALIGNMENTS,
    OUTPUT_SCALES,
    OUTPUT_SUFFIXES,
    RELIABILITY,
    Units,
)

DEFAULT_ALIGNMENT = "shift"
MOST_NAMED = 10


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
        help="units of the expression: TPM or log2(1+TPM) (default: TPM, refused where the "
        "values cannot be TPM)",
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
        help="tissue to predict; repeat for several (default: all others of the model)",
    )
    group.add_argument(
        "--out",
        required=True,
        type=Path,
        help=f"file to write, by its name {', '.join(OUTPUT_SUFFIXES)}: a row a person, target "
        "and gene; AnnData: a row a person and target, X in TPM",
    )
    group.add_argument(
        "--wide", action="store_true", help="write genes as rows, people as columns"
    )
    group.add_argument(
        "--scale",
        choices=OUTPUT_SCALES,
        help="with --wide: TPM, log2(1+TPM), or z-scores within the target tissue on the model's "
        "own scale (default: tpm)",
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
        "--force", action="store_true", help="replace the files to write where they are"
    )


def _fraction(text: str) -> float:
    """Argument in [0, 1]."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _reliability(text: str) -> str:
    """Class of reliability, or a correlation."""
    if text not in RELIABILITY:
        _fraction(text)
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
    ]
    if options.genes is not None and Path(options.genes).is_file():
        inputs.append(("--genes", Path(options.genes), "names of genes, one a line"))
    given = [(option, path) for option, path, _ in inputs if path is not None]
    for _, path, expected in inputs:
        if path is not None:
            require_file(path, expected)
    for option, out in _outputs(options).items():
        for of, path in given:
            if out.exists() and os.path.samefile(out, path):
                raise InputError(f"{option} {out}", f"the file of {of}", "a file of its own")
        if out.is_dir():
            raise InputError(f"{option} {out}", "a folder", "a file")
        if os.path.lexists(out) and not options.force:
            hint = "Name another file, or add --force to replace it."
            raise InputError(f"{option} {out}", "a file that is there already", "a new file", hint)
        given.append((option, out))


def _outputs(options: argparse.Namespace) -> dict[str, Path]:
    """Files to write, by option."""
    outputs = {"--out": options.out, "--report": options.report}
    resolved = [path.resolve() for path in outputs.values() if path is not None]
    if len(set(resolved)) < len(resolved):
        raise InputError("--report", "the file of --out", "a file of its own")
    return {option: path for option, path in outputs.items() if path is not None}


def _files(options: argparse.Namespace) -> list[tuple[Path, str | None]]:
    """Return expression files, each with the tissue of its samples where the options say it."""
    if options.expression is not None:
        if len(options.source) > 1:
            found = f"{len(options.source)} tissues of one file"
            hint = "Give --source TISSUE=FILE for each in place of --expression, or --samples."
            raise InputError("--source", found, "one", hint)
        if not options.source and not options.samples and options.expression.suffix != ".h5ad":
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


def run(options: argparse.Namespace) -> None:
    """Run ``mtm predict``."""
    from mtm.models.registry import load
    from mtm.page.person import demand_few
    from mtm.predictions.alignment import align_to_training
    from mtm.predictions.answer_files import output_suffix, provenance
    from mtm.predictions.answers import ask, targets_for
    from mtm.predictions.samples import fill_missing

    suffix = output_suffix(options.out)
    if options.scale and not options.wide:
        raise InputError("--scale", options.scale, "--wide beside it; other files have all scales")
    if options.wide and suffix == ".h5ad":
        raise InputError("--wide", "AnnData to write", "a table, .tsv or .parquet")
    files = _files(options)
    _check_files(options, files)
    model = load(options.bundle)
    choice = _choose_genes(options, model)
    samples = _read(options, model, files)
    targets = targets_for(model, samples, options.target)
    samples, moved = align_to_training(model, samples, options.align)
    for done in moved:
        if options.align != "none":
            say(str(done))
    filled = fill_missing(model, samples)
    _say_missing(model, samples, filled)
    if options.report is not None:
        demand_few(samples.table["donor"].nunique())
    answers, silent = ask(model, samples, targets, choice)
    _say_unused(model, samples, silent)
    said = provenance(
        model, options.bundle, moved, inputs=[path.name for path, _ in files],
        genes_set_to_training_mean=filled,
    )  # fmt: skip
    try:
        _write(options, answers, said, samples)
        if options.report is not None:
            _report(options.report, answers, said, moved)
    except InputError as error:
        raise _of_traits(error, options.traits or options.samples) from error


def _choose_genes(options: argparse.Namespace, model):
    """Return the genes that are told; say which names are ambiguous or unknown."""
    from mtm.predictions.gene_overlap import GeneChoice, find_genes, gene_names

    choice = GeneChoice.every(len(model.genes))
    if options.genes is not None:
        named = find_genes(model.genes, gene_names(options.genes))
        for name, ids in named.ambiguous.items():
            say(f"--genes: {shown(name)} is the name of {len(ids)} genes: {', '.join(ids)}")
        if named.unknown:
            more = ", ..." * (len(named.unknown) > MOST_NAMED)
            names = ", ".join(map(shown, named.unknown[:MOST_NAMED]))
            say(f"--genes: {len(named.unknown)} unknown to the model: {names}{more}")
        choice = GeneChoice(named.columns)
    if options.min_reliability is not None:
        choice = choice.least(model.certificate, options.min_reliability)
    return choice


def _read(options: argparse.Namespace, model, files: list[tuple[Path, str | None]]):
    """Read the samples and say what they are."""
    from mtm.predictions.samples import counted, read_samples, with_traits

    traits = _read_traits(options.traits)
    table = _read_traits(options.samples)
    if table is not None:
        table = table.reset_index()
    samples = read_samples(
        model, files, table, options.units, options.min_overlap, options.samples or "--samples"
    )
    samples = with_traits(samples, traits, options.traits)
    units = "log2(1+TPM)" if options.units == "log2" else "TPM"
    said = set()
    for source in samples.sources:
        say(f"{source.where}: {len(source.rows)} samples of {source.tissue}, read as {units}")
        if source.where not in said:
            say(str(source.overlap))
        said.add(source.where)
    if table is not None and len(table) > len(samples.table):
        absent = len(table) - len(samples.table)
        say(f"{options.samples}: {absent} samples are in no file of expression, and left out")
    if len(counted(samples)) > 1:
        say(f"{samples.table['donor'].nunique()} people with {len(samples.table)} samples")
    return samples


def _say_missing(model, samples, filled: int) -> None:
    """Say what becomes of genes that files lack."""
    for source in samples.sources:
        lacks = source.overlap.n_model - source.overlap.n_found
        if lacks and filled:
            say(
                f"{lacks} genes that the data lack are set to the training mean of {source.tissue}"
            )
        elif lacks:
            say(f"{lacks} genes that the data of {source.tissue} lack are left out, not made up")


def _say_unused(model, samples, silent: list[str]) -> None:
    """Say whose samples are not used, and who is told nothing."""
    source = model.provenance.source
    others = samples.table["tissue"] != source
    if not model.several_sources and others.any():
        say(
            f"model {model.name} predicts from {source} alone: {int(others.sum())} samples of "
            "other tissues are not used"
        )
    if silent:
        more = ", ..." * (len(silent) > MOST_NAMED)
        names = ", ".join(silent[:MOST_NAMED])
        say(f"{len(silent)} people have no sample to predict from: {names}{more}")


def _write(options: argparse.Namespace, answers, said: dict, samples) -> None:
    """Write what was asked for, and say what it is."""
    import time

    from mtm.predictions.answer_files import write_answers
    from mtm.predictions.answers import trust

    start, n_rows = time.monotonic(), len(answers.rows)
    wide = (options.scale or "tpm") if options.wide else None
    write_answers(
        options.out, answers, said, wide=wide, progress=progress(n_rows, "people x tissues")
    )
    seconds = time.monotonic() - start
    people, used = answers.rows["donor"].nunique(), answers.inputs.n_samples
    who = f"{people} samples" if people == used else f"{people} people with {used} samples"
    rate = f", {n_rows / seconds:,.0f} a second" if seconds > 5 else ""
    say(
        f"{options.out}: {who} x {len(answers.targets)} tissues, {len(answers.genes)} genes, in "
        f"{duration(seconds).removeprefix('about ')}{rate}"
    )
    say(trust(answers))


def _report(path: Path, answers, said: dict, moved) -> None:
    """Write the page about a few people."""
    from mtm.io import atomic_path
    from mtm.page.person import build_person_page

    with atomic_path(path) as temporary:
        page = build_person_page(answers, said, [f"{done}." for done in moved])
        temporary.write_text(page, encoding="utf-8")
    say(f"{path}: {answers.rows['donor'].nunique()} people")


def _read_traits(path: Path | None):
    """Read covariates of new samples, which must be what people can have."""
    if path is None:
        return None
    from mtm.cohort.fields import check_traits
    from mtm.io import read_tsv

    table = read_tsv(path, ["sample_id"], dtype={"sample_id": str, "donor": str, "tissue": str})
    for name in ("sample_id", "donor", "tissue"):
        if name in table and table[name].isna().any():
            row = int(table[name].isna().to_numpy().argmax()) + 1
            raise InputError(f"{path}, row {row}", f"no {name}", "one in every row")
    return check_traits(table.set_index("sample_id"), path)


def _of_traits(error: InputError, traits: Path | None) -> InputError:
    """Return an error about covariates as one of the table of traits, others as they are."""
    if error.where == COVARIATES:
        hint = (
            "Give a table with a row a sample and these columns as --traits; fields may be empty."
        )
        return InputError(traits or "--traits", error.found, error.expected, hint)
    return error.within(traits) if traits and error.where.startswith("covariate ") else error
