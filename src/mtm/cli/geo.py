"""``mtm geo``: what differs in tissues nobody sampled, from a GEO accession."""

import argparse
from pathlib import Path

from mtm.cli.predict import DEFAULT_ALIGNMENT
from mtm.cli.say import say
from mtm.errors import InputError, numbered, shown
from mtm.vocabulary import NEW_ALIGNMENTS

PRESETS = ("config.yaml", "geo.yaml")
# Fewer people in a group are not compared unless asked for.
LEAST = 3
# Undoes what a configuration says.
NULL = "null"
# Digits of a number of people.
LONGEST_NUMBER = 9


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    geo = commands.add_parser(
        "geo",
        help="compare cases and controls of a GEO series in predicted tissues",
        description="Fetch a series of human blood RNA-seq, predict every tissue of its people, "
        "and compare cases with controls. docs/geo.md has an example.",
    )
    geo.add_argument("accession", help="of the series, GSE184050")
    geo.add_argument("--bundle", type=Path, help="model (.safetensors)")
    geo.add_argument("--out", required=True, type=Path, help="folder for files and results")
    geo.add_argument(
        "--files", type=Path, help="folder of the series' files (default: files below --out)"
    )
    geo.add_argument("--source", metavar="TISSUE", help="tissue of the samples (the bundle's)")
    geo.add_argument("--platform", metavar="GPL", help="of a series of several platforms")
    geo.add_argument("--group", metavar="FIELD", help="field that tells cases from controls")
    for name in ("case", "control"):
        geo.add_argument(
            f"--{name}", action="append", metavar="VALUE", help=f"its value in {name}s; repeat"
        )
    for name, words in (("keep", "samples compared"), ("follow-up", "later samples of them")):
        geo.add_argument(
            f"--{name}",
            action="append",
            type=_pair,
            metavar="FIELD=VALUE",
            help=f"{words}; FIELD=null undoes a field of the configuration, null all; repeat",
        )
    for name in ("donor", "sex", "age"):
        geo.add_argument(f"--{name}", metavar="FIELD", help=f"field of the {name}, or null")
    geo.add_argument(
        "--align",
        choices=NEW_ALIGNMENTS,
        default=DEFAULT_ALIGNMENT,
        help="bring the samples to the training samples, as of mtm predict (default: %(default)s)",
    )
    geo.add_argument("--config", type=Path, help="configuration whose `external` has the series")
    geo.add_argument(
        "--min-per-group", type=_at_least_two, default=LEAST, metavar="N",
        help="least people in a group (default: %(default)s)",
    )  # fmt: skip
    geo.add_argument("--permutations", type=int, default=1000, metavar="N")
    geo.add_argument("--force", action="store_true", help="replace results that are there")
    geo.set_defaults(run=run)


def _pair(text: str) -> tuple[str, str]:
    """Argument FIELD=VALUE; null has no field."""
    if text.strip() == NULL:
        return "", NULL
    field, sign, value = text.partition("=")
    if not (field.strip() and sign and value.strip()):
        raise argparse.ArgumentTypeError(f"{text} is no FIELD=VALUE")
    return field.strip(), value.strip()


def _at_least_two(text: str) -> int:
    """Argument of people, 2 or more."""
    if not text.isdecimal() or len(text) > LONGEST_NUMBER or int(text) < 2:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of 2 or more")
    return int(text)


def _said_by(key: str) -> str:
    """Name the option that says a key, or where else it is said."""
    if key == "units":
        return "units in the series' entry of --config"
    return "--" + key.split(".")[-1].replace("group.field", "group").replace("_", "-").replace(
        "field", "group"
    )


def _sections(values: object, where: str) -> dict[str, dict]:
    """Return cohorts from elsewhere as a configuration has them, by name."""
    sections = {} if values is None else values
    if not isinstance(sections, dict):
        raise InputError(where, shown(values), "cohorts by name, or null")
    for name, section in sections.items():
        if not isinstance(section, dict):
            raise InputError(f"{where}.{name}", shown(section), "keys of a cohort, such as geo")
    return sections


