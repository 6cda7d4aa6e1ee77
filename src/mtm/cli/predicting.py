"""What ``mtm predict`` does once its options are sound, and what it says meanwhile."""

import argparse
import time
from pathlib import Path

import pandas as pd

from mtm.cli.say import say
from mtm.cohort.delimited import text_table
from mtm.cohort.fields import check_traits
from mtm.cohort.scaling import OWN_VALUES_TEXT
from mtm.errors import InputError, numbered, shown
from mtm.io import replaced_together, write_tsv
from mtm.models.base import Predictor
from mtm.models.donors import DonorsKey
from mtm.models.registry import load
from mtm.predictions.alignment import Moved, align_to_training
from mtm.predictions.answer_files import provenance, write_answers
from mtm.predictions.answers import ALL, Answers, ask, targets_for, trust
from mtm.predictions.checks import WARNED, in_words
from mtm.predictions.gene_overlap import GeneChoice, find_genes, gene_names
from mtm.predictions.new_people import check_scale, tissue_called
from mtm.predictions.sample_tables import (
    SAMPLE_COLUMNS,
    absent_covariates,
    absent_in_words,
    check_table_columns,
    first_names,
    unused_columns,
    with_numbers,
)
from mtm.predictions.samples import (
    NewSamples,
    checks_of,
    counted,
    fill_missing,
    read_samples,
    with_traits,
)
from mtm.progress import Pace, duration
from mtm.vocabulary import COVARIATES

MOST_NAMED = 10
SAID_SECONDS = 10.0


def predict(options: argparse.Namespace, files: list[tuple[Path, str | None]]) -> int:
    """Predict and write; return the exit code.

    Parameters
    ----------
    options
        Of the command.
    files
        Expression files, each with the tissue of its samples; None where a table says it.
    """
    key = None if options.donors_key is None else DonorsKey.read(options.donors_key)
    model = load(options.bundle, key)
    _say_of_donors(model, options.donors_key)
    for name in options.target or ():
        # Files may take long to read.
        if name != ALL:
            tissue_called(model, name)
    choice = _choose_genes(options, model)
    _say_of_fold(model.provenance.fold)
    samples = _read(options, model, files)
    targets = targets_for(model, samples, options.target)
    answers, silent = ask(model, samples, targets, choice)
    if options.report is not None:
        _demand_few(answers)
    checks = checks_of(model, samples)
    for line in in_words(checks):
        say(line)
    warned = int((checks["status"] == WARNED).sum())
    if warned and options.strict:
        if options.qc is not None:
            _write_checks(checks, options.qc)
        of_all = f"{warned} of {numbered(len(checks), 'sample')}"
        say(f"{of_all} with a warning: nothing predicted (--strict)")
        return 2
    moved = align_to_training(model, samples, options.align)
    for done in moved if options.align != "none" else ():
        say(str(done))
    filled = fill_missing(model, samples)
    _say_missing(model, samples, filled)
    _say_unused(model, samples, silent)
    _say_unreliable(answers, options.min_reliability)
    said = provenance(
        model, options.bundle, moved, inputs=[path.name for path, _ in files],
        genes_set_to_training_mean=filled, samples_with_a_warning=warned,
        covariates_missing=absent_covariates(model, samples.table),
    )  # fmt: skip
    try:
        _write(options, answers, said, moved, checks)
    except InputError as error:
        raise _of_traits(error, options.traits or options.samples) from error
    return 0


def _write_checks(checks: pd.DataFrame, path: Path) -> None:
    """Write the checks of all samples."""
    numbers = checks.select_dtypes("number").columns
    write_tsv(checks.assign(**checks[numbers].map("{:.6g}".format)), path)


def _say_of_donors(model: Predictor, key: Path | None) -> None:
    """Say that training donors cannot be told from others, if so."""
    if model.provenance.training_donors.known:
        return
    if key is not None:
        expected = "the key that the bundle's digests of donors were made with"
        raise InputError(key, "another key, or none was used", expected)
    say("whether a sample is a training donor's cannot be told without --donors-key")