def _with_fields(given: dict, pairs: list[tuple[str, str]]) -> dict:
    """Fields and values with others in the place of those that are named."""
    from mtm.cohort.geo.series import field_name

    named = {field_name(field) for field, _ in pairs}
    fields = {k: v for k, v in given.items() if field_name(str(k)) not in named}
    # Of no field it undoes all.
    fields = {} if ("", NULL) in pairs else fields
    chosen: dict[str, list[str]] = {}
    for field, value in pairs:
        if value != NULL:
            chosen.setdefault(field, []).append(value)
    return fields | chosen


def _settings(options: argparse.Namespace):
    """Join what a configuration says of the series with the options; the first goes before."""
    from mtm.registered import SOURCE_ROOT
    from mtm.settings.external import External
    from mtm.settings.yaml_file import read_values

    folder = SOURCE_ROOT.parent / "config"
    given = {}
    presets = [path for path in (folder / name for name in PRESETS) if path.exists()]
    for path in [options.config] if options.config else presets:
        known = _sections(read_values(path).get("external"), f"{path}, config key external")
        of_series = (
            (name, one) for name, one in known.items() if one.get("geo") == options.accession
        )
        for name, one in of_series:
            given = given or one
            for key, keys in (("group", "field, case and control"), ("keep", "that are fields"),
                              ("follow_up", "that are fields")):  # fmt: skip
                if not isinstance(one.get(key) or {}, dict):
                    where = f"{path}, config key external.{name}.{key}"
                    raise InputError(where, shown(one[key]), f"keys {keys}")
    group = dict(given.get("group") or {})
    group |= {"field": options.group} if options.group else {}
    for name in ("case", "control"):
        group |= {name: getattr(options, name)} if getattr(options, name) else {}
    values = {**given, "geo": options.accession, "group": group}
    for name in ("keep", "follow_up"):
        if pairs := getattr(options, name):
            values[name] = _with_fields(given.get(name) or {}, pairs)
    for name in ("platform", "source", "donor", "sex", "age"):
        if chosen := getattr(options, name):
            values[name] = None if chosen == NULL else chosen
    settings = External.of(values)
    for problem in settings.problems():
        raise InputError(_said_by(problem.where), problem.found, problem.expected)
    return settings, bool(group)


def run(options: argparse.Namespace) -> None:
    """Run ``mtm geo``."""
    from mtm.analyses.transfer.people import fields_of
    from mtm.cohort.geo.series import ACCESSION, read_series_matrix
    from mtm.io import require_file
    from mtm.pipeline.geo import fetch_series

    if not ACCESSION.fullmatch(options.accession):
        raise InputError(
            "accession", repr(options.accession), "a series of GEO, such as GSE184050"
        )
    settings, grouped = _settings(options)
    if options.bundle is not None:
        require_file(options.bundle, "a model bundle (.safetensors)")
    if options.out.exists() and not options.out.is_dir():
        raise InputError(f"--out {options.out}", "a file", "a folder for files and results")
    if (options.out / "index.html").exists() and not options.force:
        found = "results that are there already"
        raise InputError(f"--out {options.out}", found, "a new folder", "Or add --force.")
    if options.files is not None and not options.files.is_dir():
        found = "a file" if options.files.exists() else "no such folder"
        hint = "Leave --files out to have the series fetched."
        raise InputError(
            f"--files {options.files}", found, "the folder of the series' files", hint
        )
    folder = options.files or options.out / "files"
    if not grouped or options.bundle is None:
        path, *_ = fetch_series(settings.geo, settings.platform, folder, matrix_alone=True)
        table = fields_of(read_series_matrix(path).samples)
        for row in table.itertuples():
            say(f"{row.field} ({numbered(row.n, 'sample')}): {row.values}")
        if options.bundle is None:
            expected = "--bundle" if grouped else "--group FIELD --case VALUE --control VALUE"
            raise InputError(options.accession, "the fields above", expected)
    (_compare if grouped else _write_all)(_Read(options, settings, folder, grouped), options)