def _say_of_fold(fold: str) -> None:
    """Warn of a bundle that some donors were left out of."""
    if fold not in ("", "all"):
        say(
            f"warning: the bundle is of fold {fold}, fitted without that fold's donors to measure "
            "accuracy; give new people one of all donors (all.safetensors)"
        )


def _choose_genes(options: argparse.Namespace, model: Predictor) -> GeneChoice:
    """Return the genes that are told; say which names are ambiguous or unknown."""
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


def _read(
    options: argparse.Namespace, model: Predictor, files: list[tuple[Path, str | None]]
) -> NewSamples:
    """Read the samples and say what they are."""
    traits = _read_traits(options.traits, model)
    table = _read_traits(options.samples, model)
    if table is not None:
        table = table.reset_index()
    samples = read_samples(
        model, files, table, options.units, options.min_overlap, options.samples or "--samples"
    )
    samples = with_traits(samples, traits, options.traits)
    units = {"log2": "log2(1+TPM)", "rpkm": "RPKM"}.get(options.units, "TPM")
    if model.measure == "own":
        units = OWN_VALUES_TEXT
    said = set()
    for source in samples.sources:
        of = f"{numbered(len(source.rows), 'sample')} of {source.tissue}"
        say(f"{source.where}: {of}, read as {units}")
        if source.where not in said:
            say(str(source.overlap))
        said.add(source.where)
    if table is not None:
        _say_left_out(samples, table, options.samples)
    for path, given in ((options.traits, traits), (options.samples, table)):
        if given is not None and (unused := unused_columns(model, given)):
            of = numbered(len(unused), "column")
            say(f"{path}: {of} not used: {first_names(unused, MOST_NAMED)}")
    if absent := absent_covariates(model, samples.table):
        say(f"warning: {absent_in_words(absent)}")
    if len(counted(samples)) > 1:
        people = numbered(samples.table["donor"].nunique(), "person", "people")
        say(f"{people} with {numbered(len(samples.table), 'sample')}")
    return samples


def _say_left_out(samples: NewSamples, table: pd.DataFrame, path: Path) -> None:
    """Say which samples are in the table of samples alone, and which are not in it."""
    known = set(samples.table["sample_id"])
    absent = [name for name in table["sample_id"] if name not in known]
    for names, of, where in (
        (absent, "", "in no file of expression"), (samples.left_out, " of the files", "not in it"),
    ):  # fmt: skip
        if names:
            are = "is" if len(names) == 1 else "are"
            left_out = f"{numbered(len(names), 'sample')}{of} {are} {where}, and left out"
            say(f"{path}: {left_out}: {first_names(names, MOST_NAMED)}")


def _say_missing(model: Predictor, samples: NewSamples, filled: int) -> None:
    """Say what becomes of genes that files lack."""
    told = f", {' and '.join(model.completed)} told the training mean" * bool(model.completed)
    for source in samples.sources:
        lacks = source.overlap.n_model - source.overlap.n_found
        are = "is" if lacks == 1 else "are"
        if lacks and filled:
            of = f"{numbered(lacks, 'gene')} that the data lack"
            say(f"{of} {are} set to the training mean of {source.tissue}")
        elif lacks:
            of = f"{numbered(lacks, 'gene')} that the data of {source.tissue} lack"
            say(f"{of} {are} left out, not made up{told}")


def _say_unused(model: Predictor, samples: NewSamples, silent: list[str]) -> None:
    """Say whose samples are not used, and who is told nothing."""
    source = model.provenance.source
    others = samples.table["tissue"] != source
    if not model.several_sources and (n_others := int(others.sum())):
        say(
            f"model {model.name} predicts from {source} alone: {numbered(n_others, 'sample')} of "
            f"other tissues {'is' if n_others == 1 else 'are'} not used"
        )
    given = set(samples.table["tissue"])
    for tissue in filter(given.__contains__, model.used_alone):
        say(f"samples of {tissue} tell hardly anything: used only for people without another")
    if silent:
        more = ", ..." * (len(silent) > MOST_NAMED)
        names = ", ".join(silent[:MOST_NAMED])
        have = "person has" if len(silent) == 1 else "people have"
        say(f"{len(silent)} {have} no sample to predict from: {names}{more}")