class _Read:
    """A series' people, their samples on a model's genes, and what there is to say of both."""

    def __init__(self, options: argparse.Namespace, settings, folder: Path, grouped: bool):
        from mtm.analyses.transfer.people import DOUBTS
        from mtm.analyses.transfer.predicting import of_model_genes
        from mtm.analyses.transfer.reading import Files, read_people
        from mtm.cohort.gene_names import gene_names
        from mtm.models.registry import load
        from mtm.pipeline.geo import fetch_series
        from mtm.predictions.checks import in_words
        from mtm.predictions.new_people import check_source
        from mtm.predictions.samples import checks_of
        from mtm.settings.external import EVERYBODY
        from mtm.settings.transfer import MIN_OVERLAP

        self.model = model = load(options.bundle)
        if model.measure != "tpm":
            found = "a model of values on a scale of their own"
            raise InputError(options.bundle, found, "one of TPM")
        self.settings = settings if grouped else settings.with_(group=EVERYBODY)
        say(f"samples and people are chosen by: {self.settings.in_words}")
        self.source = settings.source or model.provenance.source
        check_source(model, self.source)
        self.matrix, tpm, counts, hgnc, ncbi = fetch_series(
            settings.geo, settings.platform, folder
        )
        self.reading = read_people(
            self.settings, Files(tpm, self.matrix, counts), model.genes, gene_names(hgnc, ncbi),
            min_per_group=options.min_per_group if grouped else 0, said_by=_said_by,
        )  # fmt: skip
        for row in self.reading.report.itertuples():
            warning = "warning: " * (row.step in DOUBTS)
            say(f"{warning}{row.step}: {row.n}" + (f" ({row.detail})" if row.detail else ""))
        self.people = self.reading.cohort(tpm)
        self.checks = checks_of(
            model, of_model_genes(model, self.people, self.source, MIN_OVERLAP)
        )
        for line in in_words(self.checks):
            say(line)

    def write(self, out: Path) -> None:
        """Write expression, samples, what was read, and checks."""
        from mtm.io import write_tsv

        out.mkdir(parents=True, exist_ok=True)
        names = ("expression.h5ad", "samples.tsv", "reading.tsv")
        self.reading.write(*(out / name for name in names))
        write_tsv(self.checks, out / "checks.tsv")


def _compare(read: _Read, options: argparse.Namespace) -> None:
    """Predict, compare and write."""
    from mtm.analyses.transfer.predicted import predicted_differences
    from mtm.analyses.transfer.predicting import to_bundle
    from mtm.page.geo import write_geo_page
    from mtm.settings.transfer import TransferSettings

    def align(model, samples):
        moved = to_bundle(options.align)(model, samples)
        for done in moved if options.align != "none" else ():
            say(str(done))
        return moved

    chosen = {"permutations": options.permutations, "min_per_group": options.min_per_group}
    tissues, genes = predicted_differences(
        read.model, read.model.name, read.people, align, read.source, TransferSettings(**chosen)
    )
    read.write(options.out)
    write_geo_page(options.out, read.settings, read.matrix, read.reading.report, tissues, genes)
    n_people, n_tissues = len(read.people.kept().samples), tissues["tissue"].nunique()
    page = options.out / "index.html"
    people, told = numbered(n_people, "person", "people"), numbered(n_tissues, "tissue")
    say(f"{page}: {read.settings.geo}, {people}, {told}")


def _write_all(read: _Read, options: argparse.Namespace) -> None:
    """Write the samples of everybody, for ``mtm predict``."""
    import pandas as pd

    read.reading.samples["case"] = pd.NA
    read.write(options.out)
    say(
        f"nothing is compared, as no --group says who is a case; mtm predict --bundle "
        f"{options.bundle} --expression {options.out / 'expression.h5ad'} --source "
        f'"{read.source}" --out told.parquet predicts all {len(read.people.samples)} samples'
    )