def _say_unreliable(answers: Answers, least: str | None) -> None:
    """Say which tissues and people have no gene that is reliable enough."""
    if least is None:
        return
    rows = answers.rows.assign(n=answers.n_told)
    most = rows[answers.certified].groupby("target", sort=False)["n"].max()
    for target in most.index[most == 0]:
        say(f"--min-reliability: no gene of {target} is expected to reach {least}")
    most = rows.groupby("donor", sort=False)["n"].max()
    if without := list(most.index[most == 0]):
        have = "person has" if len(without) == 1 else "people have"
        spoken = ", ".join(answers.model.certificate.sources)
        say(
            f"--min-reliability: {len(without)} {have} no row, as reliability is known of "
            f"predictions from {spoken}: {first_names(without, MOST_NAMED)}"
        )


def _write(
    options: argparse.Namespace,
    answers: Answers,
    said: dict,
    moved: tuple[Moved, ...],
    checks: pd.DataFrame,
) -> None:
    """Write what was asked for, all of it or nothing, and say what it is."""
    start, n_rows = time.monotonic(), len(answers.rows)
    default = "tpm" if answers.in_tpm else "own"
    wide = (options.scale or default) if options.wide else None
    if wide is not None:
        check_scale(answers.model, wide)
    wanted = [options.out, options.report, options.qc]
    with replaced_together([path for path in wanted if path is not None]) as temporary:
        out, *others = temporary
        if options.report is not None:
            page = _page(answers, said, moved, checks)
            others.pop(0).write_text(page, encoding="utf-8")
        if options.qc is not None:
            _write_checks(checks, others.pop(0))
        told = Pace(n_rows, "people x tissues", say, SAID_SECONDS)
        write_answers(out, answers, said, wide=wide, progress=told)
    seconds = time.monotonic() - start
    people, used = answers.rows["donor"].nunique(), answers.inputs.n_samples
    who = numbered(used, "sample")
    if people != used:
        who = f"{numbered(people, 'person', 'people')} with {who}"
    rate = f", {n_rows / seconds:,.0f} a second" if seconds > 5 else ""
    say(
        f"{options.out}: {who} x {numbered(len(answers.targets), 'tissue')}, "
        f"{_n_genes(answers)}, in "
        f"{duration(seconds).removeprefix('about ')}{rate}"
    )
    say(trust(answers))
    if options.report is not None:
        say(f"{options.report}: a page about {numbered(people, 'person', 'people')}")


def _n_genes(answers: Answers) -> str:
    """Say how many genes are told, in a tissue where they differ."""
    counts = answers.n_told[answers.n_told > 0]
    if counts.min() < counts.max():
        return f"{counts.min()} to {counts.max()} genes a tissue"
    return numbered(int(counts.max()), "gene")


def _demand_few(answers: Answers) -> None:
    """Refuse a page about a crowd before anything is computed."""
    from mtm.page.person import demand_few

    demand_few(answers.rows["donor"].nunique())


def _page(answers: Answers, said: dict, moved: tuple[Moved, ...], checks: pd.DataFrame) -> str:
    """Make the page about a few people."""
    from mtm.page.person import build_person_page

    return build_person_page(answers, said, [f"{done}." for done in moved], checks)


def _read_traits(path: Path | None, model: Predictor) -> pd.DataFrame | None:
    """Read covariates of new samples, which must be what people can have."""
    if path is None:
        return None
    table = text_table(path, ["sample_id"], "Name the column of samples so.")
    check_table_columns(model, table, path)
    for name in SAMPLE_COLUMNS:
        if name in table and table[name].isna().any():
            row = int(table[name].isna().to_numpy().argmax()) + 1
            raise InputError(f"{path}, row {row}", f"no {name}", "one in every row")
    table = with_numbers(table, table.columns.difference(SAMPLE_COLUMNS))
    return check_traits(table.set_index("sample_id"), path)


def _of_traits(error: InputError, traits: Path | None) -> InputError:
    """Return an error about covariates as one of the table of traits, others as they are."""
    if error.where == COVARIATES:
        hint = (
            "Give a table with a row a sample and these columns as --traits; fields may be empty."
        )
        return InputError(traits or "--traits", error.found, error.expected, hint)
    return error.within(traits) if traits and error.where.startswith("covariate ") else error
